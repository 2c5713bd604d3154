# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the intact data of a damaged image: zeros in the place of lost chunks, and a list of them.

Only for an explicit yes. A lost segment of the index costs 256 MiB of disk; without manifest and root nothing
of a disk can be found.
"""

from __future__ import annotations

import threading
from typing import Dict, List, NamedTuple, Optional, Tuple

from ..disk.extents import ExtentSet
from ..errors import ChunkMissing, ImageError, StorageNotFound
from ..image.format import constants as fmt
from ..image.format.index import Root, Segment
from ..image.format.root_columns import Place
from ..image.reader import DiskReader, ImageReader, Piece

_LOST = (ImageError, StorageNotFound)


class Lost(NamedTuple):
    """A range of the disk that can't be read any more, and why."""

    start_bytes: int
    length_bytes: int
    reason: str


class SalvagingReader(DiskReader):
    """A disk of a damaged image; :attr:`lost` grows while it is read."""

    def __init__(self, image: ImageReader, root: Root) -> None:
        super().__init__(image, root)
        self._lost: Dict[int, Lost] = {}
        self._lost_segments: Dict[int, Segment] = {}
        self._missing: Dict[str, str] = {}  # packs that were looked for everywhere, and the error
        self._guard = threading.Lock()

    @property
    def lost(self) -> List[Lost]:
        """The losses in the data read so far, in order, neighbours joined."""
        joined: List[Lost] = []
        for one in sorted(self._lost.values()):
            last = joined[-1] if joined else None
            if last is not None and last.start_bytes + last.length_bytes == one.start_bytes:
                joined[-1] = last._replace(length_bytes=last.length_bytes + one.length_bytes)
            else:
                joined.append(one)
        return joined

    def lost_within(self, allowed: ExtentSet) -> List[Lost]:
        """:attr:`lost`, cut to what a restore writes."""
        return [
            Lost(part.start_bytes, part.length_bytes, one.reason)
            for one in self.lost
            for part in allowed.clipped(one.start_bytes, one.start_bytes + one.length_bytes)
        ]

    def read_all(self) -> None:
        """Read the whole disk to learn what is lost of it."""
        for dummy in self.stream():
            pass

    def prove_index(self) -> None:
        """Load every segment; those that are lost are noted."""
        for number in range(len(self.root.segments)):
            self.segment(number)

    def segment(self, number: int) -> Segment:
        if number in self._lost_segments:
            return self._lost_segments[number]
        try:
            return super().segment(number)
        except _LOST as error:
            count = self.root.chunks_of(number)
            empty = Segment(count)
            # Treated as in use and zero: which part was in use is unknown, and the target's old data there must not
            # stay.
            empty.set_ids(0, fmt.ZERO_ID * count)
            self._lost_segments[number] = empty
            start = number * fmt.SEGMENT_BYTES
            length = min(fmt.SEGMENT_BYTES, self.size_bytes - start)
            self._note(Lost(start, length, "a part of the index is lost: %s" % error))
            return empty

    def _decode(self, number: int, task: List[Tuple[int, bytes, Optional[Place]]]) -> List[Piece]:
        if self._missing.keys().isdisjoint({place.pack for dummy, dummy_id, place in task if place is not None}):
            try:
                return super()._decode(number, task)
            except _LOST:
                pass  # which of the chunks it was shows below, one by one
        return [piece for one in task for piece in self._decode_one(number, one)]

    def _decode_one(self, number: int, one: Tuple[int, bytes, Optional[Place]]) -> List[Piece]:
        position, dummy, place = one
        reason = self._missing.get(place.pack, "") if place is not None else ""
        if not reason:
            try:
                return super()._decode(number, [one])
            except _LOST as error:
                reason = str(error)
                if place is not None and isinstance(error, ChunkMissing):
                    self._missing[place.pack] = reason
        start, length = self._range(number, position)
        self._note(Lost(start, length, reason))
        return [Piece(start, length, None)]

    def _chunk(self, number: int, position: int) -> bytes:
        try:
            return super()._chunk(number, position)
        except _LOST as error:
            start, length = self._range(number, position)
            self._note(Lost(start, length, str(error)))
            return bytes(length)

    def _note(self, lost: Lost) -> None:
        with self._guard:
            self._lost.setdefault(lost.start_bytes, lost)


def salvaging(image: ImageReader, number: int) -> SalvagingReader:
    """Open a disk of a damaged image.

    :raises ImageError: when its root can't be read: then nothing of it can be found.
    """
    return SalvagingReader(image, image.disk(number).root)
