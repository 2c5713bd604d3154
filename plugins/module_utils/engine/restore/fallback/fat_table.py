# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The allocation table of a FAT volume in memory: chains are followed, clusters allocated, and the changed sectors of every copy are patches.

Structures: Microsoft, "FAT: General Overview of On-Disk Format" 1.03 (fatgen103), sections 4 and 5.
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import Iterator, List, Sequence, Set, Tuple

from ...disk.filesystems.fat_geometry import FatGeometry

MOST_CLUSTERS = 1 << 22  # an EFI partition has far fewer; the table of this many has 16 MiB
_PATCH_BYTES = 512
_ENDS = {12: 0xFF8, 16: 0xFFF8, 32: 0x0FFFFFF8}
_LAST = {12: 0xFFF, 16: 0xFFFF, 32: 0x0FFFFFFF}
# In entry 1, while a system has the volume in use, and after it saw errors of the disk; FAT12 has neither.
_CLEAN = {12: 0, 16: 0x8000, 32: 0x08000000}
_NO_ERRORS = {12: 0, 16: 0x4000, 32: 0x04000000}
_IN_USE_AT = {12: 0x25, 16: 0x25, 32: 0x41}  # of the boot sector, where Linux and Windows keep the same mark
_IN_USE = 1

Patch = Tuple[int, bytes]  # a place on the volume, and what comes there


class FatTable:
    """The table of a volume whose copies agree.

    :raises FileSystemInvalid: when it is too large, or its copies differ.
    """

    def __init__(self, volume: FatGeometry) -> None:
        if volume.cluster_count > MOST_CLUSTERS:
            raise volume.invalid("it has %d clusters, more than %d" % (volume.cluster_count, MOST_CLUSTERS))
        if not volume.is_mirrored or not volume.tables_agree():
            raise volume.invalid("its allocation tables differ")
        self._volume = volume
        self._bits = volume.bits
        start, length = volume.tables[0]
        needed = -(-(volume.cluster_count + 2) * self._bits // 8)
        self._raw = bytearray(volume.source.read(start, min(length, -(-needed // _PATCH_BYTES) * _PATCH_BYTES)))
        self._entries = self._unpacked()
        self._changed: Set[int] = set()

    def _unpacked(self) -> array[int]:
        count = self._volume.cluster_count + 2
        if self._bits == 12:
            pairs = (struct.unpack_from("<H", self._raw, number * 3 // 2)[0] for number in range(count))
            return array("I", (pair >> 4 if number & 1 else pair & 0xFFF for number, pair in enumerate(pairs)))
        entries = array("H" if self._bits == 16 else "I")
        entries.frombytes(bytes(self._raw[: count * self._bits // 8]))
        if sys.byteorder == "big":
            entries.byteswap()
        return entries if self._bits == 16 else array("I", (one & 0x0FFFFFFF for one in entries))

    @property
    def has_errors(self) -> bool:
        """Whether a system noted that it could not read or write all of the volume."""
        return not self._entries[1] & _NO_ERRORS[self._bits] and self._bits != 12

    @property
    def is_in_use(self) -> bool:
        """Whether the volume was mounted when it was read, or not unmounted: Linux and Windows mark it while it is mounted."""
        unclean = self._bits != 12 and not self._entries[1] & _CLEAN[self._bits]
        return unclean or bool(self._volume.source.read(0, 512)[_IN_USE_AT[self._bits]] & _IN_USE)

    def free(self) -> Iterator[int]:
        """Yield the free clusters in rising order."""
        return (number for number in range(2, len(self._entries)) if not self._entries[number])

    def chain(self, first: int) -> Iterator[int]:
        """Yield the clusters of a file or folder. A chain that bites its own tail does not end: the caller counts.

        :raises FileSystemInvalid: when it leaves the volume.
        """
        cluster = first
        while True:
            if not 2 <= cluster < len(self._entries):
                raise self._volume.invalid("a chain of clusters leads outside the volume")
            yield cluster
            cluster = self._entries[cluster]
            if cluster >= _ENDS[self._bits]:
                return

    def link(self, clusters: Sequence[int]) -> None:
        """Make a chain of these clusters, the last of which ends it."""
        for one, following in zip(clusters, clusters[1:]):
            self._set(one, following)
        self._set(clusters[-1], _LAST[self._bits])

    def _set(self, cluster: int, value: int) -> None:
        self._entries[cluster] = value
        if self._bits == 12:
            place, size = cluster * 3 // 2, 2
            pair = struct.unpack_from("<H", self._raw, place)[0]
            pair = (pair & 0xF | value << 4) if cluster & 1 else (pair & 0xF000 | value)
            struct.pack_into("<H", self._raw, place, pair)
        elif self._bits == 16:
            place, size = cluster * 2, 2
            struct.pack_into("<H", self._raw, place, value)
        else:
            place, size = cluster * 4, 4
            kept = struct.unpack_from("<I", self._raw, place)[0] & 0xF0000000  # not part of the entry
            struct.pack_into("<I", self._raw, place, kept | value)
        self._changed.update((place // _PATCH_BYTES, (place + size - 1) // _PATCH_BYTES))

    def patches(self) -> Iterator[Patch]:
        """Yield what changed, for each copy of the table."""
        for first, count in runs(sorted(self._changed)):
            begin = first * _PATCH_BYTES
            for start, dummy in self._volume.tables:
                yield start + begin, bytes(self._raw[begin : begin + count * _PATCH_BYTES])


def runs(numbers: Sequence[int]) -> List[Tuple[int, int]]:
    """Join neighbours of a sequence, as they follow one another in it: first number and count."""
    found: List[Tuple[int, int]] = []
    for one in numbers:
        if found and one == found[-1][0] + found[-1][1]:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((one, 1))
    return found
