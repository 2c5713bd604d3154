# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file systems that are understood, and which one a volume holds."""

from __future__ import annotations

from typing import List, Optional, Tuple

from ...errors import FileSystemInvalid
from ..source import BlockSource
from .contract import FileSystem, Probe
from .exfat import Exfat
from .ext import Ext
from .fat import Fat
from .ntfs import Ntfs
from .swap import Swap
from .xfs import Xfs

PROBES: Tuple[Probe, ...] = (Ntfs.probe, Ext.probe, Swap.probe, Fat.probe, Exfat.probe, Xfs.probe)


def detect(source: BlockSource) -> Optional[FileSystem]:
    """Return the volume's file system, None when none is recognised.

    :raises FileSystemInvalid: when its superblock contradicts itself, or two file systems claim the volume.
    """
    found: List[FileSystem] = []
    for probe in PROBES:
        file_system = probe(source)
        if file_system is not None:
            found.append(file_system)
    if len(found) > 1:
        kinds = " and ".join(file_system.kind for file_system in found)
        raise FileSystemInvalid(kind=kinds, path=source.path, reason="both claim the volume")
    return found[0] if found else None
