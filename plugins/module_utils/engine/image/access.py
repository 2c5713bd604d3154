# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which key a run writes with and a reader opens with: rule 6, a wrong password never starts a new key."""

from __future__ import annotations

from enum import Enum
from typing import Callable, List, NamedTuple, Optional, Tuple

from ..errors import (
    EngineError,
    ImageDamaged,
    KeyMissing,
    KeyProblem,
    KeySlotInvalid,
    KeySlotsFull,
    PasswordMissing,
    PasswordUnused,
    PasswordWrong,
    StorageExists,
)
from . import format as fmt
from .directory import DeviceDirectory
from .keys import KeySlot, MasterKey, open_slots
from .manifest import Manifest, authenticate


class Passwords(NamedTuple):
    """What the user gave. Never shown, never stored."""

    password: Optional[str] = None
    previous: Optional[str] = None
    new_key: bool = False
    allow_clear: bool = False

    def __repr__(self) -> str:
        return "Passwords(...)"


def key_for_writing(directory: DeviceDirectory, images: List[Manifest], passwords: Passwords) -> Optional[MasterKey]:
    """Return the key to write with (None: in clear), adding a slot where a new password or key was asked for.

    :raises PasswordMissing, PasswordWrong: rule 6.
    :raises KeySlotsFull: when one slot more would be one that no reader looks at.
    """
    way, key = _way_in_by_own_slots(directory, images, passwords) or _way_in(
        directory, images, passwords, directory.key_slots
    )
    if way is _Way.NEW_KEY:
        return _start_key(directory, passwords.password or "")
    if way is _Way.NEW_SLOT and key is not None:
        _store_slot(directory, key, passwords.password or "")
    return key


def prove_passwords(directory: DeviceDirectory, images: List[Manifest], passwords: Passwords) -> Optional[MasterKey]:
    """Raise what :func:`key_for_writing` would raise, and change nothing. Return the key that is there already.

    The device's own slots answer nearly always; only where they don't are the copies in all its images read.
    """
    try:
        return _way_in(directory, images, passwords, directory.own_key_slots)[1]
    except KeyProblem:
        return _way_in(directory, images, passwords, directory.key_slots)[1]


def _way_in_by_own_slots(
    directory: DeviceDirectory, images: List[Manifest], passwords: Passwords
) -> Optional[Tuple[_Way, Optional[MasterKey]]]:
    """The key of the newest image where the device's own slots open it; None: the copies in all images must be read."""
    if not passwords.password or not images or not images[-1].key_id:
        return None
    try:
        way, key = _way_in(directory, images, passwords, directory.own_key_slots)
    except KeyProblem:
        return None
    return (way, key) if way is _Way.AS_IT_IS and key is not None and key.key_id == images[-1].key_id else None


class _Way(Enum):
    AS_IT_IS = "nothing has to be stored"
    NEW_SLOT = "the new password becomes a slot of the key"
    NEW_KEY = "a key is started"


def _way_in(
    directory: DeviceDirectory,
    images: List[Manifest],
    passwords: Passwords,
    read_slots: Callable[[List[EngineError]], List[KeySlot]],
) -> Tuple[_Way, Optional[MasterKey]]:
    invalid: List[EngineError] = []
    slots = _newest_key_first(read_slots(invalid), images)
    encrypted = bool(slots or invalid) or any(manifest.key_id for manifest in images)
    if not passwords.password:
        if encrypted and not passwords.allow_clear:
            raise PasswordMissing(device=directory.device)
        return _Way.AS_IT_IS, None
    if not encrypted:
        return _Way.NEW_KEY, None
    key = open_slots(slots, passwords.password)
    if key is not None:
        return _Way.AS_IT_IS, key
    if passwords.previous:
        key = open_slots(slots, passwords.previous)
        if key is not None:
            _check_room(directory, slots, invalid)
            return _Way.NEW_SLOT, key
    if passwords.new_key:
        _check_room(directory, slots, invalid)
        return _Way.NEW_KEY, None
    if invalid and not slots:
        raise invalid[0]
    raise PasswordWrong(slots=len(slots), device=directory.device)


def openable_key(directory: DeviceDirectory, images: List[Manifest], password: Optional[str]) -> Optional[MasterKey]:
    """The key that the password opens, of several the one that images were made with last; None when it opens none."""
    if not password:
        return None
    key = open_slots(_newest_key_first(directory.own_key_slots([]), images), password)
    if key is not None and images and key.key_id == images[-1].key_id:
        return key
    return open_slots(_newest_key_first(directory.key_slots([]), images), password)


def key_for_reading(directory: DeviceDirectory, manifest: Manifest, password: Optional[str]) -> Optional[MasterKey]:
    """Return the key of an image and authenticate its manifest with it.

    :raises PasswordUnused, PasswordMissing, PasswordWrong, KeyMissing: in this order of what is known.
    """
    data = directory.manifest_bytes(manifest.image)
    if not manifest.key_id:
        if password:  # else whoever can write to the storage could put a clear image of his own in place of ours
            raise PasswordUnused(device=directory.device, image=manifest.image)
        authenticate(data, manifest, None)
        return None
    if not password:
        raise PasswordMissing(device=directory.device)
    # Those that came with the image first: slots that somebody heaped up beside them can't keep it shut.
    own = [slot for slot in directory.slots_of(manifest) if slot.key_id == manifest.key_id]
    key = open_slots(own, password)
    if key is None:
        invalid: List[EngineError] = []
        tried = {slot.name for slot in own}
        slots = [slot for slot in directory.key_slots(invalid) if slot.name not in tried]
        others = [slot for slot in slots if slot.key_id == manifest.key_id]
        mine = own + others
        key = open_slots(others, password)
    if key is None:
        if open_slots([slot for slot in slots if slot.key_id != manifest.key_id], password):
            raise KeyMissing(device=directory.device, key_id=manifest.key_id[:16])
        if not mine:
            raise invalid[0] if invalid else ImageDamaged(image=manifest.image, reason="its key slots are missing")
        raise PasswordWrong(slots=len(mine), device=directory.device)
    authenticate(data, manifest, key)
    return key


def store_slot_bytes(directory: DeviceDirectory, name: str, data: bytes) -> None:
    try:
        directory.storage.put(directory.path(fmt.KEYS, name), [data])
    except StorageExists:
        return  # slots are named by their bytes: the same one is there


def _check_room(directory: DeviceDirectory, slots: List[KeySlot], invalid: List[EngineError]) -> None:
    if len(slots) + len(invalid) >= fmt.MAX_KEY_SLOTS:
        raise KeySlotsFull(device=directory.device, slots=fmt.MAX_KEY_SLOTS)


def _start_key(directory: DeviceDirectory, password: str) -> MasterKey:
    key = MasterKey.new()
    _store_slot(directory, key, password)
    return key


def _store_slot(directory: DeviceDirectory, key: MasterKey, password: str) -> None:
    name, data = key.new_slot(password)
    store_slot_bytes(directory, name, data)
    stored = directory.storage.get(directory.path(fmt.KEYS, name), 0, fmt.MAX_KEY_SLOT_BYTES)
    if stored != data:
        raise KeySlotInvalid(path=name, reason="it was not stored as it was written")


def _newest_key_first(slots: List[KeySlot], images: List[Manifest]) -> List[KeySlot]:
    order = [manifest.key_id for manifest in reversed(images)]
    return sorted(slots, key=lambda slot: order.index(slot.key_id) if slot.key_id in order else len(order))
