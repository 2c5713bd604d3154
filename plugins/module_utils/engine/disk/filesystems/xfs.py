# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XFS: which blocks are in use: all that the free-space trees of the allocation groups do not call free.

Structures: "XFS Algorithms & Data Structures", chapters "Allocation Groups" (superblocks, AG free space management,
AG free block lists), "Reflink" (reference counts) and "Journaling Log". Blocks of the AGFL are in use: in no tree.
"""

from __future__ import annotations

import struct
from typing import Iterator, List, Optional, Set, Tuple

from ...errors import FileSystemInvalid
from ..extents import ExtentSet
from ..source import BlockSource
from .contract import MAX_EXTENTS, FileSystem, FileTree, UsedMap, VolumeState, whole
from .xfs_btree import BtreeKind
from .xfs_geometry import VERSION_DIRV2, XfsGeometry
from .xfs_log import Log
from .xfs_tree import XfsTree

_INCOMPAT_NEEDS_REPAIR = 0x10
_INCOMPAT_KNOWN = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80
_RO_KNOWN = 0x1 | 0x2 | 0x4 | 0x8
_LOG_SECTOR_BYTES = 512


class Xfs(XfsGeometry, FileSystem):
    """A probed XFS volume."""

    kind = "xfs"

    @classmethod
    def probe(cls, source: BlockSource) -> Optional[FileSystem]:
        if source.size_bytes < 4096:
            return None
        superblock = source.read(0, 512)
        if superblock[:4] != b"XFSB":
            return None
        return cls(source, superblock)

    def used(self, state: VolumeState) -> UsedMap:
        """Trust the free-space trees of a volume whose log has no change left to replay.

        A freeze leaves the log dirty on purpose, so that a snapshot is recovered, but with only the superblock in it:
        then the trees are intact too.
        """
        reason = self._why_untrusted(state)
        if reason:
            return whole(self.source, reason)
        try:
            used = ExtentSet.from_sorted(self._used_ranges())
        except FileSystemInvalid as error:
            return whole(self.source, str(error))
        return UsedMap(used, True, "")

    def tree(self) -> Optional[FileTree]:
        return XfsTree(self) if self._features & VERSION_DIRV2 or self.has_crc else None

    # -- trust --------------------------------------------------------------------------------------------------------

    def _why_untrusted(self, state: VolumeState) -> str:
        unknown = self._incompat & ~_INCOMPAT_KNOWN & ~_INCOMPAT_NEEDS_REPAIR
        if unknown or self._ro_compat & ~_RO_KNOWN:
            return "the XFS volume uses unknown features (%#x)" % (unknown or self._ro_compat & ~_RO_KNOWN)
        if state is VolumeState.LIVE:
            return "the XFS volume is mounted and changes while it is read"
        if self._incompat & _INCOMPAT_NEEDS_REPAIR or self._in_progress:
            return "the XFS volume is marked as needing repair: run xfs_repair"
        if self._realtime_blocks:
            return "the XFS volume has a realtime device"
        if not self._log_start:
            return "the XFS volume keeps its log on another device, which can't be checked here"
        try:
            start, length = self.block_range(self._log_start, self._log_blocks)
        except FileSystemInvalid as error:
            return str(error)
        if not length:
            return "the XFS volume has no log"
        if state is VolumeState.FORETOLD:
            return ""  # freezing it empties the log
        log = Log(
            length // _LOG_SECTOR_BYTES,
            lambda first, count: self.source.read(start + first * _LOG_SECTOR_BYTES, count * _LOG_SECTOR_BYTES),
        )
        return "" if log.changes_nothing() else "the log of the XFS volume must be replayed"

    # -- groups -------------------------------------------------------------------------------------------------------

    def _used_ranges(self) -> Iterator[Tuple[int, int]]:
        pieces = 0
        for group in range(self.group_count):
            start = group * self.group_blocks * self.block_bytes
            position = 0
            free = self._free(group, MAX_EXTENTS - pieces)
            pieces += len(free)
            for first, count in free:
                yield start + position * self.block_bytes, (first - position) * self.block_bytes
                position = first + count
            yield start + position * self.block_bytes, (self._length_of(group) - position) * self.block_bytes

    def _free(self, group: int, most: int) -> List[Tuple[int, int]]:
        header = self._header(group)
        tree = self._btree(BtreeKind(b"AB3B" if self.has_crc else b"ABTB", 8, 8), group)
        found: List[Tuple[int, int]] = []
        end = -(-4 * self.sector_bytes // self.block_bytes)  # the group's headers are never free
        total = 0
        for record in tree.records(header.free_root, header.free_levels):
            first, count = struct.unpack(">II", record)
            if first < end or not count or first + count > self._length_of(group):
                raise self.invalid("the free space of group %d contradicts itself" % group)
            found.append((first, count))
            if len(found) > most:
                raise self.invalid("its free space is in too many pieces")
            end, total = first + count, total + count
        if total != header.free_blocks:
            raise self.invalid("the free block count of group %d does not match its tree" % group)
        self._check_not_free(group, found, tree.blocks)
        return found

    def _check_not_free(self, group: int, free: List[Tuple[int, int]], blocks: Set[int]) -> None:
        gaps = ExtentSet.from_sorted(free)
        own = [(block, 1) for block in sorted(blocks)]
        if self._log_start >> self.group_shift == group:
            own.append((self._log_start & ((1 << self.group_shift) - 1), self._log_blocks))
        if gaps.intersection(ExtentSet(own)):
            raise self.invalid("group %d marks its own structures as free" % group)
