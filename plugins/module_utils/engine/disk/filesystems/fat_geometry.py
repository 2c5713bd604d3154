# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The geometry of a FAT volume: its tables, its clusters and their chains."""

from __future__ import annotations

import struct
from typing import List, Optional, Tuple

from ...errors import FileSystemInvalid
from ..source import BlockSource

PIECE_BYTES = 3 << 20  # whole entries of 12, 16 and 32 bits
_PAGE_BYTES = 64 << 10  # of the table, kept while a chain is followed
_MOST_CLUSTERS = {12: 0xFF4, 16: 0xFFF4, 32: 0x0FFFFFF5}
_NOT_MIRRORED = 0x80  # one table counts, the others are as they were


class FatGeometry:
    """The content of the boot sector, on which the file system and its tree build."""

    def __init__(self, source: BlockSource, boot: bytes) -> None:
        self.source = source
        self._sector_bytes, per_cluster, reserved, fats, root_entries, total16 = struct.unpack_from("<HBHBHH", boot, 11)
        fat16_sectors = struct.unpack_from("<H", boot, 22)[0]
        total32, fat32_sectors = struct.unpack_from("<II", boot, 32)
        total = total16 or total32
        self._fat_sectors = fat16_sectors or fat32_sectors
        self._check(per_cluster, reserved, fats, total)
        self.cluster_bytes = per_cluster * self._sector_bytes
        self._fats, self._reserved = fats, reserved
        root_sectors = -(-root_entries * 32 // self._sector_bytes)
        self._data_sector = reserved + fats * self._fat_sectors + root_sectors
        if self._data_sector >= total:
            raise self.invalid("it has no space for data")
        self.cluster_count = (total - self._data_sector) // per_cluster
        self.bits = 12 if self.cluster_count < 4085 else 16 if self.cluster_count < 65525 else 32
        if not fat16_sectors:
            self.bits = 32  # mkfs.fat makes FAT32 volumes smaller than the specification allows
        if self.cluster_count > _MOST_CLUSTERS[self.bits] or (fat16_sectors and self.bits == 32):
            raise self.invalid("its clusters do not match its allocation table")
        mirroring = struct.unpack_from("<H", boot, 40)[0] if self.bits == 32 else 0
        self._is_mirrored = not mirroring & _NOT_MIRRORED
        self._active = 0 if self._is_mirrored else mirroring & 0xF
        if self._active >= fats:
            raise self.invalid("its active allocation table does not exist")
        self.kind = "fat%d" % self.bits
        self.root_cluster = struct.unpack_from("<I", boot, 44)[0] if self.bits == 32 else 0
        self._page_start, self._page = -1, b""
        self.end_bytes = total * self._sector_bytes
        if (self.cluster_count + 2) * self.bits > self._fat_sectors * self._sector_bytes * 8:
            raise self.invalid("its allocation table is too short")
        place = 67 if self.bits == 32 else 39
        serial = struct.unpack_from("<I", boot, place)[0]
        self.uuid = "%04X-%04X" % (serial >> 16, serial & 0xFFFF)
        self.label = boot[place + 4 : place + 15].decode("ascii", "replace").strip()

    @property
    def sector_bytes(self) -> int:
        return int(self._sector_bytes)

    @property
    def tables(self) -> List[Tuple[int, int]]:
        """Start and length in bytes of each copy of the allocation table."""
        length = self._fat_sectors * self._sector_bytes
        return [(self._reserved * self._sector_bytes + copy * length, length) for copy in range(self._fats)]

    @property
    def is_mirrored(self) -> bool:
        """Whether every copy of the table is kept current."""
        return self._is_mirrored

    def tables_agree(self) -> bool:
        """Whether all copies that count say the same."""
        start, length = self._reserved * self._sector_bytes, self._fat_sectors * self._sector_bytes
        for copy in range(1, self._fats if self._is_mirrored else 1):
            for offset in range(0, length, PIECE_BYTES):
                size = min(PIECE_BYTES, length - offset)
                if self.source.read(start + offset, size) != self.source.read(start + copy * length + offset, size):
                    return False
        return True

    @property
    def root_folder(self) -> Tuple[int, int]:
        """Start and length in bytes of the root folder of FAT12 and FAT16."""
        start = (self._reserved + self._fats * self._fat_sectors) * self._sector_bytes
        return start, self._data_sector * self._sector_bytes - start

    def cluster_range(self, cluster: int, count: int) -> Tuple[int, int]:
        """Start and length in bytes of ``count`` clusters."""
        start = self._data_sector * self._sector_bytes + (cluster - 2) * self.cluster_bytes
        return start, count * self.cluster_bytes

    def next_cluster(self, cluster: int) -> Optional[int]:
        """Return the cluster that follows in its chain, None at its end."""
        place = (self._reserved + self._active * self._fat_sectors) * self._sector_bytes + cluster * self.bits // 8
        page = place - place % _PAGE_BYTES
        if page != self._page_start:
            length = min(_PAGE_BYTES + 4, self.source.size_bytes - page)
            self._page_start, self._page = page, self.source.read(page, length)
        inside = place - page
        if self.bits == 12:
            pair = int(struct.unpack_from("<H", self._page, inside)[0])
            value, end = (pair >> 4 if cluster & 1 else pair & 0xFFF), 0xFF8
        elif self.bits == 16:
            value, end = int(struct.unpack_from("<H", self._page, inside)[0]), 0xFFF8
        else:
            value, end = int(struct.unpack_from("<I", self._page, inside)[0]) & 0x0FFFFFFF, 0x0FFFFFF8
        return None if value >= end else value

    def _check(self, per_cluster: int, reserved: int, fats: int, total: int) -> None:
        if self._sector_bytes not in (512, 1024, 2048, 4096):
            raise self.invalid("its sector size is impossible")
        if not per_cluster or per_cluster & (per_cluster - 1) or not reserved or not 1 <= fats <= 4:
            raise self.invalid("its boot sector contradicts itself")
        if not total or total * self._sector_bytes > self.source.size_bytes or not self._fat_sectors:
            raise self.invalid("it is larger than its volume")
        if (reserved + fats * self._fat_sectors) >= total:
            raise self.invalid("its allocation tables reach past the volume")

    def invalid(self, reason: str) -> FileSystemInvalid:
        return FileSystemInvalid(kind="FAT", path=self.source.path, reason=reason)
