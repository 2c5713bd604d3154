# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The geometry of an exFAT volume: its regions, its clusters and their chains, and what the root folder says of the volume."""

from __future__ import annotations

import struct
from typing import Iterator, List, NamedTuple, Optional, Set, Tuple

from ...errors import FileSystemInvalid
from ..extents import ExtentSet
from ..source import BlockSource

_BOOT_SECTORS = 11  # covered by the checksum in the twelfth
_BITMAP_ENTRY, _UPCASE_ENTRY, _LABEL_ENTRY = 0x81, 0x82, 0x83
_END_OF_FOLDER = 0x00
_LAST_CLUSTER = 0xFFFFFFFF
_MAX_CLUSTERS = 0xFFFFFFF5
_MAX_FOLDER_BYTES = 256 << 20  # section 7.4 (directories)
_MAX_UPCASE_BYTES = 128 << 10  # 65,536 characters
_TABLE_PAGE_BYTES = 4 << 10  # of the FAT, kept while a chain is followed: a hostile chain may need a new one each step
_MORE_STEPS, _MOST_STEPS = 1 << 20, 1 << 28  # along chains, for all files of a volume
_PAGE_BYTES = 64 << 10
Runs = List[Tuple[int, int]]  # (first cluster, clusters)


class _Root(NamedTuple):
    """The root folder's entries about the volume itself: runs of clusters, and the label."""

    bitmaps: List[Tuple[int, Runs, int]]  # which FAT it belongs to, where it is, how many bytes count
    upcase: Runs
    upcase_bytes: int
    folder: Runs
    label: str


