# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The geometry of an ext2, ext3 or ext4 volume: groups, inodes, and where its own structures lie."""

from __future__ import annotations

import struct
import uuid
from typing import Dict, Iterator, Optional, Tuple

from ...errors import FileSystemInvalid
from ..extents import ExtentSet
from ..source import BlockSource
from .crc16 import crc16
from .crc32c import crc32c
from .ext_groups import BLOCK_UNINIT, INODE_UNINIT, Group, Groups, extents_of

_COMPAT_JOURNAL, _COMPAT_SPARSE_SUPER2 = 0x4, 0x200
_INCOMPAT_META_BG, _INCOMPAT_64BIT = 0x10, 0x80
_RO_SPARSE_SUPER, _RO_GDT_CSUM, _RO_BIGALLOC, RO_METADATA_CSUM = 0x1, 0x10, 0x200, 0x400
_INCOMPAT_CSUM_SEED = 0x2000
_RO_EXT4_ONLY = 0x8 | 0x10 | 0x20 | 0x40 | _RO_BIGALLOC | 0x400 | 0x1000 | 0x8000
_MAX_GROUPS = 1 << 21  # 256 TiB in groups of 128 MiB


class ExtGeometry:
    """The content of the superblock and the group descriptors, on which the file system and its tree build."""

    def __init__(self, source: BlockSource, superblock: bytes) -> None:
        self.source = source
        fields = struct.unpack_from("<IIIIIIIIIII", superblock, 0)
        blocks_low, log_block, log_cluster = fields[1], fields[6], fields[7]
        self._first_block: int = fields[5]
        self._blocks_per_group: int = fields[8]
        self._clusters_per_group, self._inodes_per_group = fields[9], fields[10]
        self._state = struct.unpack_from("<H", superblock, 58)[0]
        self._compat, self._incompat, self._ro_compat = struct.unpack_from("<III", superblock, 92)
        inode_size = struct.unpack_from("<H", superblock, 88)[0] if fields[0] and superblock[76] else 128
        self._inode_bytes: int = inode_size
        self._group_table: Optional[Groups] = None
        self.first_inode: int = struct.unpack_from("<I", superblock, 84)[0] if fields[0] and superblock[76] else 11
        self._known_sums: Dict[bytes, int] = {}
        self._reserved_gdt = struct.unpack_from("<H", superblock, 206)[0]
        descriptor_bytes = struct.unpack_from("<H", superblock, 254)[0]
        first_meta_bg = struct.unpack_from("<I", superblock, 260)[0]
        blocks_high = struct.unpack_from("<I", superblock, 336)[0]
        self._backup_groups = struct.unpack_from("<II", superblock, 588)
        has_seed = self._incompat & _INCOMPAT_CSUM_SEED
        self._volume_id = superblock[104:120]
        self._sum_seed = (
            struct.unpack_from("<I", superblock, 624)[0] if has_seed else ~crc32c(self._volume_id) & 0xFFFFFFFF
        )
        if log_block > 6 or log_cluster > 20:
            raise self._invalid("its block size is impossible")
        self.block_bytes = 1024 << log_block
        bigalloc = bool(self._ro_compat & _RO_BIGALLOC)
        self.cluster_bytes = 1024 << log_cluster if bigalloc else self.block_bytes
        self._ratio = self.cluster_bytes // self.block_bytes
        is_64bit = bool(self._incompat & _INCOMPAT_64BIT)
        self.block_count = blocks_low | (blocks_high << 32 if is_64bit else 0)
        self.end_bytes = self.block_count * self.block_bytes
        self._descriptor_bytes = descriptor_bytes if is_64bit else 32
        self._first_meta_bg = first_meta_bg if self._incompat & _INCOMPAT_META_BG else None
        self._inode_blocks = -(-self._inodes_per_group * inode_size // self.block_bytes)
        self._check_geometry(inode_size)
        self.group_count = -(-(self.block_count - self._first_block) // self._blocks_per_group)
        if not 0 < self.group_count <= _MAX_GROUPS:
            raise self._invalid("it has an impossible number of groups")
        self.uuid = str(uuid.UUID(bytes=self._volume_id))
        self.label = superblock[120:136].split(b"\0")[0].decode("utf-8", "replace")
        self.kind = self._kind()

    def inode(self, number: int) -> bytes:
        """Return the first 128 bytes or more of an inode.

        :raises FileSystemInvalid: when there is no such inode.
        """
        group, index = divmod(number - 1, self._inodes_per_group)
        if number < 1 or group >= self.group_count:
            raise self._invalid("inode %d does not exist" % number)
        place = self._known_groups().inode_table(group) * self.block_bytes + index * self._inode_bytes
        return self.source.read(place, self._inode_bytes)

    def is_in_use(self, number: int) -> bool:
        """Whether the inode's own bitmap says that there is a file."""
        group_number, index = divmod(number - 1, self._inodes_per_group)
        group = self._known_groups()[group_number]
        if self._has_group_sums and group.flags & INODE_UNINIT:
            return False
        byte = self.source.read(group.inode_bitmap * self.block_bytes + index // 8, 1)[0]
        return bool(byte >> index % 8 & 1)

    def structures(self) -> ExtentSet:
        """The boot area, superblocks, descriptors, bitmaps and inode tables, even where the bitmaps call them free.

        :raises FileSystemInvalid: when the groups contradict themselves.
        """
        boot = ExtentSet([(0, max(1024, self._first_block * self.block_bytes))])
        return boot.union(self._metadata(self._known_groups()))

    def _known_groups(self) -> Groups:
        if self._group_table is None:
            self._group_table = self._groups()
        return self._group_table

    def _groups(self) -> Groups:
        per_block = self.block_bytes // self._descriptor_bytes
        groups = Groups()
        for number in range(0, self.group_count, per_block):
            block = self._descriptor_block(number // per_block)
            data = self.source.read(block * self.block_bytes, self.block_bytes)
            for index in range(min(per_block, self.group_count - number)):
                groups.add(data, index * self._descriptor_bytes, self._descriptor_bytes >= 64)
                self._check_group(groups[number + index])
                start = index * self._descriptor_bytes
                self._check_flags(number + index, groups[number + index], data[start : start + self._descriptor_bytes])
        return groups

    def _check_flags(self, number: int, group: Group, descriptor: bytes) -> None:
        """That a group holds nothing but metadata is believed where the descriptor's own sum agrees."""
        if not self._has_group_sums or not group.flags & BLOCK_UNINIT:
            return
        place = number.to_bytes(4, "little")
        if self._ro_compat & RO_METADATA_CSUM:
            wanted = crc32c(place + descriptor[:30] + bytes(2) + descriptor[32:], self._sum_seed ^ 0xFFFFFFFF)
            wanted = ~wanted & 0xFFFF
        else:
            behind = descriptor[32:] if self._incompat & _INCOMPAT_64BIT else b""
            wanted = crc16(self._volume_id + place + descriptor[:30] + behind)
        if wanted != int.from_bytes(descriptor[30:32], "little"):
            raise self._invalid("the checksum of the descriptor of group %d is wrong: run fsck" % number)

    def _check_group(self, group: Group) -> None:
        if any(not 0 < place < self.block_count for place in group[:3]):
            raise self._invalid("a group descriptor points outside the volume")
        if group.inode_table + self._inode_blocks > self.block_count:
            raise self._invalid("an inode table reaches past the volume")

    def _descriptor_block(self, index: int) -> int:
        if self._first_meta_bg is None or index < self._first_meta_bg:
            return self._super_block(0) + 1 + index
        group = index * (self.block_bytes // self._descriptor_bytes)
        return self._super_block(group) + (1 if self._has_super(group) else 0)

    def _super_block(self, group: int) -> int:
        """Where a group's copy of the superblock is, if it has one: behind the boot block in a volume that starts at 0."""
        start = self._group_start(group)
        return start + 1 if start == 0 and self.block_bytes == 1024 else start

    def _group_start(self, group: int) -> int:
        return self._first_block + group * self._blocks_per_group

    def _has_super(self, group: int) -> bool:
        if group == 0:
            return True
        if self._compat & _COMPAT_SPARSE_SUPER2:
            return group in self._backup_groups
        if not self._ro_compat & _RO_SPARSE_SUPER or group == 1:
            return True
        return any(_is_power(group, base) for base in (3, 5, 7))

    @property
    def _has_group_sums(self) -> bool:
        """Without sums of descriptors, flags that say that nothing was initialised mean nothing."""
        return bool(self._ro_compat & (_RO_GDT_CSUM | RO_METADATA_CSUM))

    def _metadata(self, groups: Groups) -> ExtentSet:
        block = self.block_bytes
        found = ExtentSet.from_sorted(self._copies())
        for places, blocks in groups.places(self._inode_blocks):
            found = found.union(extents_of(places, blocks, block))
        # A cluster is in use as a whole.
        moved = self._first_block * block if self._ratio > 1 else 0
        return found.shifted(-moved).aligned(self.cluster_bytes).shifted(moved)

    def _copies(self) -> Iterator[Tuple[int, int]]:
        """Yield where superblocks and descriptors lie, in order."""
        block, per_block = self.block_bytes, self.block_bytes // self._descriptor_bytes
        table_blocks = -(-self.group_count // per_block)
        if self._first_meta_bg is not None:
            table_blocks = min(table_blocks, self._first_meta_bg)
        for number in range(self.group_count):
            start, place = self._group_start(number), self._super_block(number)
            has_super = self._has_super(number)
            if has_super:
                yield start * block, (place - start + 1 + table_blocks + self._reserved_gdt) * block
            in_meta = self._first_meta_bg is not None and number // per_block >= self._first_meta_bg
            if in_meta and number % per_block in (0, 1, per_block - 1):
                yield (place + (1 if has_super else 0)) * block, block

    def _check_geometry(self, inode_size: int) -> None:
        if self._descriptor_bytes not in (32, 64, 128, 256, 512, 1024) or self._ratio < 1:
            raise self._invalid("its group descriptors have an impossible size")
        if not 0 < self._clusters_per_group <= self.block_bytes * 8 or not 0 < self._inodes_per_group <= 1 << 20:
            raise self._invalid("its groups have an impossible size")
        if self._blocks_per_group != self._clusters_per_group * self._ratio:
            raise self._invalid("its groups contradict themselves")
        if not 128 <= inode_size <= self.block_bytes or self._first_block > 1:
            raise self._invalid("its inodes have an impossible size")
        if not self._first_block < self.block_count <= self.source.size_bytes // self.block_bytes:
            raise self._invalid("it is larger than its volume")

    def _kind(self) -> str:
        if self._incompat & (0x40 | 0x80 | 0x200) or self._ro_compat & _RO_EXT4_ONLY:
            return "ext4"
        return "ext3" if self._compat & _COMPAT_JOURNAL else "ext2"

    def _invalid(self, reason: str) -> FileSystemInvalid:
        return FileSystemInvalid(kind="ext", path=self.source.path, reason=reason)


def _is_power(number: int, base: int) -> bool:
    while number % base == 0 and number > 1:
        number //= base
    return number == 1
