# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An imaged disk as it is to become on a target of another size: the writer, the check afterwards and the clearing read it like any other.

Bytes come from the image at their new places, from a volume that was made smaller aside, and from changed tables and boot
sectors, which stand before both.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Iterator, List, Optional, Sequence, Tuple

from ...disk.extents import Extent, ExtentSet
from ...disk.filesystems.contract import VolumeState
from ...disk.filesystems.registry import detect
from ...disk.source import BlockSource, WindowSource
from ...errors import DiskEndReached, EngineError
from ...image.format.constants import CHUNK_BYTES
from ...image.reader import DiskReader, Piece
from .gpt_table import Patch
from .shift import Segment

_STEP_BYTES = 1 << 20


class Aside:
    """A volume whose bytes do not come from the image but from a file; ``source`` is None until that is made."""

    def __init__(self, start_bytes: int, length_bytes: int) -> None:
        self.start_bytes, self.length_bytes = start_bytes, length_bytes
        self.source: Optional[BlockSource] = None
        self._ranges: List[Tuple[int, int]] = []  # of that file, which does not change any more

    @property
    def end_bytes(self) -> int:
        return self.start_bytes + self.length_bytes

    def ranges(self) -> List[Tuple[int, int]]:
        """Start and end of what is in use or not zero, on the target: zeros in use are holes of the file, and a target that held
        data has other bytes in their place."""
        if self.source is None:
            return []
        if not self._ranges:
            data = ExtentSet((start, end - start) for start, end in self.source.data_ranges(0, self.length_bytes))
            whole = data.union(_in_use(self.source, self.length_bytes))
            self._ranges = [(self.start_bytes + one.start_bytes, self.start_bytes + one.end_bytes) for one in whole]
        return self._ranges


def _in_use(source: BlockSource, length_bytes: int) -> ExtentSet:
    """The bytes in use of a volume; all of it where that is not known."""
    window = WindowSource(source, 0, length_bytes)
    try:
        file_system = detect(window)
        used = file_system.used(VolumeState.OFFLINE) if file_system is not None else None
    except EngineError:
        used = None
    if used is None or not used.trusted:
        return ExtentSet([(0, length_bytes)])
    return used.extents.intersection(ExtentSet([(0, length_bytes)]))


