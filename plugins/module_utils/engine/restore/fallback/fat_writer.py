# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds files to a FAT volume: what has to change of it is computed as patches, and the volume itself is only read.

Structures: Microsoft, "FAT: General Overview of On-Disk Format" 1.03 (fatgen103), sections 4 to 6. The same volume and files always make
the same patches: free clusters are taken in rising order, and times come from other entries.
"""

from __future__ import annotations

import struct
from array import array
from itertools import islice
from typing import Dict, List, NamedTuple, Optional, Sequence

from ...disk.filesystems.fat_geometry import FatGeometry
from .fat_check import check
from .fat_folder import ENTRY_BYTES, FatEntry, Folder, entry_of, padded
from .fat_table import FatTable, Patch, runs

_INFORMATION_AT = 48  # in the boot sector of FAT32: the sector that counts the free clusters
_LEAD, _INNER, _TRAIL = b"RRaA", b"rrAa", b"\0\0\x55\xaa"
_COUNTS_AT, _COUNTS = 488, struct.Struct("<II")


class NewFile(NamedTuple):
    """A file to add; ``like`` is the entry that it has its times from."""

    name: str  # at most 8 capital letters or digits, a point, 3 more
    content: bytes
    like: FatEntry


class VolumeFull(Exception):
    """The volume has too few free clusters, or the folder can't grow."""

    def __init__(self, needed: int, free: int, cluster_bytes: int) -> None:
        super().__init__("it needs %d free clusters of %d bytes, and has %d" % (needed, cluster_bytes, free))


class FatWriter:
    """A volume that was found consistent.

    :raises FileSystemInvalid: when it is not.
    """

    def __init__(self, volume: FatGeometry) -> None:
        self._volume = volume
        self.table = FatTable(volume)
        check(volume, self.table)
        self._free = array("I", self.table.free())
        self._taken = 0
        self._needed = 0
        self._folders: Dict[int, Folder] = {}
        self._contents: List[Patch] = []

    def folder(self, *path: str) -> Folder:
        """A folder that exists, by its path; none for the root. :raises LookupError: when there is none."""
        first = 0
        for name in path:
            found = self._folder(first).find(name)
            if found is None or not found.is_folder:
                raise LookupError(name)
            first = found.first
        return self._folder(first)

    def _folder(self, first: int) -> Folder:
        if first not in self._folders:
            self._folders[first] = Folder.read(self._volume, self.table, first)
        return self._folders[first]

    def content(self, entry: FatEntry, most_bytes: Optional[int] = None) -> bytes:
        """The bytes of a file, or as many of its first as are asked for."""
        length = entry.size_bytes if most_bytes is None else min(entry.size_bytes, most_bytes)
        wanted = -(-length // self._volume.cluster_bytes)
        clusters = list(islice(self.table.chain(entry.first), wanted)) if entry.first else []
        ranges = [self._volume.cluster_range(*run) for run in runs(clusters)]
        return b"".join(self._volume.source.read(*one) for one in ranges)[:length]

    def add(self, parent: Sequence[str], name: str, files: Sequence[NewFile]) -> None:
        """Add files to the folder ``name`` in ``parent``, which is made where it does not exist.

        :raises VolumeFull: with the numbers. :raises FileSystemInvalid: where a file has the name of the folder.
        """
        above = self.folder(*parent)
        there = above.find(name)
        if there is not None and not there.is_folder:
            raise self._volume.invalid("%s is a file and no folder" % "/".join([*parent, name]))
        self._needed += sum(self._clusters_of(one) for one in files) + (0 if there is not None else 1)
        self._check_room()
        folder = self.folder(*parent, name) if there is not None else self._make(above, name, files[0].like)
        for one in files:
            clusters = self._take(self._clusters_of(one))
            self.table.link(clusters)
            data = one.content
            for first, count in runs(clusters):
                start, length = self._volume.cluster_range(first, count)
                self._contents.append((start, data[:length].ljust(length, b"\0")))
                data = data[length:]
            self._put(folder, entry_of(padded(one.name), clusters[0], len(one.content), one.like.raw))

    def _make(self, above: Folder, name: str, like: FatEntry) -> Folder:
        clusters = self._take(1)
        self.table.link(clusters)
        folder = self._folders[clusters[0]] = Folder(self._volume, [])
        folder.extend(clusters[0])
        upper = above.clusters[0] if above.clusters else 0
        upper = 0 if upper == self._volume.root_cluster else upper  # so the specification wants it for the root
        folder.put(0, entry_of(b".".ljust(11), clusters[0], 0, like.raw, is_folder=True))
        folder.put(1, entry_of(b"..".ljust(11), upper, 0, like.raw, is_folder=True))
        self._put(above, entry_of(padded(name), clusters[0], 0, like.raw, is_folder=True))
        return folder

    def _put(self, folder: Folder, raw: bytes) -> None:
        slot = folder.take()
        if slot is None:
            self._needed += 1
            self._check_room()
            (cluster,) = self._take(1)
            self.table.link([folder.clusters[-1], cluster])
            folder.extend(cluster)
            slot = folder.slots - self._volume.cluster_bytes // ENTRY_BYTES
        folder.put(slot, raw)

    def _clusters_of(self, one: NewFile) -> int:
        return int(-(-len(one.content) // self._volume.cluster_bytes))

    def _check_room(self) -> None:
        if self._needed > len(self._free):
            raise VolumeFull(self._needed, len(self._free), self._volume.cluster_bytes)

    def _take(self, count: int) -> List[int]:
        taken = list(self._free[self._taken : self._taken + count])
        self._taken += count
        return taken

    def patches(self) -> List[Patch]:
        """Everything that changes, in the order of the volume."""
        folders = [patch for one in self._folders.values() for patch in one.patches()]
        return sorted([*self._contents, *folders, *self.table.patches(), *self._information()])

    def _information(self) -> List[Patch]:
        """The count of free clusters, which FAT32 keeps in a separate sector, and the place to search for more."""
        if self._volume.bits != 32 or not self._taken:
            return []
        (sector,) = struct.unpack_from("<H", self._volume.source.read(0, 512), _INFORMATION_AT)
        place = sector * self._volume.sector_bytes
        if not sector or place + 512 > self._volume.tables[0][0]:
            return []
        old = self._volume.source.read(place, 512)
        if (old[:4], old[484:488], old[508:]) != (_LEAD, _INNER, _TRAIL):
            return []
        counts = _COUNTS.pack(len(self._free) - self._taken, self._free[self._taken - 1])
        return [(place + _COUNTS_AT, counts)]
