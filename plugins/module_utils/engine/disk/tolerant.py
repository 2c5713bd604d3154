# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of which some bytes are wanted but not needed: clusters that the file system itself calls bad.

They are read where they can be; where not, they are zeros in the image, and one warning says so. Any other unreadable
byte fails the run, as without this source.
"""

from __future__ import annotations

import threading
import time
from typing import Callable, List, Sequence, Tuple

from ..errors import DiskUnreadable
from .extents import ExtentSet
from .source import BlockSource

_PAGE_BYTES = 4096
_PATIENCE_SECONDS = 120.0  # for reads that fail; a dying disk takes seconds for each


class TolerantSource(BlockSource):
    """``source``, whose ``wanted`` bytes read as zeros where they can't be read. Closes it."""

    def __init__(self, source: BlockSource, wanted: ExtentSet, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = source.path
        self.size_bytes = source.size_bytes
        self.sector_bytes = source.sector_bytes
        self._source = source
        self._wanted = wanted.aligned(max(source.sector_bytes, 512))
        self._clock = clock
        self._lost: List[Tuple[int, int]] = []
        self._spent = 0.0
        self._lock = threading.Lock()

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        data = bytearray(length_bytes)
        self.read_into(offset_bytes, memoryview(data))
        return bytes(data)

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        try:
            self._source.read_into(offset_bytes, buffer)
        except DiskUnreadable:
            end = offset_bytes + len(buffer)
            bad = list(self._wanted.clipped(offset_bytes, end))
            if not bad:
                raise
            self._read_around(offset_bytes, buffer, bad)

    def _read_around(self, offset: int, buffer: memoryview, wanted: Sequence[Tuple[int, int]]) -> None:
        position, end = offset, offset + len(buffer)
        for start, length in wanted:
            if start > position:
                self._source.read_into(position, buffer[position - offset : start - offset])
            self._read_wanted(start, buffer[start - offset : start + length - offset])
            position = start + length
        if position < end:
            self._source.read_into(position, buffer[position - offset :])

    def _read_wanted(self, start: int, buffer: memoryview) -> None:
        """Page by page, so that a bad sector costs no good one."""
        if self._try(start, buffer):
            return
        for place in range(0, len(buffer), _PAGE_BYTES):
            part = buffer[place : place + _PAGE_BYTES]
            if not self._try(start + place, part):
                part[:] = bytes(len(part))
                with self._lock:
                    self._lost.append((start + place, len(part)))

    def _try(self, start: int, buffer: memoryview) -> bool:
        if self._spent > _PATIENCE_SECONDS:
            return False
        began = self._clock()
        try:
            self._source.read_into(start, buffer)
        except DiskUnreadable:
            with self._lock:
                self._spent += self._clock() - began
            return False
        return True

    def data_ranges(self, start_bytes: int, end_bytes: int) -> List[Tuple[int, int]]:
        return self._source.data_ranges(start_bytes, end_bytes)

    def expect_small_reads(self, small: bool) -> None:
        self._source.expect_small_reads(small)

    def close(self) -> None:
        self._source.close()

    @property
    def lost(self) -> ExtentSet:
        """The parts that could not be read."""
        with self._lock:
            return ExtentSet(self._lost)

    def warnings(self) -> List[str]:
        """One for the disk, none where everything could be read."""
        lost = self.lost
        if not lost:
            return []
        first = next(iter(lost))
        return [
            "%s: %d bytes in %d places (the first at byte %d), which a file system lists as bad, are unreadable; "
            "they are zeros in the image." % (self.path, lost.total_bytes, len(lost), first.start_bytes)
        ]
