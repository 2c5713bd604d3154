# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark of a device whose images are encrypted: a file that is found by its name.

A run knows only from listings that a device has neither key slots nor encrypted images, and a listing may lag: then a
run without the password would store an unencrypted image, and a mistyped password would begin a new key. So both ask
for the mark as well, and whether the listing shows what is known to be there.
"""

from __future__ import annotations

import contextlib

from ...errors import StorageExists, StorageListingIncomplete, StorageNotFound, StoragePermissionDenied
from ..device_directory import DeviceDirectory
from . import constants as fmt


def mark_encrypted(directory: DeviceDirectory) -> None:
    """Leave the mark, after the first key slot is stored."""
    with contextlib.suppress(StorageExists, StorageNotFound, StoragePermissionDenied):
        if not directory.storage.exists(_path(directory)):
            directory.storage.put(_path(directory), [fmt.ENCRYPTED_TEXT])


def is_marked(directory: DeviceDirectory) -> bool:
    return directory.storage.exists(_path(directory))


def check_listing(directory: DeviceDirectory) -> None:
    """Prove that a listing which shows neither images nor key slots shows what else is there.

    :raises StorageListingIncomplete: when it does not.
    """
    storage = directory.storage
    wanted = (fmt.DEVICE_ID_NAME, fmt.PACKS)
    try:
        listed = {entry.name for entry in storage.list_some(directory.device, lambda name: name in wanted)}
    except StorageNotFound:
        listed = set()
    for name in wanted:
        if name not in listed and storage.exists(directory.path(name)):
            raise StorageListingIncomplete(storage=storage.description, path=directory.device, missing=name)


def lagging(directory: DeviceDirectory) -> StorageListingIncomplete:
    return StorageListingIncomplete(
        storage=directory.storage.description, path=directory.path(fmt.KEYS), missing="a key slot"
    )


def _path(directory: DeviceDirectory) -> str:
    return directory.path(fmt.ENCRYPTED_NAME)