class ResizedReader(DiskReader):
    """Reads the disk as the target will be."""

    def __init__(
        self,
        reader: DiskReader,
        size_bytes: int,
        sector_bytes: int,
        segments: Sequence[Segment],
        patches: Sequence[Patch],
        asides: Sequence[Aside] = (),
    ) -> None:
        # The base class keeps no state here: ``reader`` does the reading.
        self.root = reader.root
        self.size_bytes = size_bytes
        self.sector_bytes = sector_bytes
        self.asides = list(asides)
        self._reader = reader
        self._patches = sorted(patches)
        self._patched = ExtentSet((start, len(data)) for start, data in patches)
        aside = ExtentSet((one.start_bytes, one.length_bytes) for one in asides)
        self._kept = list(_without(segments, aside, size_bytes))
        self._kept_starts = [one.start_bytes for one in self._kept]

    def prove_index(self) -> None:
        self._reader.prove_index()

    def identify(self, data: bytes) -> List[bytes]:
        return self._reader.identify(data)

    def extents(self) -> Iterator[Extent]:
        """The bytes in use on the target, in whole chunks, joined and in order."""
        yield from self.streamed().aligned(CHUNK_BYTES).intersection(ExtentSet([(0, self.size_bytes)]))

    def streamed(self) -> ExtentSet:
        """The bytes that :meth:`stream` yields, which end where a partition ends, in the middle of a chunk."""
        pairs = [(one.start_bytes, one.length_bytes) for one in self._patched]
        pairs += [(start, end - start) for one in self.asides for start, end in one.ranges()]
        moved = [
            (target, length) for extent in self._reader.streamed() for dummy, length, target in self._moved(*extent)
        ]
        return ExtentSet(pairs + moved).intersection(ExtentSet([(0, self.size_bytes)]))

    def streamed_of(self, allowed: ExtentSet) -> ExtentSet:
        """Parts of chunks are not in the view, and a target may hold anything there."""
        return allowed.intersection(self.streamed())

    def chunk_ids(self) -> Iterator[Tuple[int, List[bytes]]]:
        """The ids of chunks that are in the image as they are; an empty one for those whose bytes must be compared."""
        own = self._patched.aligned(CHUNK_BYTES)
        for start, ids in self._reader.chunk_ids():
            for number, one in enumerate(ids):
                place = start + number * CHUNK_BYTES
                length = min(CHUNK_BYTES, self._reader.size_bytes - place)
                for dummy, part, target in self._moved(place, length):
                    is_whole = part == length and target % CHUNK_BYTES == 0
                    if not any(True for dummy_part in own.clipped(target, target + part)):
                        begin = target - target % CHUNK_BYTES
                        yield begin, [one if is_whole else b""]
        aside = ExtentSet((start, end - start) for one in self.asides for start, end in one.ranges())
        for extent in own.union(aside.aligned(CHUNK_BYTES)):
            for place in range(extent.start_bytes, min(extent.end_bytes, self.size_bytes), CHUNK_BYTES):
                yield place, [b""]

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        end = offset_bytes + length_bytes
        if offset_bytes < 0 or length_bytes < 0 or end > self.size_bytes:
            raise DiskEndReached(
                path="the image", size_bytes=self.size_bytes, offset_bytes=offset_bytes, length_bytes=length_bytes
            )
        data = bytearray(length_bytes)
        for one in self._kept:
            start, stop = max(offset_bytes, one.target_bytes), min(end, one.target_bytes + one.length_bytes)
            if start < stop:
                piece = self._reader.read(one.start_bytes + start - one.target_bytes, stop - start)
                data[start - offset_bytes : stop - offset_bytes] = piece
        for aside in self.asides:
            start, stop = max(offset_bytes, aside.start_bytes), min(end, aside.end_bytes)
            if start < stop and aside.source is not None:
                data[start - offset_bytes : stop - offset_bytes] = aside.source.read(
                    start - aside.start_bytes, stop - start
                )
        for place, patch in self._patches:
            start, stop = max(offset_bytes, place), min(end, place + len(patch))
            if start < stop:
                data[start - offset_bytes : stop - offset_bytes] = patch[start - place : stop - place]
        return bytes(data)

    def stream(self) -> Iterator[Piece]:
        """The image at its new places, then what is made aside, then the changed sectors; each of them once."""
        for piece in self._reader.stream():
            for start, length, target in self._moved(piece.offset_bytes, piece.length_bytes):
                data = piece.data
                if data is not None and length != piece.length_bytes:
                    data = data[start - piece.offset_bytes : start - piece.offset_bytes + length]
                yield from self._unpatched(Piece(target, length, data))
        for aside in self.asides:
            for begin, end in aside.ranges():
                for place in range(begin, end, _STEP_BYTES):
                    length = min(_STEP_BYTES, end - place)
                    if aside.source is None:
                        raise AssertionError("the scratch file is not open")
                    data = aside.source.read(place - aside.start_bytes, length)
                    is_zero = data.count(0) == length
                    yield from self._unpatched(Piece(place, length, None if is_zero else data))
        for place, patch in self._patches:
            yield Piece(place, len(patch), patch)

    def _unpatched(self, piece: Piece) -> Iterator[Piece]:
        start, end = piece.offset_bytes, piece.offset_bytes + piece.length_bytes
        if not any(True for dummy in self._patched.clipped(start, end)):
            yield piece
            return
        for part in ExtentSet([(start, end - start)]).difference(self._patched):
            data = piece.data
            if data is not None:
                data = data[part.start_bytes - start : part.end_bytes - start]
            yield Piece(part.start_bytes, part.length_bytes, data)

    def _moved(self, start_bytes: int, length_bytes: int) -> Iterator[Tuple[int, int, int]]:
        """Yield the parts of a range of the image that come to the target: start, length, place on the target."""
        end = start_bytes + length_bytes
        number = max(0, bisect_right(self._kept_starts, start_bytes) - 1)
        while number < len(self._kept) and self._kept[number].start_bytes < end:
            one = self._kept[number]
            start, stop = max(start_bytes, one.start_bytes), min(end, one.end_bytes)
            if start < stop:
                yield start, stop - start, one.target_bytes + start - one.start_bytes
            number += 1


def _without(segments: Sequence[Segment], aside: ExtentSet, size_bytes: int) -> Iterator[Segment]:
    """The segments without what comes from aside, by place on the target, and nothing behind its end."""
    room = ExtentSet([(0, size_bytes)]).difference(aside)
    for one in segments:
        for part in room.clipped(one.target_bytes, one.target_bytes + one.length_bytes):
            yield Segment(one.start_bytes + part.start_bytes - one.target_bytes, part.length_bytes, part.start_bytes)
