# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of which some ranges are read from elsewhere: from the snapshots of its volumes."""

from __future__ import annotations

from bisect import bisect_right
from typing import Iterable, Iterator, List, NamedTuple, Tuple

from .extents import ExtentSet
from .source import BlockSource


class OverlayPiece(NamedTuple):
    """A range of a disk that holds a part of a volume, in one run or as one column of stripes.

    Unit number ``n`` of the piece (``unit_bytes`` long each; the last may be shorter) is at ``volume_bytes + n *
    step_bytes`` of the volume. A piece in one run is one unit.
    """

    start_bytes: int
    length_bytes: int
    volume_bytes: int
    unit_bytes: int
    step_bytes: int

    @property
    def end_bytes(self) -> int:
        return self.start_bytes + self.length_bytes

    def runs(self, start_bytes: int, end_bytes: int) -> Iterator[Tuple[int, int]]:
        """Yield ``(volume offset, length)`` of the disk's bytes from ``start_bytes`` to ``end_bytes``, both inside."""
        position = start_bytes - self.start_bytes
        end = end_bytes - self.start_bytes
        while position < end:
            unit, inside = divmod(position, self.unit_bytes)
            length = min(self.unit_bytes - inside, end - position)
            yield self.volume_bytes + unit * self.step_bytes + inside, length
            position += length

    def on_disk(self, volume_extents: ExtentSet) -> Iterator[Tuple[int, int]]:
        """Yield ``(start, length)`` on the disk of what this piece holds of ``volume_extents``, whole units of stripes."""
        units = -(-self.length_bytes // self.unit_bytes)
        if self.step_bytes == self.unit_bytes or units == 1:
            for extent in volume_extents.clipped(self.volume_bytes, self.volume_bytes + self.length_bytes):
                yield self.start_bytes + extent.start_bytes - self.volume_bytes, extent.length_bytes
            return
        for extent in volume_extents.clipped(self.volume_bytes, self.volume_bytes + units * self.step_bytes):
            first = (extent.start_bytes - self.volume_bytes) // self.step_bytes
            last = (extent.end_bytes - 1 - self.volume_bytes) // self.step_bytes
            start = first * self.unit_bytes
            end = min((last + 1) * self.unit_bytes, self.length_bytes)
            if start < end:
                yield self.start_bytes + start, end - start


def linear(start_bytes: int, length_bytes: int, volume_bytes: int = 0) -> OverlayPiece:
    """A piece in one run."""
    return OverlayPiece(start_bytes, length_bytes, volume_bytes, length_bytes, length_bytes)


def on_disk(pieces: Iterable[OverlayPiece], volume_extents: ExtentSet) -> ExtentSet:
    """Maps bytes of a volume to bytes of the disk that the pieces are of."""
    return ExtentSet(found for piece in pieces for found in piece.on_disk(volume_extents))


class OverlaySource(BlockSource):
    """``base`` with some ranges of it read from other sources. Closes ``base``, not the others."""

    def __init__(self, base: BlockSource, pieces: Iterable[Tuple[OverlayPiece, BlockSource]]) -> None:
        """:raises ValueError: when two pieces overlap, or one is not within ``base``."""
        self.path = base.path
        self.size_bytes = base.size_bytes
        self.sector_bytes = base.sector_bytes
        self._base = base
        self._pieces: List[Tuple[OverlayPiece, BlockSource]] = sorted(pieces, key=lambda pair: pair[0].start_bytes)
        end = 0
        for piece, dummy in self._pieces:
            if piece.start_bytes < end or piece.length_bytes <= 0 or piece.end_bytes > base.size_bytes:
                raise ValueError("the pieces of %s overlap or are outside the disk" % base.path)
            end = piece.end_bytes
        self._ends = [piece.end_bytes for piece, dummy in self._pieces]

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self.check_range(offset_bytes, length_bytes)
        data = bytearray(length_bytes)
        self.read_into(offset_bytes, memoryview(data))
        return bytes(data)

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        self.check_range(offset_bytes, len(buffer))
        done = 0
        for source, start, length in self._parts(offset_bytes, len(buffer)):
            source.read_into(start, buffer[done : done + length])
            done += length

    def _parts(self, offset_bytes: int, length_bytes: int) -> Iterator[Tuple[BlockSource, int, int]]:
        position, end = offset_bytes, offset_bytes + length_bytes
        number = bisect_right(self._ends, position)
        while position < end:
            if number == len(self._pieces) or self._pieces[number][0].start_bytes >= end:
                yield self._base, position, end - position
                return
            piece, source = self._pieces[number]
            if piece.start_bytes > position:
                yield self._base, position, piece.start_bytes - position
                position = piece.start_bytes
            stop = min(end, piece.end_bytes)
            for start, length in piece.runs(position, stop):
                yield source, start, length
            position = stop
            number += 1

    def data_ranges(self, start_bytes: int, end_bytes: int) -> List[Tuple[int, int]]:
        """Called for bytes outside of all pieces."""
        return self._base.data_ranges(start_bytes, end_bytes)

    def expect_small_reads(self, small: bool) -> None:
        for source in {id(source): source for source in [self._base, *(one for dummy, one in self._pieces)]}.values():
            source.expect_small_reads(small)

    def close(self) -> None:
        self._base.close()
