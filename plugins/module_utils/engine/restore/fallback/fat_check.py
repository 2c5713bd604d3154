# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a FAT volume is consistent enough to be written to: every file and folder has its clusters for itself, as many as its size needs."""

from __future__ import annotations

from typing import List

from ...disk.filesystems.fat_geometry import FatGeometry
from .fat_folder import FatEntry, Folder
from .fat_table import FatTable

_MOST_ENTRIES = 100_000


def check(volume: FatGeometry, table: FatTable) -> None:
    """Walk all files and folders.

    Clusters that belong to no file stay as they are.

    :raises FileSystemInvalid: for two that share a cluster, a chain that leaves the volume or is too short, a folder in a folder below.
    """
    if table.has_errors:
        raise volume.invalid("a system noted errors of the disk on it")
    owned = bytearray(volume.cluster_count + 2)
    root = Folder.read(volume, table, 0)
    _claim(volume, owned, root.clusters)
    pending: List[Folder] = [root]
    entries = 0
    while pending:
        for one in pending.pop().entries():
            entries += 1
            if entries > _MOST_ENTRIES:
                raise volume.invalid("it has more than %d files" % _MOST_ENTRIES)
            if one.is_folder:
                if not one.first:
                    raise volume.invalid("the folder %s has no content" % one.name)
                folder = Folder.read(volume, table, one.first)
                _claim(volume, owned, folder.clusters)
                pending.append(folder)
            else:
                _check_file(volume, table, owned, one)


def _check_file(volume: FatGeometry, table: FatTable, owned: bytearray, one: FatEntry) -> None:
    length = 0
    for cluster in table.chain(one.first) if one.first else ():
        _claim(volume, owned, [cluster])  # a chain that bites its own tail claims a cluster twice
        length += volume.cluster_bytes
    if length < one.size_bytes:
        raise volume.invalid("the file %s is shorter than its size" % one.name)


def _claim(volume: FatGeometry, owned: bytearray, clusters: List[int]) -> None:
    for one in clusters:
        if owned[one]:
            raise volume.invalid("two files or folders have the same cluster")
        owned[one] = 1
