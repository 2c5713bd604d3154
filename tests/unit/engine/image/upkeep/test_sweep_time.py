# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sweep ends in time on a slow storage, and makes headway on the slowest."""

from __future__ import annotations

import pytest
from engine.image.upkeep.sweep_time import LONGEST_SECONDS, SweepTime


@pytest.mark.parametrize(("seconds_each", "handled"), [(0.01, 30_000), (1.0, 300), (60.0, 256)])
def test_the_time_ends_but_never_before_some_packs(seconds_each: float, handled: int) -> None:
    now = [5.0]
    time = SweepTime(lambda: now[0])
    count = 0
    while time.allows_next():
        count += 1
        now[0] += seconds_each
    assert count == pytest.approx(handled, abs=1)
    assert count * seconds_each >= LONGEST_SECONDS - 1
