# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of each pack an image needs: the same as if every segment were read, with as few read as can be."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import pytest
from engine.image.format import constants as fmt
from engine.image.format.index import PackNeed, Place, Root, Segment, SegmentReference
from engine.image.writing.pack_counts import PackCounts
from engine.image.writing.previous import Previous, PreviousFalse
from hypothesis import given
from hypothesis import strategies as st

CHUNKS = 4
POOL = 12  # segments that there are at all
SIZES = {"%064x" % number: 1_000_000 for number in range(1, 9)}


def pooled(number: int) -> Tuple[SegmentReference, Segment]:
    """A segment whose chunks lie in two packs, and which lies in a third."""
    segment = Segment(CHUNKS)
    for position in range(CHUNKS):
        segment.set_ids(position, bytes([number + 1, position]) * 16)
        segment.set_place(position, Place("%064x" % (1 + (number + position % 2) % 5), 100 * number, 77 + number, 1))
    place = Place("%064x" % (6 + number % 3), 1000 * number, 500 + number, 1)
    return SegmentReference(bytes([number + 1]) * 32, place, 1000), segment


REFERENCES = [pooled(number)[0] for number in range(POOL)]
SEGMENTS = {reference: pooled(number)[1] for number, reference in enumerate(REFERENCES)}
HOLE = SegmentReference(fmt.HOLE_ID, None, 0)


def brute_force(references: List[SegmentReference]) -> Dict[str, int]:
    counts = PackCounts({})
    for reference in references:
        if reference.place is not None:
            counts.count(SEGMENTS[reference], reference, 1)
    return counts.needed


def previous(numbers: List[int]) -> Previous:
    root = Root(len(numbers) * fmt.SEGMENT_BYTES, 512)
    root.segments = [REFERENCES[number] if number >= 0 else HOLE for number in numbers]
    root.packs = {name: PackNeed(SIZES[name], needed) for name, needed in brute_force(root.segments).items()}
    return Previous("image", root, set(root.packs), complete=True)


class Loader:
    def __init__(self, *lost: SegmentReference) -> None:
        self.loads: List[SegmentReference] = []
        self.lost = lost

    def __call__(self, reference: SegmentReference, count: int) -> Optional[Segment]:
        assert count == fmt.SEGMENT_CHUNKS
        self.loads.append(reference)
        return None if reference in self.lost else SEGMENTS[reference]


numbers = st.lists(st.integers(-1, POOL - 1), min_size=1, max_size=10)


@given(
    st.lists(numbers, min_size=1, max_size=3), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.booleans()))
)
def test_counts_are_those_of_all_segments(earlier: List[List[int]], picked: List[Tuple[int, int, bool]]) -> None:
    """A new disk of segments picked from earlier ones, unseen or loaded, at any place, as often as you like."""
    lenders = [previous(one) for one in earlier]
    counts = PackCounts(dict(SIZES))
    root = Root(max(1, len(picked)) * fmt.SEGMENT_BYTES, 512)
    for number, (which, place, is_seen) in enumerate(picked):
        lender = lenders[which % len(lenders)]
        place %= len(lender.root.segments)
        reference = lender.root.segments[place]
        root.segments.append(reference)
        if reference.place is None:
            continue
        if is_seen:
            counts.saw(lender, place, SEGMENTS[reference])
        if is_seen and number % 2:
            counts.count(SEGMENTS[reference], reference, 1)
        else:
            counts.share(number, lender)
    loader = Loader()
    counts.settle(root, loader)
    assert {name: needed for name, needed in counts.needed.items() if needed} == brute_force(root.segments)
    assert len(loader.loads) <= len({one for one in root.segments if one.place is not None})
    assert not counts.is_in_doubt


def test_what_did_not_change_is_counted_unseen() -> None:
    lender = previous(list(range(10)))
    counts, loader = PackCounts(dict(SIZES)), Loader()
    for number in range(9):
        counts.share(number, lender)
    counts.saw(lender, 9, SEGMENTS[REFERENCES[9]])  # it was compared, and has changed
    root = Root(10 * fmt.SEGMENT_BYTES, 512)
    root.segments = [*REFERENCES[:9], HOLE]
    counts.settle(root, loader)
    assert loader.loads == []
    assert {name: need.needed_bytes for name, need in counts.list_packs().items()} == brute_force(root.segments)


def test_the_image_that_lent_most_is_the_one_that_is_counted_from() -> None:
    most, few = previous(list(range(10))), previous([10, 11])
    counts, loader = PackCounts(dict(SIZES)), Loader()
    root = Root(10 * fmt.SEGMENT_BYTES, 512)
    root.segments = [REFERENCES[10], *REFERENCES[1:10]]
    counts.share(0, few)
    for number in range(1, 10):
        counts.share(number, most)
    counts.settle(root, loader)
    assert sorted(loader.loads) == sorted([REFERENCES[0], REFERENCES[10]])
    assert {name: need.needed_bytes for name, need in counts.list_packs().items()} == brute_force(root.segments)


def test_a_lost_segment_leaves_the_count_in_doubt_and_all_is_read() -> None:
    lender = previous([0, 1, 2])
    counts = PackCounts(dict(SIZES))
    root = Root(3 * fmt.SEGMENT_BYTES, 512)
    root.segments = [REFERENCES[0], REFERENCES[1], HOLE]
    counts.share(0, lender)
    counts.share(1, lender)
    counts.settle(root, Loader(REFERENCES[2]))
    assert counts.is_in_doubt
    counts.recount(root, Loader())
    assert not counts.is_in_doubt
    assert {name: need.needed_bytes for name, need in counts.list_packs().items()} == brute_force(root.segments)


def test_the_pack_of_a_segment_that_can_not_be_loaded_is_listed_so_that_it_is_missed() -> None:
    """A rollover deletes it while the run counts: a root that refers to a pack which it does not list can't be encoded."""
    lender = previous([0, 1, 2, 3, 4, 5, 6, 7])
    counts = PackCounts(dict(SIZES))
    counts.know(lender)
    root = Root(fmt.SEGMENT_BYTES, 512)
    root.segments = [lender.reference(0)]
    counts.share(0, lender)
    load = Loader(REFERENCES[0])
    counts.settle(root, load)
    assert counts.is_in_doubt
    counts.recount(root, load)
    root.packs = counts.list_packs()
    place = REFERENCES[0].place
    assert place is not None
    assert place.pack in root.packs
    assert Root.decode(root.encode(), "image").packs == root.packs


@pytest.mark.parametrize("says", [0, 1])
def test_an_image_that_says_too_little_of_its_packs_is_found_out(says: int) -> None:
    lender = previous([0, 1, 2])
    for name, need in lender.root.packs.items():
        lender.root.packs[name] = need._replace(needed_bytes=says)
    counts = PackCounts(dict(SIZES))
    root = Root(3 * fmt.SEGMENT_BYTES, 512)
    root.segments = [REFERENCES[0], REFERENCES[1], HOLE]
    counts.share(0, lender)
    counts.share(1, lender)
    counts.settle(root, Loader())
    with pytest.raises(PreviousFalse):
        counts.list_packs()


def test_a_checkpoint_lists_every_pack_that_may_be_referred_to() -> None:
    lender = previous([0, 1, 2])
    counts = PackCounts(dict(SIZES))
    counts.share(0, lender)
    counts.count(SEGMENTS[REFERENCES[7]], None, 1)
    listed = counts.list_for_checkpoint()
    assert set(listed) >= set(lender.root.packs) | SEGMENTS[REFERENCES[7]].packs_named()
    assert list(listed) == sorted(listed)
