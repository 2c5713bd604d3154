# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hours of a site's night, also over midnight, and what is left of them when a run starts."""

from __future__ import annotations

import math
from typing import Optional

import pytest
from engine.verbs.window import window_at

HOUR = 3600.0


@pytest.mark.parametrize(
    ("hours", "clock", "left"),
    [
        ("22:00-05:00", "22-00-00", 7 * HOUR),
        ("22:00-05:00", "23-30-00", 5.5 * HOUR),
        ("22:00-05:00", "00-00-00", 5 * HOUR),
        ("22:00-05:00", "04-59-59", 1.0),
        ("22:00-05:00", "05-00-00", math.inf),
        ("22:00-05:00", "21-59-59", math.inf),
        ("22:00-05:00", "12-00-00", math.inf),
        ("01:00-05:00", "03-00-00", 2 * HOUR),
        ("01:00-05:00", "00-59-59", math.inf),
        ("01:00-05:00", "05-00-00", math.inf),
        ("00:00-23:59", "12-00-00", 11 * HOUR + 59 * 60),
        ("", "12-00-00", None),
    ],
)
def test_what_is_left(hours: str, clock: str, left: Optional[float]) -> None:
    found = window_at(hours, "2026-11-30_%s" % clock)
    assert (found.left_seconds if found else None) == left
    assert found is None or found.hours == hours


@pytest.mark.parametrize(
    "hours", ["24:00-05:00", "22:60-05:00", "22-05", "2200-0500", "22:00-22:00", "\u0662\u0662:00-05:00"]
)
def test_other_words_are_refused(hours: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        window_at(hours, "2026-11-30_12-00-00")
