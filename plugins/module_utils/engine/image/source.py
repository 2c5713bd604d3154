# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An imaged disk looked at like a real one, and the end of a target that is larger."""

from __future__ import annotations

from typing import List, NamedTuple

from ..disk.layout import DiskLayout
from ..disk.source import BlockSource
from .reader import DiskReader


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
    """``unused_bytes`` of the target follow the imaged disk."""

    unused_bytes: int
    has_gpt: bool
    partition_starts: List[int]  # in bytes: boot sectors of volumes


def end_of(reader: DiskReader, layout: DiskLayout, target_bytes: int) -> TargetEnd:
    """Look at the end of a target of ``target_bytes`` (0: a file that is made as large as the image)."""
    starts = [one.start_bytes for one in layout.partitions]
    return TargetEnd(max(target_bytes, reader.size_bytes) - reader.size_bytes, layout.scheme == "gpt", starts)
