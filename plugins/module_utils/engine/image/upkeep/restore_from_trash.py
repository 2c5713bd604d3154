# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores packs from the trash: those that a rollover moved there, and those that were called damaged and are intact.

A copy is hashed before it is restored, under any name in the trash: one may have rotted there, and another may have
been misread when it was taken out of use.
"""

from __future__ import annotations

import contextlib
from typing import AbstractSet, Dict, Iterator, List, Mapping, Optional, Set

from ...errors import StorageExists, StorageNotFound, StoragePermissionDenied
from ...storage.shared_connect import together
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.packs import fingerprint
from ..pack_listing import TrashEntry
from ..second_look import damage_of
from ..writing.sender import store_pack

_MAX_COPIED_BYTES = 80 << 20  # of a pack that is held in memory; the chunks of a larger one are sent again


def restore_from_trash(
    directory: DeviceDirectory,
    packs: AbstractSet[str],
    *,
    found: Optional[Mapping[str, List[TrashEntry]]] = None,
    proved: Optional[Mapping[str, int]] = None,
    copies: bool = False,
) -> Set[str]:
    """Move packs from the trash back into use, and return those that are in use then: one listing for them all.

    :param found: their copies in the trash, where it was listed already.
    :param proved: the sizes of packs that were read back when they were sent: a copy that a rollover put away, and
        that has this size, is believed as it would be believed in its place.
    :param copies: whether an account that may not rename stores a second copy in the place of the pack.
    """
    if not packs:
        return set()
    trashed = trashed_copies(directory, packs) if found is None else found
    wanted = sorted(trashed)

    def back(pack: str) -> bool:
        return any(_come_back(directory, one, proved or {}, copies) for one in trashed[pack])

    return {pack for pack, is_back in zip(wanted, together(directory.storage, back, wanted)) if is_back}


def trashed_copies(directory: DeviceDirectory, packs: AbstractSet[str]) -> Dict[str, List[TrashEntry]]:
    """The copies of ``packs`` in the trash, those that a rollover put there before those that were called damaged."""
    found: Dict[str, List[TrashEntry]] = {}
    for one in directory.trash(packs):
        found.setdefault(one.pack, []).append(one)
    return {pack: sorted(ones, key=lambda one: (one.sequence is None, one)) for pack, ones in found.items()}


def whole_copies(directory: DeviceDirectory, pack: str) -> Iterator[str]:
    """The paths of the intact copies of a pack in the trash, for an account that may not rename."""
    return whole_of(directory, trashed_copies(directory, {pack}).get(pack, []))


def whole_of(directory: DeviceDirectory, copies: List[TrashEntry]) -> Iterator[str]:
    """The paths of those of ``copies`` in the trash that are intact."""
    for one in copies:
        path = directory.path(fmt.TRASH, one.file_name)
        with contextlib.suppress(StorageNotFound):  # another host brought it back or removed it
            if not damage_of(directory.storage, path, one.pack):
                yield path


def is_in_place(directory: DeviceDirectory, pack: str, size_bytes: int) -> bool:
    """Whether a pack is there with its size, asked by its name: a listing may miss it."""
    try:
        return directory.storage.stat(fmt.pack_path(directory.device, pack)).size_bytes == size_bytes
    except StorageNotFound:
        return False


def _come_back(directory: DeviceDirectory, one: TrashEntry, proved: Mapping[str, int], copies: bool) -> bool:
    storage = directory.storage
    path, place = directory.path(fmt.TRASH, one.file_name), fmt.pack_path(directory.device, one.pack)
    try:
        believed = one.sequence is not None and proved.get(one.pack) == one.size_bytes
        if not believed and damage_of(storage, path, one.pack):
            return False
        storage.make_directory(directory.path(fmt.PACKS, one.pack[:2]))
        try:
            storage.rename(path, place)
        except StorageExists:
            _make_way(directory, one)
            storage.rename(path, place)
    except (StorageExists, StorageNotFound):
        pass  # another host was quicker, or it was sent again
    except StoragePermissionDenied:
        if not copies:
            return is_in_place(directory, one.pack, one.size_bytes)  # else its chunks are sent again
        with contextlib.suppress(StoragePermissionDenied):  # the file in its place may not be replaced either
            _copy_back(directory, path, one)
    return is_in_place(directory, one.pack, one.size_bytes)


def _make_way(directory: DeviceDirectory, one: TrashEntry) -> None:
    """Move a foreign file out of the place of a pack; the pack itself stays, and the renaming is refused again."""
    if damage_of(directory.storage, fmt.pack_path(directory.device, one.pack), one.pack):
        directory.move_to_trash(one.pack, None)


def _copy_back(directory: DeviceDirectory, path: str, one: TrashEntry) -> None:
    if one.size_bytes > _MAX_COPIED_BYTES:
        return
    data = directory.storage.get(path, 0, one.size_bytes + 1)
    place = fmt.pack_path(directory.device, one.pack)
    store_pack(directory.storage, place, [data], fingerprint([data]), lambda seconds: None)
