# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The geometry of an XFS volume: its allocation groups, their headers and trees, and where its own structures lie."""

from __future__ import annotations

import struct
import uuid
from typing import Iterator, Tuple

from ...errors import FileSystemInvalid
from ..extents import ExtentSet
from ..source import BlockSource
from .xfs_btree import BtreeKind, ShortBtree, sum_is_right

_VERSION_MOREBITS, VERSION_DIRV2, _VERSION_CASELESS = 0x8000, 0x2000, 0x4000
_FEATURES2_FTYPE = 0x200
_INCOMPAT_FTYPE = 0x1
_RO_REFLINK = 0x4
_COW_FLAG = 1 << 31  # of a reference count record: being copied, not shared yet
_MAX_GROUPS = 1 << 22
_MIN_GROUP_BLOCKS = 64


class _Header:
    """An allocation group's AGF."""

    def __init__(self, data: bytes) -> None:
        self.number, self.blocks = struct.unpack_from(">II", data, 8)
        self.free_root, self.free_levels = (struct.unpack_from(">I", data, place)[0] for place in (16, 28))
        self.free_blocks = struct.unpack_from(">I", data, 52)[0]
        self.shared_root, self.shared_levels = struct.unpack_from(">II", data, 88)


class XfsGeometry:
    """The content of the superblock and the headers of the groups, on which the file system and its tree build."""

    def __init__(self, source: BlockSource, superblock: bytes) -> None:
        self.source = source
        fields = struct.unpack_from(">IQQQ", superblock, 4)
        self.block_bytes, self.block_count, self._realtime_blocks = (int(field) for field in fields[:3])
        self._log_start: int = struct.unpack_from(">Q", superblock, 48)[0]
        self.root_inode: int = struct.unpack_from(">Q", superblock, 56)[0]
        group_blocks, groups, dummy_bitmap, self._log_blocks = struct.unpack_from(">4I", superblock, 84)
        self.group_blocks, self.group_count = int(group_blocks), int(groups)
        versions, self.sector_bytes, self.inode_bytes, inodes = struct.unpack_from(">4H", superblock, 100)
        self._version, self._features = versions & 0xF, versions
        self.inodes_per_block = int(inodes)
        self.inode_shift, self.group_shift = superblock[123], superblock[124]
        self._in_progress = superblock[126]
        self.folder_block_bytes = self.block_bytes << min(superblock[192], 16)
        features2 = struct.unpack_from(">I", superblock, 200)[0] if versions & _VERSION_MOREBITS else 0
        self.has_crc = self._version == 5
        ro_compat, incompat = struct.unpack_from(">II", superblock, 212) if self.has_crc else (0, 0)
        self._ro_compat, self._incompat = int(ro_compat), int(incompat)
        self.folders_have_types = bool(incompat & _INCOMPAT_FTYPE if self.has_crc else features2 & _FEATURES2_FTYPE)
        self.has_reflink = bool(ro_compat & _RO_REFLINK)
        self.is_caseless = bool(versions & _VERSION_CASELESS)
        self._check()
        if self.has_crc and not sum_is_right(source.read(0, self.sector_bytes), 224):
            raise self.invalid("the checksum of its superblock is wrong")
        self.cluster_bytes = self.block_bytes
        self.end_bytes = self.block_count * self.block_bytes
        self.uuid = str(uuid.UUID(bytes=superblock[32:48]))
        self.label = superblock[108:120].split(b"\0")[0].decode("utf-8", "replace")

    def block_range(self, block: int, count: int) -> Tuple[int, int]:
        """Start and length in bytes of ``count`` blocks; a block is numbered by its group and its place there.

        :raises FileSystemInvalid: when they are not all in one group of the volume.
        """
        group, inside = block >> self.group_shift, block & ((1 << self.group_shift) - 1)
        if group >= self.group_count or count < 0 or inside + count > self._length_of(group):
            raise self.invalid("a file reaches past its allocation group")
        return (group * self.group_blocks + inside) * self.block_bytes, count * self.block_bytes

    def structures(self) -> ExtentSet:
        """Bytes that no file may claim: the groups' headers, the log, and blocks that several files share.

        :raises FileSystemInvalid: when a tree of reference counts contradicts itself.
        """
        header_blocks = -(-4 * self.sector_bytes // self.block_bytes)
        pairs = [self.block_range(self._log_start, self._log_blocks)]
        for group in range(self.group_count):
            pairs.append(self.block_range(group << self.group_shift, header_blocks))
            pairs += self._shared(group) if self.has_reflink else []
        return ExtentSet(pairs)

    def invalid(self, reason: str) -> FileSystemInvalid:
        return FileSystemInvalid(kind="XFS", path=self.source.path, reason=reason)

    def _shared(self, group: int) -> Iterator[Tuple[int, int]]:
        header = self._header(group)
        tree = self._btree(BtreeKind(b"R3FC", 12, 4), group)
        for record in tree.records(header.shared_root, header.shared_levels):
            first, count, dummy_owners = struct.unpack(">III", record)
            yield self.block_range(group << self.group_shift | first & ~_COW_FLAG, count)

    def _btree(self, kind: BtreeKind, group: int) -> ShortBtree:
        def read(number: int) -> bytes:
            return self.source.read(*self.block_range(group << self.group_shift | number, 1))

        return ShortBtree(kind, group, self._length_of(group), read, self.invalid, self.has_crc)

    def _header(self, group: int) -> _Header:
        start = group * self.group_blocks * self.block_bytes + self.sector_bytes
        data = self.source.read(start, self.sector_bytes)
        header = _Header(data)
        if data[:4] != b"XAGF" or header.number != group or header.blocks != self._length_of(group):
            raise self.invalid("the header of allocation group %d is damaged" % group)
        if self.has_crc and not sum_is_right(data, 216):
            raise self.invalid("the checksum of allocation group %d is wrong" % group)
        return header

    def _length_of(self, group: int) -> int:
        return min(self.group_blocks, self.block_count - group * self.group_blocks)

    def _check(self) -> None:
        if self._version not in (4, 5):
            raise self.invalid("its version %d is not known" % self._version)
        sizes = ((self.block_bytes, 512, 65536), (self.sector_bytes, 512, 32768), (self.inode_bytes, 256, 2048))
        for size, least, most in sizes:
            if not least <= size <= most or size & (size - 1):
                raise self.invalid("its blocks, sectors or inodes have an impossible size")
        if self.sector_bytes > self.block_bytes or self.folder_block_bytes > 65536:
            raise self.invalid("its sectors or folders have an impossible size")
        if self.block_bytes != self.inode_bytes << self.inode_shift or self.inodes_per_block != 1 << self.inode_shift:
            raise self.invalid("its inodes contradict themselves")
        if not self.block_count or self.block_count > self.source.size_bytes // self.block_bytes:
            raise self.invalid("it is larger than its volume")
        if self.group_blocks < _MIN_GROUP_BLOCKS or not 0 < self.group_count <= _MAX_GROUPS:
            raise self.invalid("its allocation groups have an impossible size")
        if self.group_count != -(-self.block_count // self.group_blocks):
            raise self.invalid("its allocation groups do not cover it")
        if self.group_shift != (self.group_blocks - 1).bit_length():
            raise self.invalid("its allocation groups contradict themselves")
