# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of which ranges are read from elsewhere, in one run or as stripes, against a plain model of bytes."""

from __future__ import annotations

import random
from typing import Iterator, List, Tuple

import pytest
from engine.disk.extents import ExtentSet
from engine.disk.overlay import OverlayPiece, OverlaySource, linear, on_disk
from engine.disk.source import BlockSource, MemorySource

STRIPE = 8
COLUMN = 48


def striped(starts: List[int], volume_bytes: int) -> List[OverlayPiece]:
    step = len(starts) * STRIPE
    return [OverlayPiece(start, COLUMN, volume_bytes + n * STRIPE, STRIPE, step) for n, start in enumerate(starts)]


PIECES = [linear(30, 50, 0), *striped([200, 100, 300], 50), linear(80, 20, 50 + 3 * COLUMN)]
VOLUME_BYTES = 50 + 3 * COLUMN + 20
DISK = bytes(0x80 | number % 97 for number in range(400))
VOLUME = bytes(number % 101 for number in range(VOLUME_BYTES))


def places() -> Iterator[Tuple[int, int]]:
    """Yield (place on the disk, place in the volume) for each byte, written down the long way."""
    for number in range(50):
        yield 30 + number, number
    for number in range(3 * COLUMN):
        stripe, inside = divmod(number, STRIPE)
        yield [200, 100, 300][stripe % 3] + stripe // 3 * STRIPE + inside, 50 + number
    for number in range(20):
        yield 80 + number, 50 + 3 * COLUMN + number


def overlaid() -> OverlaySource:
    volume = MemorySource(VOLUME)
    return OverlaySource(MemorySource(DISK), [(piece, volume) for piece in PIECES])


def test_every_range_is_read_from_its_source() -> None:
    expected = bytearray(DISK)
    for place, inside in places():
        expected[place] = VOLUME[inside]
    source = overlaid()
    for start in range(0, len(DISK), 3):
        for length in (0, 1, 7, 64, 250):
            if start + length <= len(DISK):
                assert source.read(start, length) == expected[start : start + length]
    buffer = bytearray(len(DISK))
    source.read_into(0, memoryview(buffer))
    assert buffer == expected


def test_extents_of_a_volume_are_found_on_the_disk_at_most_a_row_of_stripes_too_much() -> None:
    chance = random.Random(4)
    where = {inside: place for place, inside in places()}
    for dummy in range(200):
        start = chance.randrange(VOLUME_BYTES)
        extents = ExtentSet(
            [(start, chance.randrange(1, VOLUME_BYTES - start + 1)), (chance.randrange(VOLUME_BYTES), 1)]
        )
        wanted = {where[inside] for one in extents for inside in range(one.start_bytes, one.end_bytes)}
        found = {place for one in on_disk(PIECES, extents) for place in range(one.start_bytes, one.end_bytes)}
        assert wanted <= found <= set(where.values())
        assert len(found - wanted) < 4 * 3 * STRIPE
    assert on_disk(PIECES, ExtentSet()) == ExtentSet()


def test_pieces_that_overlap_or_leave_the_disk_are_refused() -> None:
    volume: BlockSource = MemorySource(VOLUME)
    for pieces in ([linear(0, 10), linear(9, 5)], [linear(395, 6)], [linear(5, 0)]):
        with pytest.raises(ValueError, match="overlap or are outside"):
            OverlaySource(MemorySource(DISK), [(piece, volume) for piece in pieces])
