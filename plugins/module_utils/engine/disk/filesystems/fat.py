# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FAT12, FAT16 and FAT32: which clusters are in use, from the file allocation tables.

Structures: Microsoft, "FAT: General Overview of On-Disk Format" 1.03 (fatgen103), sections 3 to 6.
"""

from __future__ import annotations

import re
import struct
from array import array
from typing import Iterator, List, Optional, Tuple

from ...errors import FileSystemInvalid
from ..extents import ExtentSet
from ..source import BlockSource
from .contract import MAX_EXTENTS, WINDOWS_LEFT_OUT, FileSystem, FileTree, UsedMap, VolumeState, whole
from .fat_geometry import PIECE_BYTES, FatGeometry
from .fat_tree import FatTree

_BAD_16, _BAD_32 = (
    re.compile(rb"(?=\xf7\xff)", re.DOTALL),
    re.compile(rb"(?=\xf7\xff\xff[\x0f\x1f\x2f\x3f\x4f\x5f\x6f\x7f\x8f\x9f\xaf\xbf\xcf\xdf\xef\xff])", re.DOTALL),
)
_ZERO_RUN = re.compile(rb"\x00{64,}")


class Fat(FatGeometry, FileSystem):
    """A probed FAT volume."""

    always_left_out = WINDOWS_LEFT_OUT

    @classmethod
    def probe(cls, source: BlockSource) -> Optional[FileSystem]:
        if source.size_bytes < 4096:
            return None
        boot = source.read(0, 512)
        if boot[510:] != b"\x55\xaa" or boot[0] not in (0xEB, 0xE9):
            return None
        if boot[54:57] != b"FAT" and boot[82:87] != b"FAT32":
            return None
        return cls(source, boot)

    def used(self, state: VolumeState) -> UsedMap:
        """Trust the tables where the volume is offline or frozen, marked dirty or not: they are the truth of what is
        allocated, there is no journal. Where the copies differ, what either calls used is kept.
        """
        if state is VolumeState.LIVE:
            return whole(self.source, "the FAT volume is mounted and changes while it is read")
        data_start = self._data_sector * self._sector_bytes
        used = ExtentSet([(0, data_start)])
        bad = ExtentSet()
        try:
            if state is VolumeState.OFFLINE and self._is_hibernated():
                return whole(self.source, "Windows is hibernated on the FAT volume")
            for copy in range(self._fats):
                used = used.union(ExtentSet.from_sorted(self._ranges(copy, False)))
                bad = bad.union(ExtentSet.from_sorted(self._ranges(copy, True)))
        except FileSystemInvalid as error:
            return whole(self.source, str(error))
        volume = ExtentSet([(0, self.source.size_bytes)])
        # A cluster that is marked bad may still hold data: licences of the nineties do.
        return UsedMap(used.union(bad).intersection(volume), True, "", bad.difference(used).intersection(volume))

    def _is_hibernated(self) -> bool:
        """Whether ``hiberfil.sys`` begins as while a system sleeps: HIBR, or RSTR while it wakes.

        A folder that can't be understood counts as no hibernation: the tables are trusted without the folders.
        """
        try:
            nodes = [entry.node for entry in FatTree(self).children(0) if entry.name.upper() == "HIBERFIL.SYS"]
        except FileSystemInvalid:
            return False
        places = [self.cluster_range(node, 1)[0] for node in nodes if 2 <= node < self.cluster_count + 2]
        return any(self.source.read(place, 4).upper() in (b"HIBR", b"RSTR") for place in places)

    def tree(self) -> Optional[FileTree]:
        return FatTree(self)

    def _ranges(self, copy: int, bad: bool) -> Iterator[Tuple[int, int]]:
        for number, run in enumerate(self._table_runs(copy, bad)):
            if number > MAX_EXTENTS:
                raise self.invalid("its free space is in too many pieces")
            yield self.cluster_range(*run)

    def _table_runs(self, copy: int, bad: bool) -> Iterator[Tuple[int, int]]:
        """Yield ``(cluster, count)`` of entries that are neither free nor bad, or of those that are bad."""
        start = (self._reserved + copy * self._fat_sectors) * self._sector_bytes
        table_bytes = -(-(self.cluster_count + 2) * self.bits // 8)
        for offset in range(0, table_bytes, PIECE_BYTES):
            piece = self.source.read(start + offset, min(PIECE_BYTES, table_bytes - offset))
            first = offset * 8 // self.bits
            for cluster, count in self._bad_in(piece) if bad else self._runs_in(piece):
                lowest = max(2, first + cluster)
                highest = min(first + cluster + count, self.cluster_count + 2)
                if lowest < highest:
                    yield lowest, highest - lowest

    def _runs_in(self, piece: bytes) -> Iterator[Tuple[int, int]]:
        if self.bits == 12:
            yield from _runs(_unpack12(piece), 0, 0xFF7, 0xFFF)
            return
        # Long free stretches are skipped by the regular expression engine; only what lies between is looked at.
        width = self.bits // 8
        position = 0
        for match in _ZERO_RUN.finditer(piece):
            begin = -(-match.start() // width) * width
            end = match.end() - match.end() % width
            yield from self._runs_between(piece, position, begin, width)
            position = end
        yield from self._runs_between(piece, position, len(piece) - len(piece) % width, width)

    def _bad_in(self, piece: bytes) -> Iterator[Tuple[int, int]]:
        """Found by the regular expression engine: hardly any volume has one."""
        if self.bits == 12:
            for number, entry in enumerate(_unpack12(piece)):
                if entry == 0xFF7:
                    yield number, 1
            return
        width = self.bits // 8
        for match in (_BAD_16 if width == 2 else _BAD_32).finditer(piece):
            if match.start() % width == 0:
                yield match.start() // width, 1

    def _runs_between(self, piece: bytes, begin: int, end: int, width: int) -> Iterator[Tuple[int, int]]:
        if begin >= end:
            return
        entries = array("H" if width == 2 else "I")
        entries.frombytes(piece[begin:end])
        if struct.pack("=H", 1) != struct.pack("<H", 1):
            entries.byteswap()
        bad, mask = (0xFFF7, 0xFFFF) if width == 2 else (0x0FFFFFF7, 0x0FFFFFFF)
        yield from _runs(entries.tolist(), begin // width, bad, mask)


def _runs(entries: List[int], first: int, bad: int, mask: int) -> Iterator[Tuple[int, int]]:
    start = -1
    for number, entry in enumerate(entries):
        value = entry & mask
        if value and value != bad:
            if start < 0:
                start = number
        elif start >= 0:
            yield first + start, number - start
            start = -1
    if start >= 0:
        yield first + start, len(entries) - start


def _unpack12(data: bytes) -> List[int]:
    entries = []
    for offset in range(0, len(data) - 1, 3):
        group = data[offset : offset + 3]
        entries.append(group[0] | (group[1] & 0x0F) << 8)
        if len(group) == 3:
            entries.append(group[1] >> 4 | group[2] << 4)
    return entries
