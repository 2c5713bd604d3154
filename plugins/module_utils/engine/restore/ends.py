# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a target: what an earlier life of the disk left there must not claim the restored disk.

Marks of software and firmware RAID, of other volume managers, and the backup of a partition table lie in the last
sectors. Where the image has nothing there (the target is larger, or the last partition ends before), they would stay, and
the next start would make the restored disk a member of a RAID that is long gone.
"""

from __future__ import annotations

from typing import List, NamedTuple

from ..disk.extents import Extent
from ..disk.layout import read_layout
from ..disk.source import BlockSource
from ..image.reader import DiskReader

_MARKS_BYTES = 1 << 20


class ImageSource(BlockSource):
    """An imaged disk to be looked at like a real one; holes read as zeros."""

    def __init__(self, reader: DiskReader) -> None:
        self.path = "the image"
        self.size_bytes = reader.size_bytes
        self.sector_bytes = reader.sector_bytes
        self._reader = reader

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self.check_range(offset_bytes, length_bytes)
        return self._reader.read(offset_bytes, length_bytes)


class TargetEnd(NamedTuple):
    """``cleared`` is in no partition of the image; ``unused_bytes`` of the target lie behind the imaged disk."""

    cleared: Extent
    unused_bytes: int
    has_gpt: bool
    partition_starts: List[int]  # in bytes: boot sectors of volumes


def end_of(reader: DiskReader, target_bytes: int) -> TargetEnd:
    """Look at what lies at the end of a target of ``target_bytes`` (0: a file that is made as large as the image)."""
    size_bytes = max(target_bytes, reader.size_bytes)
    layout = read_layout(ImageSource(reader))
    partitions_end = max((one.start_bytes + one.length_bytes for one in layout.partitions), default=0)
    start = min(max(size_bytes - _MARKS_BYTES, partitions_end), size_bytes)
    starts = [one.start_bytes for one in layout.partitions]
    unused_bytes = size_bytes - reader.size_bytes
    return TargetEnd(Extent(start, size_bytes - start), unused_bytes, layout.scheme == "gpt", starts)
