# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places on a target of another size, compared with a disk that is cut and joined byte for byte."""

from __future__ import annotations

import random
from typing import List

import pytest
from engine.restore.resize.shift import Cut, Shift

SIZE = 200


def joined(cuts: List[Cut]) -> List[int]:
    """The disk after the cuts: each byte by the place it came from, -1 for what was inserted."""
    found: List[int] = []
    start = 0
    for cut in sorted(cuts):
        found += range(start, cut.at_bytes - max(0, -cut.by_bytes))
        found += [-1] * max(0, cut.by_bytes)
        start = cut.at_bytes
    return found + list(range(start, SIZE))


@pytest.mark.parametrize("seed", range(200))
def test_segments_and_places_agree_with_a_disk_that_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    places = sorted(chance.sample(range(20, SIZE, 20), chance.randint(0, 4)))
    cuts = [Cut(place, chance.choice([-1, 1]) * chance.randint(0, 15)) for place in places]
    expected = joined(cuts)
    shift = Shift(cuts)
    found = [-1] * len(expected)
    for one in shift.segments(SIZE):
        assert one.length_bytes > 0
        found[one.target_bytes : one.target_bytes + one.length_bytes] = range(one.start_bytes, one.end_bytes)
    assert found == expected
    for new, old in enumerate(expected):
        if old >= 0:
            assert shift.start(old) == new


def test_a_partition_that_ends_at_a_cut_grows_and_the_next_one_moves() -> None:
    shift = Shift([Cut(100, 7)])
    assert (shift.start(50), shift.end(100), shift.start(100), shift.end(150)) == (50, 107, 107, 157)


@pytest.mark.parametrize("seed", range(200))
def test_a_place_in_what_is_removed_does_not_come_to_lie_behind_what_follows(seed: int) -> None:
    """An extended partition may end in a gap: it must not reach into the partition that moves up to it."""
    chance = random.Random(seed)
    cuts = [Cut(place, -chance.randint(1, 15)) for place in (40, 80, 120)]
    shift = Shift(cuts)
    places = [shift.end(place) for place in range(SIZE + 1)]
    assert places == sorted(places)
    for cut in cuts:
        removed = range(cut.at_bytes + cut.by_bytes, cut.at_bytes)
        assert {shift.end(place) for place in removed} == {shift.start(cut.at_bytes)}
