# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images one disk: segment by segment, comparing with what the previous image holds at the same place."""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from ..disk.extents import ExtentSet
from ..disk.source import BlockSource
from ..errors import ChunkMissing, ImageDamaged
from . import format as fmt
from .index import PackNeed, Place, Root, Segment, SegmentReference
from .pack_stream import UNNAMED, PackStream
from .packs import ENTRY_BYTES
from .pipeline import ChunkWorker, Ids, WorkedChunk
from .seal import Compressor
from .segments import PackReader

_CHECKPOINT_SEGMENTS = 16  # 4 GiB of disk between two checkpoints
_MAX_PENDING_SEGMENTS = 64  # some 12 MB of memory
_AHEAD_SEGMENTS = 3  # identified while chunks of an earlier one are compressed, so that no worker waits
_REPORT_CHUNKS = 64  # 4 MiB: a slow disk read at a limit is seen to move


class Previous(NamedTuple):
    """An earlier index of the same disk, whole or left by an interrupted run."""

    image: str
    root: Root
    usable: Set[str]  # the packs that the new image may rely on
    complete: bool


class PreviousFalse(Exception):
    """The previous index contradicts itself: it was made to, or a defect made it so. Never leaves the writer."""


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
        previous: List[Previous],
        *,
        level: int,
        workers: int,
        progress: Callable[[int], None],
        checkpoint: Callable[[Root], None],
    ) -> None:
        self._stream = stream
        self._reader = reader
        self._used = used
        self._previous = previous
        self._worker = ChunkWorker(source, used, stream.key, level, workers)
        self._compressor = Compressor(3)
        self._progress = progress
        self._checkpoint = checkpoint
        self._done_bytes = 0
        self._done_until = 0
        self._filling: Optional[Segment] = None
        self._pending: List[Tuple[int, Segment]] = []
        self._unnamed_references: List[int] = []
        self._base = next((earlier for earlier in previous if earlier.complete), None)
        self._sizes = stream.sizes
        for earlier in previous:
            self._sizes.update({name: need.size_bytes for name, need in earlier.root.packs.items()})
        self._needed: Dict[str, int] = {}
        self._in_doubt = False
        self._ahead: Dict[int, Iterator[Ids]] = {}
        self.root = Root(source.size_bytes, source.sector_bytes)
        if self._base is not None:
            self._needed = {name: need.needed_bytes for name, need in self._base.root.packs.items()}

    def run(self) -> Root:
        """Image the whole disk; its packs are cut, not yet all stored."""
        self._stream.on_named = self._named
        self._progress(0)
        for number in range(self.root.segment_count):
            self.root.segments.append(SegmentReference(fmt.HOLE_ID, None, 0))
            self._image_segment(number)
            self._report((number + 1) * fmt.SEGMENT_BYTES)
            if number % _CHECKPOINT_SEGMENTS == _CHECKPOINT_SEGMENTS - 1 and self._pending:
                self._settle()
                self._stream.drain()
                self._checkpoint(self._partial_root())
        self._settle()
        self._forget_missing_tail()
        self._recount_if_in_doubt()
        self._list_packs()
        return self.root

    def repair(self, lost: Set[str]) -> None:
        """Make anew every segment that lies in, or refers to, a lost pack."""
        self._stream.on_named = self._named
        for number, reference in enumerate(list(self.root.segments)):
            if reference.place is None:
                continue
            segment = None if reference.place.pack in lost else self._try_load(reference, number)
            if segment is None or not lost.isdisjoint(segment.packs_named()):
                if segment is not None:
                    self._count(segment, reference, -1)
                else:
                    self._in_doubt = True
                count = self.root.chunks_of(number)
                self._store(number, Segment(count), self._worker.in_use(number, count))
        self._settle()
        if any(needed < 0 for needed in self._needed.values()):
            self._in_doubt = True  # the previous index said too little of a pack
        for name in lost:  # every reference to them has been replaced
            self._needed.pop(name, None)
        self._recount_if_in_doubt()
        self._list_packs()

    def close(self) -> None:
        self._worker.close()

    # -- one segment --------------------------------------------------------------------------------------------------

    def _image_segment(self, number: int) -> None:
        count = self.root.chunks_of(number)
        positions = self._worker.in_use(number, count)
        candidates = self._candidates(number)
        if not positions or not candidates:
            self._uncount_base(number)
            if positions:
                self._store(number, Segment(count), positions)
            return
        fresh = Segment(count)
        for first, ids in self._identified(number):
            fresh.set_ids(first, ids)
            self._report_chunks(number, first + len(ids) // fmt.ID_BYTES)
        segment_id = self._reader.identifier.segment(bytes(fresh.ids))
        for earlier, reference in candidates:
            if reference.segment_id == segment_id and self._share(number, earlier, reference):
                return
        self._store_changed(number, fresh)

    def _candidates(self, number: int) -> List[Tuple[Previous, SegmentReference]]:
        return [
            (earlier, earlier.root.segments[number])
            for earlier in self._previous
            if number < len(earlier.root.segments) and earlier.root.segments[number].place is not None
        ]

    def _identified(self, number: int) -> Iterator[Ids]:
        """The ids of a segment. At the end some that follow are begun, so that the workers have something to do meanwhile."""
        ahead = self._ahead.pop(number, None)
        yield from self._worker.identify(number, self.root.chunks_of(number)) if ahead is None else ahead
        for following in range(number + 1, min(number + 1 + _AHEAD_SEGMENTS, self.root.segment_count)):
            if following not in self._ahead and self._candidates(following):
                self._ahead[following] = self._worker.identify(following, self.root.chunks_of(following))

    def _share(self, number: int, earlier: Previous, reference: SegmentReference) -> bool:
        """Take over an unchanged segment by reference, without loading it where nothing speaks against it."""
        if earlier.complete and len(earlier.usable) == len(earlier.root.packs):
            self.root.segments[number] = reference
            return True
        segment = self._try_load(reference, number)
        if segment is None or reference.place is None or reference.place.pack not in earlier.usable:
            return False
        if not segment.packs_named() <= earlier.usable:
            return False
        self._uncount_base(number)
        self._count(segment, reference, 1)
        self.root.segments[number] = reference
        return True

    def _store_changed(self, number: int, fresh: Segment) -> None:
        """Take over what lies at the same place; what is new is read again and stored."""
        old: List[Tuple[Segment, Set[str]]] = []
        for earlier in self._previous:
            if number < len(earlier.root.segments):
                segment = self._try_load(earlier.root.segments[number], number)
                if segment is not None and segment.count == fresh.count:
                    old.append((segment, earlier.usable))
        self._uncount_base(number)
        for segment, usable in old:
            fresh.take_places(segment, usable)
            self._stream.learn_segment(segment, usable)  # a file that moved is found again
        self._store(number, fresh, fresh.without_place())

    def _store(self, number: int, fresh: Segment, positions: List[int]) -> None:
        """Fill ``fresh`` at ``positions`` and queue it for the index."""
        self._filling = fresh
        for chunk in self._worker.prepare(number, positions, lambda position, chunk_id: self._stream.find(chunk_id)):
            place = self._stream.find(chunk.chunk_id)
            if place is None and chunk.data is None and chunk.chunk_id != fmt.ZERO_ID:
                # A worker saw it in a pack that was cut since, and the table of known chunks is full: once more.
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
                self.root.segments[number] = SegmentReference(segment_id, named, plain_bytes)
                self._needed[pack] = self._needed.get(pack, 0) + place.stored_bytes + ENTRY_BYTES
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
            self.root.segments[number] = SegmentReference(segment_id, place, len(plain))
            self._unnamed_references.append(number)
            self._count(segment, None, 1)
            if self._stream.is_full:
                self._stream.cut()
        self._stream.cut()

    # -- how much of each pack is needed ------------------------------------------------------------------------------

    def _count(self, segment: Segment, reference: Optional[SegmentReference], sign: int) -> None:
        if reference is not None and reference.place is not None:
            pack = reference.place.pack
            self._needed[pack] = self._needed.get(pack, 0) + sign * (reference.place.stored_bytes + ENTRY_BYTES)
        for pack, needed in segment.stored_bytes_by_pack(ENTRY_BYTES).items():
            self._needed[pack] = self._needed.get(pack, 0) + sign * needed

    def _uncount_base(self, number: int) -> None:
        """Take back what the previous image needs for a segment that the new one does not share."""
        if self._base is None or number >= len(self._base.root.segments):
            return
        reference = self._base.root.segments[number]
        if reference.place is None:
            return
        segment = self._try_load(reference, number)
        if segment is not None:
            self._count(segment, reference, -1)
        else:
            self._in_doubt = True

    def _recount_if_in_doubt(self) -> None:
        """Where a segment of the previous image is lost nobody knows what it needed: read what the new one needs.

        Without this its packs would stay listed, and stored, in every image to come.
        """
        if not self._in_doubt:
            return
        self._stream.drain()
        listed, self._needed = self._needed, {}
        for number, reference in enumerate(self.root.segments):
            if reference.place is None:
                continue
            segment = self._try_load(reference, number)
            if segment is None:
                self._needed = listed  # too many is safe; the next run asks again
                return
            self._count(segment, reference, 1)
        self._in_doubt = False

    def _list_packs(self) -> None:
        """List what is needed, and how much of it.

        :raises PreviousFalse: when what the previous index said of its packs was not true of its segments.
        """
        if any(needed < 0 or name not in self._sizes for name, needed in self._needed.items()):
            raise PreviousFalse
        self.root.packs = {
            name: PackNeed(self._sizes[name], min(needed, fmt.MAX_DISK_BYTES))
            for name, needed in sorted(self._needed.items())
            if needed > 0
        }

    def _partial_root(self) -> Root:
        """What is done so far, for a run that may have to go on after this one was killed."""
        root = Root(self.root.size_bytes, self.root.sector_bytes)
        root.segments = list(self.root.segments)
        names = {name for name, needed in self._needed.items() if needed > 0}
        root.packs = {name: PackNeed(self._sizes[name], max(0, self._needed[name])) for name in sorted(names)}
        return root

    def _forget_missing_tail(self) -> None:
        """A base that is listed as longer than this disk would keep packs for nothing; sizes are equal, so never."""
        if self._base is not None and len(self._base.root.segments) > len(self.root.segments):
            raise AssertionError("the previous index is longer than the disk")

    def _try_load(self, reference: SegmentReference, number: int) -> Optional[Segment]:
        if reference.place is None:
            return None
        try:
            return self._reader.segment(reference, self.root.chunks_of(number), "before")
        except (ImageDamaged, ChunkMissing):
            return None  # its chunks are sent again; verify reports the damage

    def _report_chunks(self, number: int, until: int) -> None:
        """The chunks of a segment in front of ``until`` are done."""
        self._report(number * fmt.SEGMENT_BYTES + until // _REPORT_CHUNKS * _REPORT_CHUNKS * fmt.CHUNK_BYTES)

    def _report(self, end_bytes: int) -> None:
        """Everything in front of ``end_bytes`` is done. What is read a second time, to be stored or repaired, counts once."""
        if end_bytes <= self._done_until:
            return
        done_bytes = sum(extent.length_bytes for extent in self._used.clipped(self._done_until, end_bytes))
        self._done_until = end_bytes
        if done_bytes:
            self._done_bytes += done_bytes
            self._progress(self._done_bytes)
