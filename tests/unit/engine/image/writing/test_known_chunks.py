# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of known chunks: what is added is found again, up to its limit."""

from __future__ import annotations

import random
from typing import Dict

import pytest
from engine.image.format import constants as fmt
from engine.image.format.index import Place, Segment
from engine.image.writing.known_chunks import KnownChunks


def filled(seed: int, count: int = 4096) -> Segment:
    """A segment with chunks in three packs, holes, zero chunks and chunks that stand there twice."""
    chance = random.Random(seed)
    segment = Segment(count)
    for position in range(count):
        kind = chance.random()
        if kind < 0.1:
            continue
        if kind < 0.2:
            segment.set_ids(position, fmt.ZERO_ID)
            continue
        number = chance.randrange(count // 2)
        # Ids that begin like a hole or a zero chunk are ids like others.
        head = bytes(8) if kind < 0.3 else b"\xff" * 8 if kind < 0.4 else b""
        segment.set_ids(position, (head + random.Random((seed << 32) + number).randbytes(32))[:32])
        codec = fmt.CODEC_RAW if number % 2 else fmt.CODEC_ZSTD
        segment.set_place(position, Place("%064d" % (number % 3), number * 64, 1 + number, codec))
    return segment


def places(*segments: Segment) -> Dict[bytes, Place]:
    found: Dict[bytes, Place] = {}
    for segment in segments:
        for dummy, chunk_id, place in segment.stored():
            found.setdefault(chunk_id, place)
    return found


def test_what_was_added_is_found_and_the_first_place_counts() -> None:
    first, second = filled(1), filled(2)
    known = KnownChunks()
    for segment in (first, second, first):
        known.add_all(segment.stored_in({"%064d" % number for number in range(3)}))
    wanted = places(first, second)
    assert len(known) == len(wanted) > 3000
    for chunk_id, place in wanted.items():
        assert known.get(chunk_id) == place
    assert known.get(fmt.ZERO_ID) is None
    assert known.get(b"\x01" * 32) is None


def test_packs_that_must_not_be_used_are_left_out() -> None:
    segment = filled(3)
    known = KnownChunks()
    known.add_all(segment.stored_in({"%064d" % 1}))
    assert len(known) > 100
    for dummy, chunk_id, place in segment.stored():
        found = known.get(chunk_id)
        assert (found is not None) == (place.pack == "%064d" % 1)


@pytest.mark.parametrize("limit", [0, 1, 1000])
def test_a_full_table_takes_no_more_and_still_finds(limit: int) -> None:
    known = KnownChunks(limit)
    for seed in range(4, 8):
        known.add_all(filled(seed).stored_in({"%064d" % number for number in range(3)}))
    assert len(known) == limit
    wanted = places(*(filled(seed) for seed in range(4, 8)))
    assert sum(known.get(chunk_id) == place for chunk_id, place in wanted.items()) == limit
