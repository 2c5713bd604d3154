# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Segments that wait for the names of their packs, and then become blobs of the index themselves."""

from __future__ import annotations

from typing import List, Optional, Tuple

from ..format import constants as fmt
from ..format.index import Segment
from ..format.root_columns import SegmentReference
from ..format.seal import Compressor, Identifier
from .pack_counts import PackCounts
from .pack_stream import UNNAMED, PackStream

_MAX_PENDING_SEGMENTS = 64  # about 12 MB of memory
_LEVEL = 3


class PendingSegments:
    """A segment names the packs of its chunks, and a pack has its name only when it is full: so a segment waits here
    until its last pack is named, and goes into the pack after that one."""

    def __init__(
        self, stream: PackStream, identifier: Identifier, counts: PackCounts, references: List[SegmentReference]
    ) -> None:
        """:param references: of the disk's segments, in order; those that wait here are set when they are settled."""
        self._stream = stream
        self._identifier = identifier
        self._counts = counts
        self._references = references
        self._compressor = Compressor(_LEVEL)
        self._filling: Optional[Segment] = None
        self._waiting: List[Tuple[int, Segment]] = []
        self._unnamed: List[int] = []  # segments in the pack that is being filled

    def listen(self) -> None:
        """Get the names of the stream's packs from now on; the disks of a run use one stream in turn."""
        self._stream.on_named = self._named

    def is_empty(self) -> bool:
        return not self._waiting

    def fill(self, segment: Segment) -> None:
        """The caller begins to fill ``segment`` with places; those in an unnamed pack get its name as soon as it has one."""
        self._filling = segment

    def add_filled(self, number: int) -> None:
        """The segment that was being filled is complete, and is the one of this ``number``."""
        if self._filling is None:
            raise AssertionError("no segment was being filled")
        self._waiting.append((number, self._filling))
        self._filling = None
        if len(self._waiting) >= _MAX_PENDING_SEGMENTS:
            self.settle()

    def settle(self) -> None:
        """Give every waiting segment its place: name its packs, store it, name the pack that holds it."""
        if not self._waiting:
            return
        if any(segment.has_pack(UNNAMED) for dummy, segment in self._waiting):
            self._stream.cut()
        waiting, self._waiting = self._waiting, []
        for number, segment in waiting:
            plain = segment.encode()
            segment_id = self._identifier.segment(bytes(segment.ids))
            codec, packed = self._compressor.compress(plain)
            place = self._stream.add(fmt.KIND_SEGMENT, segment_id, len(plain), codec, packed)
            self._references[number] = SegmentReference(segment_id, place, len(plain))
            self._unnamed.append(number)
            self._counts.count(segment, None, 1)
            if self._stream.is_full:
                self._stream.cut()
        self._stream.cut()

    def _named(self, pack: str) -> None:
        for dummy, segment in self._waiting:
            segment.rename_pack(UNNAMED, pack)
        if self._filling is not None:
            self._filling.rename_pack(UNNAMED, pack)
        for number in self._unnamed:
            segment_id, place, plain_bytes = self._references[number]
            if place is not None:
                self._references[number] = SegmentReference(segment_id, place._replace(pack=pack), plain_bytes)
                self._counts.count_index(pack, place.stored_bytes)
        self._unnamed = []