class ExfatGeometry:
    """The content of the boot region and the root folder, on which the file system and its tree build."""

    def __init__(self, source: BlockSource, boot: bytes) -> None:
        self.source = source
        sectors = struct.unpack_from("<Q", boot, 72)[0]
        fat_offset, fat_length, heap, clusters, root, serial = struct.unpack_from("<6I", boot, 80)
        revision, self._flags = struct.unpack_from("<HH", boot, 104)
        sector_shift, cluster_shift, self._fats = boot[108], boot[109], boot[110]
        if not 9 <= sector_shift <= 12 or cluster_shift > 25 - sector_shift:
            raise self.invalid("its sector or cluster size is impossible")
        if revision >> 8 != 1 or self._fats not in (1, 2) or any(boot[11:64]):
            raise self.invalid("its boot sector contradicts itself")
        self._sector_bytes = 1 << sector_shift
        self.cluster_bytes = self._sector_bytes << cluster_shift
        self.cluster_count: int = clusters
        self.root_cluster: int = root
        self._fat_start = fat_offset * self._sector_bytes
        self.heap_start = heap * self._sector_bytes
        if not sectors or sectors * self._sector_bytes > source.size_bytes:
            raise self.invalid("it is larger than its volume")
        self.end_bytes = sectors * self._sector_bytes
        if fat_offset < 24 or heap < fat_offset + fat_length * self._fats:
            raise self.invalid("its regions overlap")
        if not 0 < clusters <= _MAX_CLUSTERS or clusters > ((sectors - heap) >> cluster_shift):
            raise self.invalid("its clusters reach past the volume")
        if (clusters + 2) * 4 > fat_length * self._sector_bytes:
            raise self.invalid("its allocation table is too short")
        self._check_boot_region()
        self._page_start, self._page = -1, b""
        self._steps_left = min(4 * clusters + _MORE_STEPS, _MOST_STEPS)
        self._root = self._read_root()
        self.label = self._root.label
        self.uuid = "%04X-%04X" % (serial >> 16, serial & 0xFFFF)

    def structures(self) -> ExtentSet:
        """Bytes of the volume's own structures: boot regions, FAT, bitmap, up-case table, root folder."""
        runs = [*self._root.folder, *self._root.upcase]
        for dummy_fat, places, dummy_length in self._root.bitmaps:
            runs += places
        return ExtentSet([(0, self.heap_start), *(self.cluster_range(*run) for run in runs)])

    def cluster_range(self, cluster: int, count: int) -> Tuple[int, int]:
        """Start and length in bytes of ``count`` clusters.

        :raises FileSystemInvalid: when they are not all on the volume.
        """
        if cluster < 2 or count < 0 or cluster + count > self.cluster_count + 2:
            raise self.invalid("clusters %d to %d are not on it" % (cluster, cluster + count - 1))
        return self.heap_start + (cluster - 2) * self.cluster_bytes, count * self.cluster_bytes

    def chain(self, first: int, most_bytes: Optional[int] = None) -> Iterator[Tuple[int, int]]:
        """Yield the runs ``(first cluster, clusters)`` of a chain of the FAT.

        :raises FileSystemInvalid: when it leaves the volume, bites its own tail, or is longer than ``most_bytes``.
        """
        most = self.cluster_count if most_bytes is None else (most_bytes + self.cluster_bytes - 1) // self.cluster_bytes
        start, count, cluster, seen = first, 1, first, 1
        visited: Set[int] = set()
        while True:
            if start in visited or seen > most:
                raise self.invalid("a chain of clusters is too long or has a loop")
            self.cluster_range(cluster, 1)
            self._steps_left -= 1
            if self._steps_left < 0:
                raise self.invalid("its chains of clusters have a loop")
            following = self._next_cluster(cluster)
            if following == cluster + 1:
                count += 1
            else:
                yield start, count
                visited.add(start)
                if following == _LAST_CLUSTER:
                    return
                start, count = following, 1
            cluster = following
            seen += 1

    def invalid(self, reason: str) -> FileSystemInvalid:
        return FileSystemInvalid(kind="exFAT", path=self.source.path, reason=reason)

    def _next_cluster(self, cluster: int) -> int:
        place = self._fat_start + cluster * 4
        page = place - place % _TABLE_PAGE_BYTES
        if page != self._page_start:
            length = min(_TABLE_PAGE_BYTES, self.source.size_bytes - page)
            self._page_start, self._page = page, self.source.read(page, length)
        return int(struct.unpack_from("<I", self._page, place - page)[0])

    def _check_boot_region(self) -> None:
        """The sum of section 3.4 over sectors 0 to 10, without the fields that change while mounted."""
        data = self.source.read(0, (_BOOT_SECTORS + 1) * self._sector_bytes)
        total = 0
        for place in range(_BOOT_SECTORS * self._sector_bytes):
            if place not in (106, 107, 112):
                total = ((total & 1) << 31) + (total >> 1) + data[place] & 0xFFFFFFFF
        wanted = data[_BOOT_SECTORS * self._sector_bytes :]
        if wanted != struct.pack("<I", total) * (self._sector_bytes // 4):
            raise self.invalid("the checksum of its boot region is wrong")

    def _read_root(self) -> _Root:
        folder = list(self.chain(self.root_cluster, _MAX_FOLDER_BYTES))
        bitmaps: List[Tuple[int, Runs, int]] = []
        upcase: Runs = []
        upcase_bytes = 0
        label = ""
        wanted = -(-self.cluster_count // 8)
        for entry in self._entries(folder):
            kind, first, length = entry[0], *struct.unpack_from("<IQ", entry, 20)
            if kind == _BITMAP_ENTRY and len(bitmaps) < 2:
                bitmaps.append((entry[1] & 1, list(self.chain(first, wanted)), length))
            elif kind == _UPCASE_ENTRY and not upcase:
                upcase, upcase_bytes = list(self.chain(first, _MAX_UPCASE_BYTES)), length
            elif kind == _LABEL_ENTRY:
                label = entry[2 : 2 + 2 * min(entry[1], 11)].decode("utf-16-le", "replace")
        if not bitmaps:
            raise self.invalid("it has no allocation bitmap")
        return _Root(bitmaps, upcase, upcase_bytes, folder, label)

    def _entries(self, runs: Runs) -> Iterator[bytes]:
        for run in runs:
            start, length = self.cluster_range(*run)
            for offset in range(0, length, _PAGE_BYTES):
                data = self.source.read(start + offset, min(_PAGE_BYTES, length - offset))
                for place in range(0, len(data), 32):
                    if data[place] == _END_OF_FOLDER:
                        return
                    yield data[place : place + 32]

    def upper_case(self) -> bytes:
        """The volume's table of upper case, two bytes for each character (section 7.2.5: runs of itself are packed)."""
        packed = b"".join(self.source.read(*self.cluster_range(*run)) for run in self._root.upcase)[
            : self._root.upcase_bytes
        ]
        table, place = bytearray(), 0
        while place + 2 <= len(packed) and len(table) < _MAX_UPCASE_BYTES:
            value = int.from_bytes(packed[place : place + 2], "little")
            place += 2
            if value == 0xFFFF and place + 2 <= len(packed):
                count, first = int.from_bytes(packed[place : place + 2], "little"), len(table) // 2
                table += b"".join(struct.pack("<H", one & 0xFFFF) for one in range(first, first + count))
                place += 2
            else:
                table += struct.pack("<H", value)
        return bytes(table[:_MAX_UPCASE_BYTES])
