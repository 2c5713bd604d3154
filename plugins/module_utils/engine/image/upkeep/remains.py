# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the rest of a device's directory after its last image and pack were deleted.

Only names that the engine gives are removed; any other entry stays, and the directory with it. An account that may create
files can put an obstacle under each of these names, and the system of a storage adds folders at any time: a removal says
what is left, and ends.
"""

from __future__ import annotations

import contextlib
from typing import Callable, List

from ...entries import Entry, EntryKind
from ...errors import (
    RunCancelled,
    StorageError,
    StorageFailed,
    StorageNotFound,
    StoragePermissionDenied,
    StorageUnreachable,
)
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
_ROUNDS = 3  # of removals of folders that the system of the storage adds at the same time


def remove_put_aside(directory: DeviceDirectory, is_old: Callable[[int], bool], warnings: List[str]) -> None:
    """Remove what runs that did not finish left in the trash. The caller holds the lease, and no image is made any more."""
    for one in directory.put_aside():
        path = directory.path(fmt.TRASH, one.file_name)
        if holds_manifest_at(directory.storage, path) or not is_old(one.since_seconds):
            continue  # the next sweep brings an image back
        try:
            is_gone = remove_tree(directory.storage, path)
        except (StorageFailed, StoragePermissionDenied) as error:
            warnings.append("%s was not removed yet: %s" % (path, error))
            continue
        if not is_gone:
            warnings.append("%s contains a name that the engine did not create, and was not removed." % path)


def remove_remains(directory: DeviceDirectory, lease: Lease, warnings: List[str]) -> bool:
    """Remove all but the directory itself and the lease; False, with a warning, where something foreign is left.

    The document of the directory's owner goes last: as long as it is there, a call that was cut off is repeated.
    """
    try:
        return _remove_remains(directory, lease, warnings)
    except (StorageUnreachable, RunCancelled):
        raise
    except StorageError as error:
        return _stays(directory, str(error).rstrip("."), warnings)


def _remove_remains(directory: DeviceDirectory, lease: Lease, warnings: List[str]) -> bool:
    storage = directory.storage
    _clear_ways(directory)
    foreign = foreign_names(directory)
    if foreign:
        return _stays(directory, "it contains %s, which the engine did not create" % enumerated(foreign), warnings)
    lease.check()
    folders = [*rooms(directory, fmt.PACKS), *rooms(directory, fmt.RECORDS, IMAGE_NAME)]
    folders += [directory.path(name) for name in _FOLDERS]
    left = [folder for folder in folders if not remove_tree(storage, folder)]
    left += _remove_strays(directory)
    if left:
        reason = "%s contains a directory, a link or a name that the engine did not create" % enumerated(left)
        return _stays(directory, reason, warnings)
    for name in (*_FILES, fmt.DEVICE_ID_NAME):
        delete_if_there(storage, directory.path(name))
    return True


def _remove_strays(directory: DeviceDirectory) -> List[str]:
    """Remove the folders of the storage's system; return those that can't be removed."""
    paths = [directory.path(one.name) for one in _entries(directory) if is_stray_folder(one.name)]
    return [path for path in paths if not remove_tree(directory.storage, path, 1)]


def remove_directory(directory: DeviceDirectory, warnings: List[str]) -> bool:
    """Remove the empty directory, after the lease in it was given back; a run that came in between keeps it."""
    reason = ""
    for dummy in range(_ROUNDS):
        try:
            directory.storage.remove_directory(directory.device)
        except StorageNotFound:
            return True
        except (StorageFailed, StoragePermissionDenied) as error:
            reason = str(error).rstrip(".")
        else:
            return True
        names = [one.name for one in _entries(directory)]
        if not all(map(is_stray_folder, names)):
            return _stays(directory, "it contains %s" % enumerated(names), warnings)
        with contextlib.suppress(StorageNotFound, StorageFailed, StoragePermissionDenied):
            _remove_strays(directory)
    return _stays(directory, reason, warnings)


def is_empty(directory: DeviceDirectory) -> bool:
    """Whether the directory has nothing but a lease and folders of the storage's system: a removal was cut off right before its
    end."""
    return all(is_stray_folder(one.name) for one in _entries(directory))


def foreign_names(directory: DeviceDirectory) -> List[str]:
    """The names in the directory that are not the engine's, or not as the engine creates them."""
    return [one.name for one in _entries(directory) if not _is_ours(one)]


def _is_ours(entry: Entry) -> bool:
    if entry.name in (*_FILES, fmt.DEVICE_ID_NAME):
        return entry.kind is EntryKind.FILE
    return (entry.name in _FOLDERS or is_stray_folder(entry.name)) and entry.kind is EntryKind.DIRECTORY


def _clear_ways(directory: DeviceDirectory) -> None:
    """Remove empty directories in the place of files."""
    for one in _entries(directory):
        if one.name in (*_FILES, fmt.DEVICE_ID_NAME) and one.kind is EntryKind.DIRECTORY:
            with contextlib.suppress(StorageNotFound, StorageFailed):
                directory.storage.remove_directory(directory.path(one.name))


def _entries(directory: DeviceDirectory) -> List[Entry]:
    """The entries of the directory, except for the lease and its partial files."""
    try:
        found = directory.storage.list_some(directory.device, lambda name: True, _MOST_LISTED)
    except StorageNotFound:
        return []
    kept = [one for one in found if one.name != LEASE_NAME and not one.name.endswith(PARTIAL_SUFFIX)]
    return sorted(kept, key=lambda one: one.name)


def _stays(directory: DeviceDirectory, reason: str, warnings: List[str]) -> bool:
    warnings.append("The directory %s has no image any more and was not removed: %s." % (directory.device, reason))
    return False
