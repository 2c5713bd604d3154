# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ext2, ext3 and ext4: which blocks are in use, from the block bitmaps.

Structures: Linux Documentation/filesystems/ext4 (super.rst, group_descr.rst, bitmaps.rst) and fs/ext4/ext4.h.
"""

from __future__ import annotations

import struct
from typing import Dict, Iterator, Optional, Tuple

from ...errors import FileSystemInvalid
from ..bitmaps import set_runs
from ..extents import ExtentSet
from ..source import BlockSource
from .contract import MAX_EXTENTS, FileSystem, FileTree, UsedMap, VolumeState, whole
from .crc32c import crc32c
from .ext_geometry import RO_METADATA_CSUM, ExtGeometry
from .ext_groups import BLOCK_UNINIT, Group, Groups
from .ext_tree import ExtTree

_MAGIC = 0xEF53
_STATE_CLEAN, _STATE_ERROR = 1, 2
_INCOMPAT_RECOVER, _INCOMPAT_JOURNAL_DEV = 0x4, 0x8
_INCOMPAT_KNOWN = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
# Not known: what this kernel must not write to it may count its blocks in another way. Blocks that files share (0x4000) are
# known to no exclusion.
_RO_KNOWN = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x8000 | 0x10000
_READ_AHEAD_BYTES = 4 << 20


class Ext(ExtGeometry, FileSystem):
    """A probed ext2, ext3 or ext4 volume."""

    @classmethod
    def probe(cls, source: BlockSource) -> Optional[FileSystem]:
        if source.size_bytes < 4096:
            return None
        superblock = source.read(1024, 1024)
        if struct.unpack_from("<H", superblock, 56)[0] != _MAGIC or is_journal(superblock):
            return None
        return cls(source, superblock)

    def used(self, state: VolumeState) -> UsedMap:
        """Trust the bitmaps of a volume that was unmounted cleanly.

        One whose journal waits to be replayed is imaged whole: bitmaps on the disk may be older than the journal.
        """
        reason = self._why_untrusted(state)
        if reason:
            return whole(self.source, reason)
        try:
            groups = self._group_table = self._groups()
            used = ExtentSet.from_sorted(self._bitmap_extents(groups)).union(self.structures())
        except FileSystemInvalid as error:
            return whole(self.source, str(error))
        volume = ExtentSet([(0, min(self.end_bytes, self.source.size_bytes))])
        return UsedMap(used.intersection(volume), True, "", self._bad_blocks())

    def _bad_blocks(self) -> ExtentSet:
        """The bad blocks that inode 1 lists, as mke2fs -c and e2fsck -c record them; empty where the inode is not
        understood."""
        try:
            return ExtTree(self).bad_blocks()
        except FileSystemInvalid:
            return ExtentSet()

    def _why_untrusted(self, state: VolumeState) -> str:
        unknown = self._incompat & ~_INCOMPAT_KNOWN or self._ro_compat & ~_RO_KNOWN
        if unknown:
            return "the %s volume uses unknown features (%#x)" % (self.kind, unknown)
        if state is VolumeState.LIVE:
            return "the %s volume is mounted and changes while it is read" % self.kind
        is_foretold = state is VolumeState.FORETOLD  # freezing it empties the journal
        if self._incompat & _INCOMPAT_RECOVER and not is_foretold:
            return "the journal of the %s volume must be replayed" % self.kind
        if self._state & _STATE_ERROR:
            return "the %s volume is marked as having errors: run fsck" % self.kind
        if not self._state & _STATE_CLEAN and not is_foretold:
            return "the %s volume was not unmounted cleanly" % self.kind
        return ""

    def why_unclean(self) -> str:
        """Errors are for fsck and a person; a journal that waits is replayed by e2fsck before it resizes anything."""
        unknown = self._incompat & ~_INCOMPAT_KNOWN or self._ro_compat & ~_RO_KNOWN
        if unknown:
            return "the %s volume uses unknown features (%#x)" % (self.kind, unknown)
        if self._state & _STATE_ERROR:
            return "the %s volume is marked as having errors: run fsck" % self.kind
        return ""

    def tree(self) -> Optional[FileTree]:
        return ExtTree(self)

    # -- groups -------------------------------------------------------------------------------------------------------

    # -- extents ------------------------------------------------------------------------------------------------------

    def _bitmap_extents(self, groups: Groups) -> Iterator[Tuple[int, int]]:
        ahead = _ReadAhead(self.source, self.block_bytes)
        bitmap_bytes = -(-self._clusters_per_group // 8)
        count_extents = 0
        for number, group in enumerate(groups):
            if self._has_group_sums and group.flags & BLOCK_UNINIT:
                continue  # all it holds is metadata, which is added from the descriptors
            start = self._group_start(number)
            clusters = -(-min(self._blocks_per_group, self.block_count - start) // self._ratio)
            bitmap = ahead.block(group.block_bitmap)[:bitmap_bytes]
            self._check_sum(number, group, bitmap)
            in_use = 0
            for cluster, count in set_runs(bitmap, clusters):
                yield start * self.block_bytes + cluster * self.cluster_bytes, count * self.cluster_bytes
                in_use += count
                count_extents += 1
            if clusters - in_use != group.free_clusters:
                raise self._invalid("the free block count of group %d does not match its bitmap: run fsck" % number)
            if count_extents > MAX_EXTENTS:
                raise self._invalid("its free space is in too many pieces")

    def _check_sum(self, number: int, group: Group, bitmap: bytes) -> None:
        """The sum is of the bitmap alone, so that those of full and of empty groups need be made once."""
        if not self._ro_compat & RO_METADATA_CSUM:
            return
        wanted = self._known_sums.get(bitmap)
        if wanted is None:
            wanted = crc32c(bitmap, self._sum_seed ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
            if len(set(bitmap)) == 1:
                self._known_sums[bitmap] = wanted
        if wanted & (1 << group.sum_bits) - 1 != group.bitmap_sum:
            raise self._invalid("the checksum of the bitmap of group %d is wrong: run fsck" % number)


def is_journal(superblock: bytes) -> bool:
    """Whether it is that of a journal of another volume, which holds no files."""
    magic, incompat = struct.unpack_from("<H", superblock, 56)[0], struct.unpack_from("<I", superblock, 96)[0]
    return bool(magic == _MAGIC and incompat & _INCOMPAT_JOURNAL_DEV)


class _ReadAhead:
    """Bitmaps of neighbouring groups lie side by side (flex_bg): read them together."""

    def __init__(self, source: BlockSource, block_bytes: int) -> None:
        self._source = source
        self._block_bytes = block_bytes
        self._cache: Dict[int, bytes] = {}
        self._start = 0
        self._data = b""
        self._next = -1

    def block(self, number: int) -> bytes:
        offset = number * self._block_bytes
        inside = offset - self._start
        if not (inside >= 0 and inside + self._block_bytes <= len(self._data)):
            # Read far ahead only where the last request was the block just before this one.
            length = _READ_AHEAD_BYTES // 16 if number == self._next else self._block_bytes
            length = min(length, self._source.size_bytes - offset)
            self._start, self._data = offset, self._source.read(offset, length)
            inside = 0
        self._next = number + 1
        return self._data[inside : inside + self._block_bytes]
