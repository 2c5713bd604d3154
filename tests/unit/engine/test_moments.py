# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments of documents: what is written is what is read."""

from __future__ import annotations

import time

import pytest
from engine.moments import MOMENT, moment


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_795_355_110.9, "2026-11-22T13:45:10Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
    ],
)
def test_a_moment_is_written_in_utc(seconds: float, text: str) -> None:
    assert moment(seconds) == text
    assert MOMENT.fullmatch(text)


def test_a_moment_without_seconds_is_now() -> None:
    before, now, after = moment(time.time()), moment(), moment(time.time())
    assert before <= now <= after
