# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images one disk: segment by segment, comparing with what earlier images hold."""

from __future__ import annotations

from typing import AbstractSet, Callable, Dict, Iterator, List, Optional, Set, Tuple

from ...disk.extents import ExtentSet
from ...disk.source import BlockSource
from ..format import constants as fmt
from ..format.index import Root, Segment
from ..format.root_columns import Place, SegmentReference
from ..format.seal import Compressor
from ..segments import PackReader, load_segment
from .lookup import Lookup
from .pack_counts import PackCounts
from .pack_stream import UNNAMED, PackStream
from .pipeline import ChunkWorker, Ids, WorkedChunk
from .previous import Previous

_CHECKPOINT_SEGMENTS = 16  # 4 GiB of disk between two checkpoints
_MAX_PENDING_SEGMENTS = 64  # about 12 MB of memory
_AHEAD_SEGMENTS = 3  # identified while chunks of an earlier one are compressed, so that no worker waits
_REPORT_CHUNKS = 64  # 4 MiB: a slow disk read at a limit is seen to move


class DiskWriter:
    """Builds the index of one disk, sending what is not stored yet.

    A segment names the packs of its chunks, and a pack has its name only when it is full: so a segment waits in
    ``_pending`` until its last pack is named, and goes into the pack after that one.
    """

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
        self._used = used
        self._worker = ChunkWorker(source, used, stream.key, level, workers)
        self._compressor = Compressor(3)
        self._progress = progress
        self._checkpoint = checkpoint
        self._done_bytes = 0
        self._done_until = 0
        self._filling: Optional[Segment] = None
        self._pending: List[Tuple[int, Segment]] = []
        self._unnamed_references: List[int] = []
        self._counts = PackCounts(stream.sizes)
        self._lookup: Optional[Lookup] = find(reader, self._counts)
        self._ahead: Dict[int, Iterator[Ids]] = {}
        self.root = Root(source.size_bytes, source.sector_bytes)
        self._segments: List[SegmentReference] = []
        self.root.segments = self._segments

    def run(self) -> Root:
        """Image the whole disk; its packs are cut, not yet all stored."""
        self._stream.on_named = self._named
        self._progress(0)
        for number in range(self.root.segment_count):
            self._segments.append(SegmentReference(fmt.HOLE_ID, None, 0))
            self._image_segment(number)
            self._report((number + 1) * fmt.SEGMENT_BYTES)
            if number % _CHECKPOINT_SEGMENTS == _CHECKPOINT_SEGMENTS - 1 and self._pending:
                self._settle()
                self._stream.drain()
                self._checkpoint(self._partial_root())
        self._settle()
        self._ahead.clear()
        self._counts.settle(self.root, self._load_reference)
        self._lookup = None  # its roots are not needed for repairs
        self._list_packs()
        return self.root

    def resend(self, lost: Set[str]) -> None:
        """Make again every segment that is stored in, or refers to, a lost pack."""
        self._stream.on_named = self._named
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
        self._settle()
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
            self._report_chunks(number, first + len(ids) // fmt.ID_BYTES)
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
        self._filling = fresh

        def find(position: int, chunk_id: bytes) -> Optional[Place]:
            return self._stream.find(chunk_id, position in anew)

        for chunk in self._worker.prepare(number, positions, find):
            place = find(chunk.position, chunk.chunk_id)
            if place is None and chunk.data is None and chunk.chunk_id != fmt.ZERO_ID:
                # A worker saw it in a pack that was cut since, and the table of known chunks is full: prepare it again.
                chunk = next(iter(self._worker.prepare(number, [chunk.position], lambda position, chunk_id: None)))
            fresh.set_ids(chunk.position, chunk.chunk_id)
            self._report_chunks(number, chunk.position + 1)
            if chunk.chunk_id == fmt.ZERO_ID:
                continue
            fresh.set_place(chunk.position, place or self._add(chunk))
            if self._stream.is_full:
                self._stream.cut()
        self._filling = None
        self._pending.append((number, fresh))
        if len(self._pending) >= _MAX_PENDING_SEGMENTS:
            self._settle()

    def _add(self, chunk: WorkedChunk) -> Place:
        if chunk.data is None:
            raise AssertionError("a chunk was neither known nor compressed")
        return self._stream.add(fmt.KIND_CHUNK, chunk.chunk_id, chunk.plain_bytes, chunk.codec, chunk.data)

    # -- names come late ----------------------------------------------------------------------------------------------

    def _named(self, pack: str) -> None:
        for dummy, segment in self._pending:
            segment.rename_pack(UNNAMED, pack)
        if self._filling is not None:
            self._filling.rename_pack(UNNAMED, pack)
        for number in self._unnamed_references:
            segment_id, place, plain_bytes = self.root.segments[number]
            if place is not None:
                named = place._replace(pack=pack)
                self._segments[number] = SegmentReference(segment_id, named, plain_bytes)
                self._counts.count_index(pack, place.stored_bytes)
        self._unnamed_references = []

    def _settle(self) -> None:
        """Give every pending segment its place: name its packs, store it, name the pack that holds it."""
        if not self._pending:
            return
        if any(segment.has_pack(UNNAMED) for dummy, segment in self._pending):
            self._stream.cut()
        pending, self._pending = self._pending, []
        for number, segment in pending:
            plain = segment.encode()
            segment_id = self._reader.identifier.segment(bytes(segment.ids))
            codec, packed = self._compressor.compress(plain)
            place = self._stream.add(fmt.KIND_SEGMENT, segment_id, len(plain), codec, packed)
            self._segments[number] = SegmentReference(segment_id, place, len(plain))
            self._unnamed_references.append(number)
            self._counts.count(segment, None, 1)
            if self._stream.is_full:
                self._stream.cut()
        self._stream.cut()

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

    def _report_chunks(self, number: int, until: int) -> None:
        """The chunks of a segment in front of ``until`` are done."""
        self._report(number * fmt.SEGMENT_BYTES + until // _REPORT_CHUNKS * _REPORT_CHUNKS * fmt.CHUNK_BYTES)

    def _report(self, end_bytes: int) -> None:
        """All bytes in front of ``end_bytes`` are done. Bytes that are read a second time, to be stored or repaired,
        count once."""
        if end_bytes <= self._done_until:
            return
        done_bytes = sum(extent.length_bytes for extent in self._used.clipped(self._done_until, end_bytes))
        self._done_until = end_bytes
        if done_bytes:
            self._done_bytes += done_bytes
            self._progress(self._done_bytes)
