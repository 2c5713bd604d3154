# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that is open elsewhere is waited for; every other failure is told at once."""

from __future__ import annotations

import errno
from typing import List

import pytest
from engine.host import windows_patience


def failing(times: int, error: OSError, calls: List[int]) -> str:
    calls.append(1)
    if len(calls) <= times:
        raise error
    return "done"


def test_it_repeats_what_an_open_file_refuses() -> None:
    calls: List[int] = []
    assert windows_patience.patiently(lambda: failing(3, OSError(errno.EACCES, "denied"), calls)) == "done"
    assert len(calls) == 4


def test_it_gives_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_patience, "_SECONDS", 0.1)
    with pytest.raises(PermissionError):
        windows_patience.patiently(lambda: failing(1000, OSError(errno.EACCES, "denied"), []))


def test_it_tells_other_failures_at_once() -> None:
    calls: List[int] = []
    with pytest.raises(OSError, match="room"):
        windows_patience.patiently(lambda: failing(3, OSError(errno.ENOSPC, "no room"), calls))
    assert len(calls) == 1
