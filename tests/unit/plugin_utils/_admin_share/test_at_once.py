# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that go to a device at once: all are made, and a failure ends them as it should."""

from __future__ import annotations

import threading
import time
from typing import List

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import DeviceFileChanged
from ansible_collections.plantops.imaging.plugins.plugin_utils._admin_share.at_once import each


def test_every_item_is_worked_on_and_several_at_once() -> None:
    done: List[int] = []
    meeting = threading.Barrier(8)

    def work(item: int) -> None:
        if item < 8:
            meeting.wait(20)  # one after the other would never get here
        done.append(item)

    each(work, range(100))
    assert sorted(done) == list(range(100))
    each(work, [])


def test_a_failure_waits_for_what_has_begun_and_lets_nothing_else_begin() -> None:
    begun: List[int] = []
    ended: List[int] = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 0:
            raise DeviceFileChanged(device="pc", path="a")
        time.sleep(0.05)
        ended.append(item)

    with pytest.raises(DeviceFileChanged):
        each(work, range(1000))
    assert sorted(begun) == [0, *sorted(ended)]
    assert len(begun) < 1000


def test_the_end_of_a_time_limit_waits_for_no_request() -> None:
    goes_on = threading.Event()

    def work(item: int) -> None:
        if item == 0:
            raise KeyboardInterrupt
        goes_on.wait(60)

    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            each(work, range(4))
        assert time.monotonic() - began < 30
    finally:
        goes_on.set()
