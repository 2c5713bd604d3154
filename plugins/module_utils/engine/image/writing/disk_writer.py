# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images one disk: segment by segment, comparing with what earlier images hold."""

from __future__ import annotations

from typing import AbstractSet, Callable, Dict, Iterator, List, Optional, Set

from ...disk.extents import ExtentSet
from ...disk.source import BlockSource
from ..format import constants as fmt
from ..format.index import Root, Segment
from ..format.root_columns import Place, SegmentReference
from ..segments import PackReader, load_segment
from .disk_progress import DiskProgress
from .lookup import Lookup
from .pack_counts import PackCounts
from .pack_stream import PackStream
from .pending_segments import PendingSegments
from .pipeline import ChunkWorker, Ids, WorkedChunk
from .previous import Previous

_CHECKPOINT_SEGMENTS = 16  # 4 GiB of disk between two checkpoints
_AHEAD_SEGMENTS = 3  # identified while chunks of an earlier one are compressed, so that no worker waits


class DiskWriter:
    """Builds the index of one disk, sending what is not stored yet."""

    def __init__(
        self,
        stream: PackStream,
        reader: PackReader,
        source: BlockSource,
        used: ExtentSet,
        find: Callable[[PackReader, PackCounts], Lookup],
        *,
        level: int,
        workers: int,
        progress: Callable[[int], None],
        checkpoint: Callable[[Root], None],
    ) -> None:
        self._stream = stream
        self._reader = reader
        self._worker = ChunkWorker(source, used, stream.key, level, workers)
        self._done = DiskProgress(used, progress)
        self._checkpoint = checkpoint
        self._counts = PackCounts(stream.sizes)
        self._lookup: Optional[Lookup] = find(reader, self._counts)
        self._ahead: Dict[int, Iterator[Ids]] = {}
        self.root = Root(source.size_bytes, source.sector_bytes)
        self._segments: List[SegmentReference] = []
        self.root.segments = self._segments
        self._pending = PendingSegments(stream, reader.identifier, self._counts, self._segments)

    def run(self) -> Root:
        """Image the whole disk; its packs are cut, not yet all stored."""
        self._pending.listen()
        self._done.begin()
        for number in range(self.root.segment_count):
            self._segments.append(SegmentReference(fmt.HOLE_ID, None, 0))
            self._image_segment(number)
            self._done.segment(number)
            if number % _CHECKPOINT_SEGMENTS == _CHECKPOINT_SEGMENTS - 1 and not self._pending.is_empty():
                self._pending.settle()
                self._stream.drain()
                self._checkpoint(self._partial_root())
        self._pending.settle()
        self._ahead.clear()
        self._counts.settle(self.root, self._load_reference)
        self._lookup = None  # its roots are not needed for repairs
        self._list_packs()
        return self.root

    def resend(self, lost: Set[str]) -> None:
        """Make again every segment that is stored in, or refers to, a lost pack."""
        self._pending.listen()
        for number, reference in enumerate(list(self.root.segments)):
            if reference.place is None:
                continue
            count = self.root.chunks_of(number)
            segment = None if reference.place.pack in lost else self._load_reference(reference, count)
            if segment is None or not lost.isdisjoint(segment.packs_named()):
                if segment is not None:
                    self._counts.count(segment, reference, -1)
                else:
                    self._counts.is_in_doubt = True
                self._store(number, Segment(count), self._worker.in_use(number, count))
        self._pending.settle()
        self._counts.forget(lost)  # every reference to them has been replaced
        self._list_packs()

    def close(self) -> None:
        self._worker.close()

    # -- one segment --------------------------------------------------------------------------------------------------

    def _image_segment(self, number: int) -> None:
        count = self.root.chunks_of(number)
        positions = self._worker.in_use(number, count)
        if not positions:
            return
        if self._lookup is None or not (number in self._ahead or self._lookup.may_hold(number, count, len(positions))):
            self._store(number, Segment(count), positions)
            return
        fresh = Segment(count)
        for first, ids in self._identified(number, self._lookup):
            fresh.set_ids(first, ids)
            self._done.chunks(number, first + len(ids) // fmt.ID_BYTES)
        segment_id = self._reader.identifier.segment(bytes(fresh.ids))
        for previous, other in self._lookup.same(number, segment_id):
            if self._share(number, previous, other, self._lookup):
                self._lookup.shared(previous, number, len(positions))
                return
        anew = self._lookup.fill(number, fresh, self._stream.learn_segment)
        self._store(number, fresh, fresh.without_place(), anew)

    def _identified(self, number: int, lookup: Lookup) -> Iterator[Ids]:
        """The ids of a segment. At the end it begins some segments that follow, so that the workers stay busy while the
        caller handles this one."""
        ahead = self._ahead.pop(number, None)
        yield from self._worker.identify(number, self.root.chunks_of(number)) if ahead is None else ahead
        for following in range(number + 1, min(number + 1 + _AHEAD_SEGMENTS, self.root.segment_count)):
            count = self.root.chunks_of(following)
            if following not in self._ahead and lookup.seems_to_hold(following, count, count):
                self._ahead[following] = self._worker.identify(following, count)

    def _share(self, number: int, previous: Previous, other: int, lookup: Lookup) -> bool:
        """Take over an unchanged segment by reference, without loading it where nothing speaks against it."""
        reference = previous.reference(other)
        if previous.is_whole:
            self._segments[number] = reference
            self._counts.share(number, previous)
            return True
        segment = lookup.load(previous, other)
        if segment is None or reference.place is None or reference.place.pack not in previous.usable:
            return False
        if not segment.packs_named() <= previous.usable:
            return False
        self._counts.count(segment, reference, 1)
        self._segments[number] = reference
        return True

    def _store(self, number: int, fresh: Segment, positions: List[int], anew: AbstractSet[int] = frozenset()) -> None:
        """Fill ``fresh`` at ``positions`` and queue it for the index; what is ``anew`` leaves the packs of earlier runs."""
        self._pending.fill(fresh)

        def find(position: int, chunk_id: bytes) -> Optional[Place]:
            return self._stream.find(chunk_id, position in anew)

        for chunk in self._worker.prepare(number, positions, find):
            place = find(chunk.position, chunk.chunk_id)
            if place is None and chunk.data is None and chunk.chunk_id != fmt.ZERO_ID:
                # A worker saw it in a pack that was cut since, and the table of known chunks is full: prepare it again.
                chunk = next(iter(self._worker.prepare(number, [chunk.position], lambda position, chunk_id: None)))
            fresh.set_ids(chunk.position, chunk.chunk_id)
            self._done.chunks(number, chunk.position + 1)
            if chunk.chunk_id == fmt.ZERO_ID:
                continue
            fresh.set_place(chunk.position, place or self._add(chunk))
            if self._stream.is_full:
                self._stream.cut()
        self._pending.add_filled(number)

    def _add(self, chunk: WorkedChunk) -> Place:
        if chunk.data is None:
            raise AssertionError("a chunk was neither known nor compressed")
        return self._stream.add(fmt.KIND_CHUNK, chunk.chunk_id, chunk.plain_bytes, chunk.codec, chunk.data)

    # -- how much of each pack is needed ------------------------------------------------------------------------------

    def _list_packs(self) -> None:
        """:raises PreviousFalse: when an earlier index contradicts itself."""
        if self._counts.is_in_doubt:
            self._stream.drain()
            self._counts.recount(self.root, self._load_reference)
        self.root.packs = self._counts.list_packs()

    def _partial_root(self) -> Root:
        """The state so far, for a run that may have to continue after this one was killed."""
        root = Root(self.root.size_bytes, self.root.sector_bytes)
        root.segments = list(self.root.segments)
        root.packs = self._counts.list_for_checkpoint()
        return root

    def _load_reference(self, reference: SegmentReference, count: int) -> Optional[Segment]:
        """A segment of the new or an earlier index, None where it is lost: verify reports the damage."""
        return load_segment(self._reader, reference, count)
