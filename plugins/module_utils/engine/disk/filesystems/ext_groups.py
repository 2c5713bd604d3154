# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ext2, ext3 and ext4: the group descriptors, in flat arrays: a hostile superblock may claim two million groups.

Structures: Linux Documentation/filesystems/ext4/group_descr.rst.
"""

from __future__ import annotations

import struct
from array import array
from typing import Iterator, NamedTuple, Tuple

from ..extents import ExtentSet

INODE_UNINIT, BLOCK_UNINIT = 0x1, 0x2


class Group(NamedTuple):
    """One descriptor. ``bitmap_sum`` has as many bits as the descriptor has room for."""

    block_bitmap: int
    inode_bitmap: int
    inode_table: int
    free_clusters: int
    bitmap_sum: int
    sum_bits: int
    flags: int


class Groups:
    """Every descriptor of a volume, in order."""

    def __init__(self) -> None:
        self._places = tuple(array("Q") for dummy in range(3))
        self._free, self._sums = array("I"), array("I")
        self._flags = array("H")
        self._sum_bits = 16

    def __len__(self) -> int:
        return len(self._flags)

    def add(self, data: bytes, offset: int, is_wide: bool) -> None:
        """Take in one descriptor; a wide one has upper halves behind the first 32 bytes."""
        low = struct.unpack_from("<IIIH", data, offset)
        high = struct.unpack_from("<IIIH", data, offset + 32) if is_wide else (0, 0, 0, 0)
        for place, part, upper in zip(self._places, low, high):
            place.append(part | upper << 32)
        self._free.append(low[3] | high[3] << 16)
        self._flags.append(struct.unpack_from("<H", data, offset + 18)[0])
        upper_sum = struct.unpack_from("<H", data, offset + 56)[0] if is_wide else 0
        self._sums.append(struct.unpack_from("<H", data, offset + 24)[0] | upper_sum << 16)
        self._sum_bits = 32 if is_wide else 16

    def __getitem__(self, number: int) -> Group:
        bitmap, inodes, table = (place[number] for place in self._places)
        free, total, flags = self._free[number], self._sums[number], self._flags[number]
        return Group(bitmap, inodes, table, free, total, self._sum_bits, flags)

    def inode_table(self, number: int) -> int:
        return int(self._places[2][number])

    def __iter__(self) -> Iterator[Group]:
        return (self[number] for number in range(len(self)))

    def places(self, inode_table_blocks: int) -> Iterator[Tuple[array[int], int]]:
        """Yield the first blocks of all structures of one kind, and how many blocks each has."""
        yield self._places[0], 1
        yield self._places[1], 1
        yield self._places[2], inode_table_blocks


def extents_of(places: array[int], blocks: int, block_bytes: int) -> ExtentSet:
    """The extents of structures of one length, in any order."""
    return ExtentSet.from_sorted((place * block_bytes, blocks * block_bytes) for place in sorted(places))
