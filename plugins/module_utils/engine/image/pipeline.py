# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From disk to chunks: reading, hashing and compressing overlap in worker threads, results come back in order."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Deque, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ..disk.extents import ExtentSet
from ..disk.source import BlockSource
from . import format as fmt
from .index import Place
from .keys import MasterKey
from .seal import Compressor, Identifier

BATCH_CHUNKS = 16  # 1 MiB: large enough for a disk, small enough for even progress
_WINDOW = 3  # batches under way for each worker
_ZERO_CHUNK = bytes(fmt.CHUNK_BYTES)


class WorkedChunk(NamedTuple):
    """A chunk after hashing. ``data`` is there only where it has to be stored."""

    position: int
    chunk_id: bytes
    plain_bytes: int
    place: Optional[Place]
    codec: int
    data: Optional[bytes]


Lookup = Callable[[int, bytes], Optional[Place]]


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
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="chunk worker")
        self._depth = workers * _WINDOW

    def close(self) -> None:
        self._executor.shutdown(wait=True)

    def identify(self, segment: int, chunk_count: int) -> Iterator[WorkedChunk]:
        """Yield id and length of every chunk of a segment that is not a hole; nothing is compressed."""
        for batch in self._in_order((self._identify, segment, p) for p in self._batches(segment, chunk_count)):
            yield from batch

    def prepare(self, segment: int, positions: List[int], lookup: Lookup) -> Iterator[WorkedChunk]:
        """Yield the chunks at ``positions`` (rising), compressed unless ``lookup`` knows a place for their id."""
        batches = [positions[start : start + BATCH_CHUNKS] for start in range(0, len(positions), BATCH_CHUNKS)]
        for batch in self._in_order((self._prepare, segment, batch, lookup) for batch in batches):
            yield from batch

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

    def _batches(self, segment: int, chunk_count: int) -> List[List[int]]:
        positions = self.in_use(segment, chunk_count)
        return [positions[start : start + BATCH_CHUNKS] for start in range(0, len(positions), BATCH_CHUNKS)]

    def _in_order(self, calls: Iterable[Tuple[object, ...]]) -> Iterator[List[WorkedChunk]]:
        waiting: Deque[Future[List[WorkedChunk]]] = deque()
        try:
            for function, *arguments in calls:
                waiting.append(self._executor.submit(function, *arguments))  # type: ignore[arg-type]
                if len(waiting) >= self._depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _identify(self, segment: int, positions: List[int]) -> List[WorkedChunk]:
        result = []
        for position, data in self._read(segment, positions):
            chunk_id = self._id_of(data)
            result.append(WorkedChunk(position, chunk_id, len(data), None, 0, None))
        return result

    def _prepare(self, segment: int, positions: List[int], lookup: Lookup) -> List[WorkedChunk]:
        compress = self._compressor().compress
        result = []
        for position, data in self._read(segment, positions):
            chunk_id = self._id_of(data)
            place = None if chunk_id == fmt.ZERO_ID else lookup(position, chunk_id)
            if chunk_id == fmt.ZERO_ID or place is not None:
                result.append(WorkedChunk(position, chunk_id, len(data), place, 0, None))
            else:
                codec, packed = compress(data)
                result.append(WorkedChunk(position, chunk_id, len(data), None, codec, packed))
        return result

    def _id_of(self, data: bytes) -> bytes:
        if data == _ZERO_CHUNK or (len(data) < fmt.CHUNK_BYTES and not any(data)):
            return fmt.ZERO_ID
        return self._identifier.chunk(data)

    def _compressor(self) -> Compressor:
        compressor: Optional[Compressor] = getattr(self._local, "compressor", None)
        if compressor is None:
            compressor = self._local.compressor = Compressor(self._level)
        return compressor

    def _read(self, segment: int, positions: List[int]) -> Iterator[Tuple[int, bytes]]:
        """Yield each chunk's bytes; what is not in use reads as zeros, so that deleted data never gets out."""
        if not positions:
            return
        base = segment * fmt.SEGMENT_BYTES
        start = base + positions[0] * fmt.CHUNK_BYTES
        end = min(base + (positions[-1] + 1) * fmt.CHUNK_BYTES, self._source.size_bytes)
        extents = list(self._used.clipped(start, end))
        if len(extents) == 1 and extents[0].start_bytes == start and extents[0].end_bytes == end:
            data = self._source.read(start, end - start)
            if positions[-1] - positions[0] + 1 == len(positions):
                for number, position in enumerate(positions):
                    yield position, data[number * fmt.CHUNK_BYTES : (number + 1) * fmt.CHUNK_BYTES]
                return
        for position in positions:
            chunk_start = base + position * fmt.CHUNK_BYTES
            chunk_end = min(chunk_start + fmt.CHUNK_BYTES, self._source.size_bytes)
            yield position, self._read_parts(chunk_start, chunk_end)

    def _read_parts(self, start: int, end: int) -> bytes:
        sector = self._source.sector_bytes
        buffer = bytearray(end - start)
        parts = list(self._used.clipped(start, end))
        if not parts:
            return bytes(buffer)
        # One read for the whole span: the gaps inside a chunk cost less than more calls.
        first = parts[0].start_bytes - parts[0].start_bytes % sector
        last = min(-(-parts[-1].end_bytes // sector) * sector, end)
        span = self._source.read(first, last - first)
        for part in parts:
            offset = part.start_bytes - start
            buffer[offset : offset + part.length_bytes] = span[
                part.start_bytes - first : part.start_bytes - first + part.length_bytes
            ]
        return bytes(buffer)
