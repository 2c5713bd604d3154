# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and files of a FAT volume. A file is known by its first cluster; one without content has none.

Structures: Microsoft, "FAT: General Overview of On-Disk Format" 1.03, sections 6 (directories) and 7 (long names).
"""

from __future__ import annotations

import struct
from array import array
from itertools import chain
from typing import Iterator, List, Optional, Set, Tuple

from ...errors import FileSystemInvalid
from ..extents import ExtentSet, covered_twice
from .contract import FileContent, FileTree, FolderEntry
from .fat_geometry import FatGeometry

_ROOT = 0  # FAT12 and FAT16 have a root folder outside the clusters
_LONG_NAME, _VOLUME_ID, _FOLDER = 0x0F, 0x08, 0x10
_DELETED, _END = 0xE5, 0x00
_LAST_PART, _MAX_PARTS = 0x40, 20
_MAX_FOLDER_BYTES = 4 << 20  # twice what the specification allows


class FatTree(FileTree):
    """The tree of a probed volume."""

    case_sensitive = False

    def __init__(self, volume: FatGeometry) -> None:
        self._volume = volume
        self._budget_clusters = 4 * volume.cluster_count + (1 << 20)
        self._agrees: Optional[bool] = None

    def root(self) -> int:
        return _ROOT

    def children(self, node: int) -> Iterator[FolderEntry]:
        return (entry for entry in self._entries(node) if entry.node >= 2)

    def names(self, folder: int) -> Iterator[str]:
        return (entry.name for entry in self._entries(folder))

    def _entries(self, node: int) -> Iterator[FolderEntry]:
        parts: List[bytes] = []
        for data in self._folder_pieces(node):
            for position in range(0, len(data) - 31, 32):
                entry = data[position : position + 32]
                if entry[0] == _END:
                    return
                if entry[0] == _DELETED:
                    parts = []
                elif entry[11] & 0x3F == _LONG_NAME:
                    parts.append(entry)
                else:
                    name = long_name(parts, entry) or short_name(entry)
                    parts = []
                    high, low = struct.unpack_from("<H", entry, 20)[0], struct.unpack_from("<H", entry, 26)[0]
                    first = low | (high << 16 if self._volume.bits == 32 else 0)
                    if not entry[11] & _VOLUME_ID and name not in (".", ".."):
                        yield FolderEntry(name, first, bool(entry[11] & _FOLDER))

    def _folder_pieces(self, folder: int) -> Iterator[bytes]:
        volume = self._volume
        if folder == _ROOT and volume.bits != 32:
            start, length = volume.root_folder
            yield volume.source.read(start, length)
            return
        first = volume.root_cluster if folder == _ROOT else folder
        left = _MAX_FOLDER_BYTES
        for cluster, count in self._chain(first):
            start, length = volume.cluster_range(cluster, count)
            left -= length
            if left < 0:
                raise self._invalid("a folder is too long")
            yield volume.source.read(start, length)

    def content(self, node: int) -> Optional[FileContent]:
        return FileContent(ExtentSet(self.ranges(node)), 1)

    def ranges(self, node: int) -> List[Tuple[int, int]]:
        """Whole clusters: the size of a file is in its folder only."""
        if self._agrees is None:
            self._agrees = self._volume.tables_agree()
        if not self._agrees:
            raise self._invalid("its allocation tables differ: run chkdsk or fsck")
        return [self._volume.cluster_range(cluster, count) for cluster, count in self._chain(node)]

    def protected(self) -> ExtentSet:
        """Clusters that more than one file or folder claims: nothing else tells cross-linked files from sound ones."""
        starts, ends = array("Q"), array("Q")
        root = self._volume.root_cluster
        for first in chain([root] if root else [], self.reachable({_ROOT, root})):
            for run in self._chain(first):
                start, length = self._volume.cluster_range(*run)
                starts.append(start)
                ends.append(start + length)
        return covered_twice(starts, ends)

    def _chain(self, first: int) -> Iterator[Tuple[int, int]]:
        """Yield the runs of a chain.

        :raises FileSystemInvalid: when it leaves the volume, or bites its own tail.
        """
        volume = self._volume
        start, count, seen = first, 1, 1
        cluster = first
        visited: Set[int] = set()
        while True:
            if not 2 <= cluster < volume.cluster_count + 2 or seen > volume.cluster_count or start in visited:
                raise self._invalid("a chain of clusters leads outside the volume")
            self._budget_clusters -= 1
            if self._budget_clusters < 0:
                raise self._invalid("many files claim the same clusters")
            following = volume.next_cluster(cluster)
            if following == cluster + 1:
                count += 1
            else:
                yield start, count
                visited.add(start)
                if following is None:
                    return
                start, count = following, 1
            cluster = following
            seen += 1

    def _invalid(self, reason: str) -> FileSystemInvalid:
        return self._volume.invalid(reason)


def long_name(parts: List[bytes], short: bytes) -> str:
    """The long name in front of a short one, "" where it is not proved to belong to it.

    DOS deletes and makes files without a look at long names: the entries of an old one stay in front of another file. So
    the entries must be in order, the last one of the name first, and each with the sum of the short name (section 7.2).
    """
    if not parts or parts[-1][0] & 0x1F != 1 or not parts[0][0] & _LAST_PART:
        return ""
    wanted, text = _sum_of(short[:11]), b""
    for number, entry in enumerate(reversed(parts), 1):
        is_last = number == len(parts)
        if entry[0] != number | (_LAST_PART if is_last else 0) or entry[12] or entry[13] != wanted or any(entry[26:28]):
            return ""
        text += entry[1:11] + entry[14:26] + entry[28:32]
    name, end, rest = text.decode("utf-16-le", "surrogatepass").partition("\0")
    if (
        len(parts) > _MAX_PARTS
        or "\uffff" in name
        or (end and rest.strip("\uffff"))
        or len(name) <= 13 * (len(parts) - 1)
    ):
        return ""
    return name


def _sum_of(short: bytes) -> int:
    total = 0
    for value in short:
        total = ((total & 1) << 7) + (total >> 1) + value & 0xFF
    return total


def short_name(entry: bytes) -> str:
    """Which letters bytes above 127 are depends on the country that the system was set to: they match no letter."""
    stem = entry[:8].decode("ascii", "replace").rstrip(" ")
    extension = entry[8:11].decode("ascii", "replace").rstrip(" ")
    return "%s.%s" % (stem, extension) if extension else stem
