# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytes that an image holds of the gaps of a disk: outside partitions, not zero, and before the partition that follows."""

from __future__ import annotations

from typing import Iterator, Tuple

from ...disk.extents import ExtentSet
from ...image.format.constants import CHUNK_BYTES
from ...image.reader import DiskReader


class Held:
    """The bytes of a disk that are in the image, without the tables that are recreated."""

    def __init__(self, reader: DiskReader, recreated: ExtentSet) -> None:
        self._reader = reader
        self._in_use = reader.streamed().difference(recreated)

    def end_within(self, start_bytes: int, end_bytes: int) -> int:
        """The end of the last byte of a gap that is not zero, ``start_bytes`` where there is none."""
        for start, end in self._backwards(start_bytes, end_bytes):
            data = self._reader.read(start, end - start).rstrip(b"\0")
            if data:
                return start + len(data)
        return start_bytes

    def bytes_within(self, start_bytes: int, end_bytes: int) -> int:
        """How many bytes from the first to the last that is not zero."""
        return self.end_within(start_bytes, end_bytes) - start_bytes

    def _backwards(self, start_bytes: int, end_bytes: int) -> Iterator[Tuple[int, int]]:
        for one in reversed(list(self._in_use.clipped(start_bytes, end_bytes))):
            end = one.end_bytes
            while end > one.start_bytes:
                start = max(one.start_bytes, (end - 1) // CHUNK_BYTES * CHUNK_BYTES)
                yield start, end
                end = start
