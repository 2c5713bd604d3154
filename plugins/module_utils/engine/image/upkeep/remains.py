# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the rest of a device's directory after its last image and pack were deleted.

Only names that the engine gives are removed; any other entry stays, and the directory with it.
"""

from __future__ import annotations

from typing import Callable, List

from ...errors import StorageFailed, StorageNotFound
from ...storage.contract import PARTIAL_SUFFIX
from ...storage.lease import LEASE_NAME, Lease
from ..device_directory import IMAGE_NAME, DeviceDirectory
from ..format import constants as fmt
from ..newest import enumerated
from ..pack_listing import rooms
from .purge import delete_if_there
from .strays import is_stray_folder
from .sweep import holds_manifest_at, remove_tree

_FILES = (fmt.README_NAME, fmt.ENCRYPTED_NAME, fmt.RUN_STATUS_NAME, fmt.NAMES_NAME)
_FOLDERS = (fmt.PACKS, fmt.KEYS, fmt.RECORDS, fmt.TRASH)
_MOST_LISTED = 1000


def remove_put_aside(directory: DeviceDirectory, is_old: Callable[[int], bool], warnings: List[str]) -> None:
    """Remove what runs that did not finish left in the trash. The caller holds the lease, and no image is made any more."""
    for one in directory.put_aside():
        path = directory.path(fmt.TRASH, one.file_name)
        if holds_manifest_at(directory.storage, path) or not is_old(one.since_seconds):
            continue  # the next sweep brings an image back
        try:
            is_gone = remove_tree(directory.storage, path)
        except StorageFailed as error:
            warnings.append("%s was not removed yet: %s" % (path, error))
            continue
        if not is_gone:
            warnings.append("%s contains a name that the engine did not create, and was not removed." % path)


def remove_remains(directory: DeviceDirectory, lease: Lease, warnings: List[str]) -> bool:
    """Remove all but the directory itself and the lease; False, with a warning, where something foreign is left.

    The document of the directory's owner goes last: as long as it is there, a call that was cut off is repeated.
    """
    storage = directory.storage
    names = _names(directory)
    strays = [name for name in names if is_stray_folder(name)]
    foreign = [name for name in names if name not in (*_FILES, *_FOLDERS, *strays, fmt.DEVICE_ID_NAME)]
    if foreign:
        return _stays(directory, "it contains %s, which the engine did not create" % enumerated(foreign), warnings)
    lease.check()
    folders = [*rooms(directory, fmt.PACKS), *rooms(directory, fmt.RECORDS, IMAGE_NAME)]
    folders += [directory.path(name) for name in _FOLDERS]
    try:
        left = [folder for folder in folders if not remove_tree(storage, folder)]
        left += [path for path in map(directory.path, strays) if not remove_tree(storage, path, 1)]
    except StorageFailed as error:
        return _stays(directory, str(error).rstrip("."), warnings)
    if left:
        reason = "%s contains a directory, a link or a name that the engine did not create" % enumerated(left)
        return _stays(directory, reason, warnings)
    for name in (*_FILES, fmt.DEVICE_ID_NAME):
        delete_if_there(storage, directory.path(name))
    return True


def remove_directory(directory: DeviceDirectory, warnings: List[str]) -> bool:
    """Remove the empty directory, after the lease in it was given back; a run that came in between keeps it."""
    try:
        directory.storage.remove_directory(directory.device)
    except StorageNotFound:
        return True
    except StorageFailed as error:
        return _stays(directory, str(error).rstrip("."), warnings)
    return True


def is_empty(directory: DeviceDirectory) -> bool:
    """Whether nothing but a lease is left: a removal was cut off right before its end."""
    return not _names(directory)


def _names(directory: DeviceDirectory) -> List[str]:
    """The names in the directory, except for the lease and its partial files."""
    found = directory.storage.list_some(directory.device, lambda name: True, _MOST_LISTED)
    return sorted(one.name for one in found if one.name != LEASE_NAME and not one.name.endswith(PARTIAL_SUFFIX))


def _stays(directory: DeviceDirectory, reason: str, warnings: List[str]) -> bool:
    warnings.append("The directory %s has no image any more and was not removed: %s." % (directory.device, reason))
    return False
