# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From disk to chunks: reading, hashing and compressing overlap in worker threads, results come back in order."""

from __future__ import annotations

import threading
from functools import partial
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

from ...disk.extents import Extent, ExtentSet
from ...disk.source import BlockSource
from ...errors import DiskUnreadable
from ..format import constants as fmt
from ..format.keys import MasterKey
from ..format.root_columns import Place
from ..format.seal import Compressor, Identifier
from ..parallel_map import in_order
from .pool import Pool

BATCH_CHUNKS = 16  # 1 MiB: large enough for a disk, small enough for even progress
_WINDOW = 3  # batches in progress for each worker
_IDENTIFIED_BATCHES = 4  # in one piece of work: what is only hashed takes less time than handing over


class WorkedChunk(NamedTuple):
    """A chunk after hashing. ``data`` is there only where it has to be stored."""

    position: int
    chunk_id: bytes
    plain_bytes: int
    place: Optional[Place]
    codec: int
    data: Optional[bytes]


Lookup = Callable[[int, bytes], Optional[Place]]
Ids = Tuple[int, bytes]  # the position of a chunk, and its id joined with those of the chunks that follow it


class ChunkWorker:
    """Reads batches of chunks of one disk and turns them into ids and compressed bytes."""

    def __init__(
        self, source: BlockSource, used: ExtentSet, key: Optional[MasterKey], level: int, workers: int
    ) -> None:
        self._source = source
        self._used = used
        self._identifier = Identifier(key)
        self._level = level
        self._local = threading.local()
        self._pool = Pool(workers, "chunk worker")
        self._depth = workers * _WINDOW

    def close(self) -> None:
        self._pool.shutdown()

    def identify(self, segment: int, chunk_count: int) -> Iterator[Ids]:
        """Begin at once, behind the batches that :meth:`prepare` waits for; yield the ids of every chunk of a segment that
        is not a hole. Compresses no chunk."""
        begun = [
            self._pool.submit_later(partial(self._identify, segment, positions))
            for positions in _batches(self.in_use(segment, chunk_count), _IDENTIFIED_BATCHES * BATCH_CHUNKS)
        ]
        return (ids for future in begun for ids in future.result())

    def prepare(self, segment: int, positions: List[int], lookup: Lookup) -> Iterator[WorkedChunk]:
        """Yield the chunks at ``positions`` (rising), compressed unless ``lookup`` knows a place for their id."""
        calls = (partial(self._prepare, segment, batch, lookup) for batch in _batches(positions))
        for chunks in in_order(self._pool, calls, self._depth):
            yield from chunks

    def in_use(self, segment: int, chunk_count: int) -> List[int]:
        """The positions of the chunks of a segment that hold a byte in use."""
        start = segment * fmt.SEGMENT_BYTES
        positions: List[int] = []
        for extent in self._used.clipped(start, start + chunk_count * fmt.CHUNK_BYTES):
            first = (extent.start_bytes - start) // fmt.CHUNK_BYTES
            if positions and first <= positions[-1]:
                first = positions[-1] + 1
            positions.extend(range(first, (extent.end_bytes - start - 1) // fmt.CHUNK_BYTES + 1))
        return positions

    def _identify(self, segment: int, positions: List[int]) -> List[Ids]:
        return [
            (first, b"".join(self._identifier.chunks(data)))
            for batch in _batches(positions)
            for first, data in self._read(segment, batch)
        ]

    def _prepare(self, segment: int, positions: List[int], lookup: Lookup) -> List[WorkedChunk]:
        result: List[WorkedChunk] = []
        new: List[Tuple[int, memoryview]] = []
        for first, data in self._read(segment, positions):
            for position, chunk_id in enumerate(self._identifier.chunks(data), first):
                start = (position - first) * fmt.CHUNK_BYTES
                chunk = data[start : start + fmt.CHUNK_BYTES]
                place = None if chunk_id == fmt.ZERO_ID else lookup(position, chunk_id)
                if chunk_id != fmt.ZERO_ID and place is None:
                    new.append((len(result), chunk))
                result.append(WorkedChunk(position, chunk_id, len(chunk), place, 0, None))
        packed = self._kept().compressor.compress_many([chunk for dummy, chunk in new])
        for (number, dummy), (codec, blob) in zip(new, packed):
            result[number] = result[number]._replace(codec=codec, data=blob)
        return result

    def _kept(self) -> _Kept:
        kept: Optional[_Kept] = getattr(self._local, "kept", None)
        if kept is None:
            kept = self._local.kept = _Kept(self._level)
        return kept

    def _read(self, segment: int, positions: List[int]) -> Iterator[Tuple[int, memoryview]]:
        """Yield the position of a chunk and its bytes with those of the chunks that follow it, good until the next call of this thread."""
        base = segment * fmt.SEGMENT_BYTES
        filled = 0
        for first, last in _runs(positions):
            start = base + first * fmt.CHUNK_BYTES
            end = min(base + (last + 1) * fmt.CHUNK_BYTES, self._source.size_bytes)
            view = self._kept().buffer[filled : filled + end - start]
            filled += end - start
            self._fill(start, end, view)
            yield first, view

    def _fill(self, start: int, end: int, view: memoryview) -> None:
        """Read whole chunks; what is not in use reads as zeros, so that deleted data never gets out."""
        extents = list(self._used.clipped(start, end))
        gaps = list(_gaps(extents, start, end))
        try:
            self._source.read_into(start, view)
        except DiskUnreadable:
            if not gaps:
                raise
            self._fill_parts(extents, start, end, view)  # perhaps only bytes that are not needed are unreadable
        for gap_start, gap_end in gaps:
            view[gap_start - start : gap_end - start] = bytes(gap_end - gap_start)

    def _fill_parts(self, extents: List[Extent], start: int, end: int, view: memoryview) -> None:
        sector = self._source.sector_bytes
        for extent in extents:
            first = extent.start_bytes - extent.start_bytes % sector
            last = min(-(-extent.end_bytes // sector) * sector, end)
            self._source.read_into(first, view[first - start : last - start])


class _Kept:
    """The state that a worker thread keeps from batch to batch."""

    def __init__(self, level: int) -> None:
        self.compressor = Compressor(level)
        self.buffer = memoryview(bytearray(BATCH_CHUNKS * fmt.CHUNK_BYTES))


def _batches(positions: List[int], size: int = BATCH_CHUNKS) -> List[List[int]]:
    return [positions[start : start + size] for start in range(0, len(positions), size)]


def _runs(positions: List[int]) -> Iterator[Tuple[int, int]]:
    """Yield first and last of positions that follow one another."""
    first = last = -1
    for position in positions:
        if position != last + 1 or first < 0:
            if first >= 0:
                yield first, last
            first = position
        last = position
    if first >= 0:
        yield first, last


def _gaps(extents: List[Extent], start: int, end: int) -> Iterator[Tuple[int, int]]:
    for extent in extents:
        if extent.start_bytes > start:
            yield start, extent.start_bytes
        start = extent.end_bytes
    if start < end:
        yield start, end
