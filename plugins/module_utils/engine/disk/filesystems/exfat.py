# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exFAT: which clusters are in use, from the allocation bitmap.

Structures: Microsoft, "exFAT file system specification", sections 3 (boot regions), 4 (FAT region), 6 (directory
structure) and 7.1 (allocation bitmap), 7.3 (volume label). PercentInUse (3.1.15) is advice and not looked at.
"""

from __future__ import annotations

import re
from typing import Iterator, Optional, Tuple

from ...errors import FileSystemInvalid
from ..bitmaps import set_runs
from ..extents import ExtentSet
from ..source import BlockSource
from .contract import MAX_EXTENTS, WINDOWS_LEFT_OUT, FileSystem, FileTree, UsedMap, VolumeState, whole
from .exfat_geometry import ExfatGeometry, Runs
from .exfat_tree import ExfatTree

_SIGNATURE = b"EXFAT   "
_SECOND_FAT_ACTIVE, _VOLUME_DIRTY = 0x1, 0x2
_MAX_TABLE_BYTES = 256 << 20  # that is searched for bad clusters: 64 million of them
_BAD_ENTRY = re.compile(rb"(?=\xf7\xff\xff\xff)", re.DOTALL)
_PIECE_BYTES = 4 << 20


class Exfat(ExfatGeometry, FileSystem):
    """A probed exFAT volume."""

    kind = "exfat"
    always_left_out = WINDOWS_LEFT_OUT

    @classmethod
    def probe(cls, source: BlockSource) -> Optional[FileSystem]:
        if source.size_bytes < 24 * 512:
            return None
        boot = source.read(0, 512)
        if boot[3:11] != _SIGNATURE or boot[510:] != b"\x55\xaa":
            return None
        return cls(source, boot)

    def used(self, state: VolumeState) -> UsedMap:
        """Trust the bitmap of a volume that is offline or frozen and not marked dirty.

        A dirty one (section 3.1.13.2: the bitmap and the folders may disagree) is trusted only after every cluster that
        any file or folder reaches was found in the bitmap: then a restored volume has all of its files.
        """
        if state is VolumeState.LIVE:
            return whole(self.source, "the exFAT volume is mounted and changes while it is read")
        if self._fats == 2 or self._flags & _SECOND_FAT_ACTIVE or len(self._root.bitmaps) != 1:
            return whole(self.source, "the exFAT volume keeps two allocation tables (TexFAT)")
        try:
            used = self._from_bitmap()
            if self._flags & _VOLUME_DIRTY:
                reason = self._why_dirty_matters(used)
                if reason:
                    return whole(self.source, reason)
            bad = self._bad_clusters()
        except FileSystemInvalid as error:
            return whole(self.source, str(error))
        return UsedMap(used.union(bad), True, "", bad)

    def tree(self) -> Optional[FileTree]:
        return ExfatTree(self) if self._fats == 1 else None

    # -- parts --------------------------------------------------------------------------------------------------------

    def _from_bitmap(self) -> ExtentSet:
        dummy_fat, runs, length = self._root.bitmaps[0]
        wanted = -(-self.cluster_count // 8)
        if length < wanted or sum(count for dummy, count in runs) * self.cluster_bytes < wanted:
            raise self.invalid("its allocation bitmap is too short")
        heap = ExtentSet.from_sorted(
            (self.heap_start + (cluster - 2) * self.cluster_bytes, count * self.cluster_bytes)
            for cluster, count in self._bitmap_runs(runs, wanted)
        )
        missing = self.structures().difference(heap.union(ExtentSet([(0, self.heap_start)])))
        if missing:
            raise self.invalid("its allocation bitmap marks its own structures as free")
        return heap.union(ExtentSet([(0, self.heap_start)]))

    def _bitmap_runs(self, runs: Runs, wanted: int) -> Iterator[Tuple[int, int]]:
        done = found = 0
        for run in runs:
            start, length = self.cluster_range(*run)
            for offset in range(0, min(length, wanted - done), _PIECE_BYTES):
                piece = self.source.read(start + offset, min(_PIECE_BYTES, length - offset, wanted - done))
                for cluster, clusters in set_runs(
                    piece, min(len(piece) * 8, self.cluster_count - done * 8), 2 + done * 8
                ):
                    yield cluster, clusters
                    found += 1
                if found > MAX_EXTENTS:
                    raise self.invalid("its free space is in too many pieces")
                done += len(piece)

    def _bad_clusters(self) -> ExtentSet:
        """The clusters that the table calls bad (section 4.1.3), but for those that a file claims: of a file in one run the
        table says nothing.

        Looked for by the regular expression engine, since hardly any volume has one.
        """
        found: Runs = []
        length = (self.cluster_count + 2) * 4
        if length > _MAX_TABLE_BYTES:
            return ExtentSet()  # all of it is needed then
        for offset in range(0, length, _PIECE_BYTES):
            piece = self.source.read(self._fat_start + offset, min(_PIECE_BYTES, length - offset))
            places = [match.start() for match in _BAD_ENTRY.finditer(piece)]
            found += [((offset + place) // 4, 1) for place in places if place % 4 == 0 and offset + place >= 8]
            if len(found) > MAX_EXTENTS:
                raise self.invalid("too many of its clusters are marked bad")
        if not found:
            return ExtentSet()
        bad = ExtentSet(self.cluster_range(*run) for run in found)
        return bad.difference(ExfatTree(self).everything()).difference(self.structures())

    def _why_dirty_matters(self, used: ExtentSet) -> str:
        reached = ExfatTree(self).everything()
        if reached.difference(used):
            return "the exFAT volume is marked dirty and its bitmap marks clusters of files as free: run chkdsk or fsck"
        return ""
