# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of key slots: every image brings its own, and a damaged one is made whole from another, since its name is its hash."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Dict, Iterator, List, Optional

from ..errors import ImageDamaged, StorageNotFound, StoragePermissionDenied
from . import format as fmt
from .directory import DeviceDirectory
from .folder import ImageFolder
from .keys import KeySlot
from .manifest import Manifest


def copy_slots(
    directory: DeviceDirectory, folder: ImageFolder, key_id: str, newest: Optional[Manifest], files: Dict[str, str]
) -> List[str]:
    """Store the slots of a key in an image's folder; return their names, and add to ``files`` what was stored.

    What the device's own directory lacks of them, or has damaged, it gets back.

    :param newest: the newest image of this key.
    """
    folder.make_directory(fmt.KEYS)
    names = []
    for slot in _slots(directory, newest):
        if slot.key_id != key_id:
            continue
        data = whole_copy(directory, slot.name)
        relative = "%s/%s" % (fmt.KEYS, slot.name)
        files[relative] = folder.store(relative, data)
        names.append(slot.name)
    return names


def _slots(directory: DeviceDirectory, newest: Optional[Manifest]) -> List[KeySlot]:
    """The device's own slots and those of its newest image; all images are looked into only where one is damaged."""
    if newest is None:
        return directory.key_slots([])
    whole = {slot.name: slot for slot in [*directory.slots_of(newest), *directory.own_key_slots([])]}
    if not whole.keys() >= {*directory.slot_names(), *newest.slots}:
        return directory.key_slots([])
    return [whole[name] for name in sorted(whole)[: fmt.MAX_KEY_SLOTS]]


def whole_copy(directory: DeviceDirectory, name: str) -> bytes:
    """Return the bytes of a slot from the first copy that is whole, which the device's own is from then on.

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
