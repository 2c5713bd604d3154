# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that will not end within its window or a day warns, and its warning names the setting that holds it down."""

from __future__ import annotations

from typing import Optional

import pytest
from engine.image.writing.waiting import Waited
from engine.verbs.overdue import Pace, Progress, overdue
from engine.verbs.window import Window

AUTO = Pace(None, 2e6, 0.0)
TERABYTE = 10**12
SLOW = Progress(100.0, 200 * 10**6, TERABYTE, 0)  # 2 MB/s: 139 hours


@pytest.mark.parametrize(
    ("pace", "waited", "stored", "setting"),
    [
        (AUTO, Waited(80.0, 10.0), 0, "imaging_limit_read_rate_floor"),
        (AUTO, Waited(80.0, None), 0, "imaging_limit_read_rate_floor"),
        (AUTO, Waited(10.0, 80.0), 0, "imaging_drives"),
        (Pace(2e6, 2e6, 0.0), Waited(0.0, 0.0), 0, "imaging_limit_read_rate is 2 MB/s"),
        (Pace(0.0, 2e6, 1e6), Waited(0.0, 0.0), 100 * 10**6, "imaging_limit_io_rate is 1 MB/s"),
        (Pace(0.0, 2e6, 1e6), Waited(0.0, 0.0), 10 * 10**6, "storage_check"),
        (AUTO, Waited(1.0, 1.0), 0, "storage_check"),
        (Pace(2e6, 2e6, 0.0), Waited(0.0, 90.0), 0, "imaging_limit_read_rate is 2 MB/s"),
    ],
)
def test_the_reason_is_named_with_its_setting(pace: Pace, waited: Waited, stored: int, setting: str) -> None:
    sentence = overdue(pace, SLOW._replace(stored=stored), waited)
    assert sentence is not None
    assert setting in sentence
    assert "2.0 MB/s" in sentence
    assert "6 days" in sentence


@pytest.mark.parametrize(
    ("seconds", "done", "total", "before", "warns"),
    [
        (59.0, 1, TERABYTE, 0.0, False),
        (60.0, 0, TERABYTE, 0.0, True),
        (60.0, 60, 86400, 0.0, False),
        (60.0, 60, 86401, 0.0, True),
        (60.0, 60, 86400, 1.0, True),
        (90000.0, TERABYTE, TERABYTE, 0.0, False),
        (60.0, 0, 0, 0.0, False),
    ],
)
def test_only_a_sure_estimate_of_more_than_a_day_warns(
    seconds: float, done: int, total: int, before: float, warns: bool
) -> None:
    found: Optional[str] = overdue(AUTO, Progress(seconds, done, total, 0), Waited(0.0, 0.0), before)
    assert (found is not None) is warns


@pytest.mark.parametrize(
    ("left", "before", "words"),
    [
        (36_000.0, 0.0, ""),
        (35_999.0, 0.0, "22:00-05:00"),
        (36_000.0, 1.0, "22:00-05:00"),
        (7_200.0, 0.0, "8 h after the end of imaging_window"),
        (35_000.0, 0.0, "17 min after the end of imaging_window"),
    ],
)
def test_a_run_that_passes_its_window_warns(left: float, before: float, words: str) -> None:
    ten_hours = Progress(60.0, 60 * 10**6, 36_000 * 10**6, 0)
    pace = Pace(1e6, 2e6, 0.0, Window("22:00-05:00", left))
    found = overdue(pace, ten_hours, Waited(0.0, 0.0), before) or ""
    assert words in found
    assert bool(found) is bool(words)
    if words:
        assert "imaging_limit_read_rate is 1 MB/s" in found


def test_a_run_of_days_is_longer_than_a_day_also_with_a_window() -> None:
    found = overdue(AUTO._replace(window=Window("22:00-05:00", 7_200.0)), SLOW, Waited(0.0, 0.0))
    assert found is not None
    assert "longer than a day" in found
