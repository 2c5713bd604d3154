# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of key slots: every image holds some, and a damaged one is repaired from another, since its name is its hash."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Dict, Iterator, List, Optional

from ..errors import ImageDamaged, StorageNotFound, StoragePermissionDenied
from .device_directory import DeviceDirectory
from .format import constants as fmt
from .format.encrypted_mark import mark_encrypted
from .format.keys import MasterKey
from .format.manifest import Manifest
from .image_folder import ImageFolder


def copy_slots(
    directory: DeviceDirectory, folder: ImageFolder, key: MasterKey, newest: Optional[Manifest], files: Dict[str, str]
) -> List[str]:
    """Store the slots of a key in an image's folder; return their names, and add the stored ones to ``files``.

    These are the slots that the newest image of the key lists, and those that this run opened or made. Other slots in
    the device's directory may be from any writer: each claims to hold the key, without a proof. The slots that are
    missing or damaged in the device's directory are stored there again.

    :param newest: the newest image of this key, proved.
    """
    folder.make_directory(fmt.KEYS)
    listed = newest.slots if newest is not None else []
    names = sorted([*key.slots, *(name for name in listed if name not in key.slots)][: fmt.MAX_KEY_SLOTS])
    stored = []
    for name in names:
        try:
            data = whole_copy(directory, name)
        except ImageDamaged:
            if name in key.slots:
                raise
            continue  # damaged everywhere: a password less, which verify has named
        relative = "%s/%s" % (fmt.KEYS, name)
        files[relative] = folder.store(relative, data)
        stored.append(name)
    mark_encrypted(directory)  # that of an earlier version has no mark
    return stored


def whole_copy(directory: DeviceDirectory, name: str) -> bytes:
    """Return the bytes of a slot from its first intact copy, and repair the device's own with it.

    :raises ImageDamaged: when there is none.
    """
    own = directory.path(fmt.KEYS, name)
    for path in _copies(directory, name):
        try:
            data = directory.storage.get(path, 0, fmt.MAX_KEY_SLOT_BYTES + 1)
        except StorageNotFound:
            continue
        if not is_whole(name, data):
            continue
        if path != own:
            with contextlib.suppress(StoragePermissionDenied):  # who may only create leaves a damaged one to others
                directory.storage.put(own, [data], replace=True)
        return data
    raise ImageDamaged(image=name, reason="the key slot vanished during the run")


def _copies(directory: DeviceDirectory, name: str) -> Iterator[str]:
    yield directory.path(fmt.KEYS, name)
    for image in reversed(directory.image_names()):
        yield directory.path(image, fmt.KEYS, name)


def is_whole(name: str, data: bytes) -> bool:
    """Whether these are the bytes of the slot of this name."""
    return hashlib.sha256(data).hexdigest() + ".json" == name
