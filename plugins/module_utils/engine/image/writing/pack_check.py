# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 2: every pack that a run's image refers to is there, right before the commit and right after it."""

from __future__ import annotations

from typing import AbstractSet, Dict, List, Mapping, Optional, Set

from ...errors import ImageDamaged, StorageFailed
from ...storage.shared_connect import together
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.pack_names import as_set
from ..upkeep.restore_from_trash import is_in_place, restore_from_trash
from .disk_writer import DiskWriter
from .pack_stream import PackStream

_REPAIR_ROUNDS = 3


def missing_packs(
    directory: DeviceDirectory, sizes: Mapping[str, int], listed: Optional[Mapping[str, int]] = None
) -> Set[str]:
    """The packs in ``sizes`` that are missing or of another size; a single listing that misses one does not prove it.

    :param listed: a listing of this moment, where one is at hand.
    """
    there = directory.packs() if listed is None else listed
    suspects = sorted(name for name, size_bytes in sizes.items() if there.get(name) != size_bytes)
    found = together(directory.storage, lambda name: is_in_place(directory, name, sizes[name]), suspects)
    return {name for name, is_there in zip(suspects, found) if not is_there}


def packs_of(writers: List[DiskWriter]) -> Dict[str, int]:
    """The size of each pack that the disks of a run need."""
    return {name: need.size_bytes for writer in writers for name, need in writer.root.packs.items()}


def listed_packs(directory: DeviceDirectory, image: str) -> AbstractSet[str]:
    """The packs that an image's SHA256SUMS names; none where it is damaged."""
    try:
        return as_set(directory.sums(image).packs)
    except ImageDamaged:
        return frozenset()


def resend_missing(
    directory: DeviceDirectory,
    stream: PackStream,
    writers: List[DiskWriter],
    warnings: List[str],
) -> None:
    """Bring back what is missing, or send its chunks again.

    :raises StorageFailed: when packs vanish as fast as they are sent.
    """
    for dummy in range(_REPAIR_ROUNDS):
        missing = missing_packs(directory, packs_of(writers))
        lost = missing - restore_from_trash(directory, missing)
        if not lost:
            return
        warnings.append("%d packs vanished during the run; the run uploaded their chunks again." % len(lost))
        stream.lost |= lost
        for writer in writers:
            writer.resend(lost)
        stream.drain()
    raise StorageFailed(
        storage=directory.storage.description,
        operation="checking",
        path=directory.path(fmt.PACKS),
        reason="packs vanish as fast as they are uploaded",
    )
