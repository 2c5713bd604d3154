# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which key a run writes with and a reader opens with: rule 6, a wrong password never starts a new key."""

from __future__ import annotations

import contextlib
from enum import Enum
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from ..errors import (
    EngineError,
    ImageDamaged,
    KeyMissing,
    KeyProblem,
    KeySlotInvalid,
    KeySlotsCrowded,
    KeySlotsFull,
    PasswordMissing,
    PasswordUnused,
    PasswordWrong,
    StorageExists,
    StorageNotFound,
    StoragePermissionDenied,
)
from .device_directory import DeviceDirectory
from .format import constants as fmt
from .format.encrypted_mark import check_listing, is_marked, lagging, mark_encrypted
from .format.keys import KeySlot, MasterKey
from .format.manifest import Manifest, authenticate, check_key_id
from .newest import enumerated
from .second_look import damage_of
from .slot_search import in_order_of_trust, open_slots

_MOST_CLAIMS = 256  # of images that look newer than the newest one that is proved


class Passwords(NamedTuple):
    """The passwords that the user gave. Never shown, never stored."""

    password: Optional[str] = None
    previous: Optional[str] = None
    new_key: bool = False
    allow_clear: bool = False

    def __repr__(self) -> str:
        return "Passwords(...)"


class Writing(NamedTuple):
    """The key that a run writes with (``None``: unencrypted), and the existing images, in order; those of the key are
    proved."""

    key: Optional[MasterKey]
    images: List[Manifest]
    unreadable: Dict[str, EngineError]


def key_for_writing(directory: DeviceDirectory, passwords: Passwords) -> Writing:
    """Choose the key to write with, adding a slot where a new password or key was asked for, and read all images.

    :raises PasswordMissing, PasswordWrong: rule 6.
    :raises KeySlotsFull: when one slot more would be one that no reader looks at.
    """
    unreadable: Dict[str, EngineError] = {}
    key = _own_key(directory, passwords.password)
    if key is not None:
        images = directory.images(unreadable, key)
        newest = max((one.sequence for one in images if one.key_id == key.key_id), default=-1)
        newer = _newer_key(directory, key, newest, images, passwords.password)
        if newer is not None:
            unreadable.clear()
            key, images = newer[0], directory.images(unreadable, newer[0])
        return Writing(key, images, unreadable)
    images = directory.images(unreadable)
    way, key = _way_in(directory, images, passwords, directory.key_slots)
    if way is _Way.NEW_KEY:
        return Writing(_start_key(directory, passwords.password or ""), images, unreadable)
    if key is not None:
        unreadable.clear()
        images = directory.images(unreadable, key)
        if way is _Way.NEW_SLOT:
            _check_room(directory, key, images)
            _store_slot(directory, key, passwords.password or "")
    return Writing(key, images, unreadable)


def prove_passwords(directory: DeviceDirectory, passwords: Passwords) -> Optional[MasterKey]:
    """Raise what :func:`key_for_writing` would raise, and change nothing. Return the key that is there already.

    The device's own slots answer nearly always; only where they don't are the copies in all its images read.
    """
    key = _own_key(directory, passwords.password)
    if key is not None:
        return key
    newest = directory.newest()
    images = [newest] if newest is not None else []
    try:
        way, key = _way_in(directory, images, passwords, directory.own_key_slots)
    except KeyProblem:
        way, key = _way_in(directory, images, passwords, directory.key_slots)
    if way is _Way.NEW_SLOT and key is not None:
        proved = directory.newest(key)
        _check_room(directory, key, [proved] if proved is not None else [])
    return key


def _own_key(directory: DeviceDirectory, password: Optional[str]) -> Optional[MasterKey]:
    """The key that a password opens with one of the device's own slots. No manifest is read unless they are many."""
    if not password:
        return None
    slots = directory.own_key_slots([])
    if not slots:
        return None
    witnesses = (
        directory.images({}) if len({slot.key_id for slot in slots}) > 1 or len(slots) > fmt.MAX_KEY_SLOTS else []
    )
    return open_slots(in_order_of_trust(slots, witnesses), password, is_last=False)


def _newer_key(
    directory: DeviceDirectory, key: MasterKey, newest: int, claims: List[Manifest], password: Optional[str]
) -> Optional[Tuple[MasterKey, Manifest]]:
    """Another key that the same password opens, with an image that it proves and that is newer than ``newest``, the number
    of the last one of ``key``: then that key was begun later.

    :param claims: what manifests say of themselves only tells which slots are worth a try.
    """
    claims = [one for one in claims if one.key_id not in ("", key.key_id) and one.sequence > newest]
    if not claims or not password:
        return None
    slots = [slot for slot in directory.own_key_slots([]) if slot.key_id in {one.key_id for one in claims}]
    other = open_slots(in_order_of_trust(slots, claims), password, is_last=False)
    proved = directory.newest(other) if other is not None else None
    return (other, proved) if other is not None and proved is not None and proved.sequence > newest else None


class _Way(Enum):
    AS_IT_IS = "no key slot has to be stored"
    NEW_SLOT = "the new password becomes a slot of the key"
    NEW_KEY = "a key is started"


def _way_in(
    directory: DeviceDirectory,
    images: List[Manifest],
    passwords: Passwords,
    read_slots: Callable[[List[EngineError]], List[KeySlot]],
) -> Tuple[_Way, Optional[MasterKey]]:
    invalid: List[EngineError] = []
    slots = in_order_of_trust(read_slots(invalid), images)
    encrypted = bool(slots or invalid) or any(manifest.key_id for manifest in images)
    if not encrypted and not (passwords.new_key or passwords.allow_clear):
        if not images:
            check_listing(directory)
        if is_marked(directory):
            if not passwords.password:
                raise PasswordMissing(device=directory.device)
            raise lagging(directory)
    if not passwords.password:
        if encrypted and not passwords.allow_clear:
            raise PasswordMissing(device=directory.device)
        return _Way.AS_IT_IS, None
    if not encrypted:
        return _Way.NEW_KEY, None
    crowded: Optional[KeySlotsCrowded] = None
    for password, way in ((passwords.password, _Way.AS_IT_IS), (passwords.previous, _Way.NEW_SLOT)):
        key = None
        try:
            key = open_slots(slots, password) if password else None
        except KeySlotsCrowded as error:
            crowded = error
        if key is not None:
            return way, key
    if passwords.new_key:
        return _Way.NEW_KEY, None
    if crowded is not None:
        raise crowded
    if invalid and not slots:
        raise invalid[0]
    raise PasswordWrong(slots=len(slots), device=directory.device)


def openable_key(directory: DeviceDirectory, password: Optional[str]) -> Optional[MasterKey]:
    """The key that the password opens, of several the one that images were made with last; ``None`` when it opens none."""
    if not password:
        return None
    key = _own_key(directory, password)
    if key is None:
        key = open_slots(in_order_of_trust(directory.key_slots([]), directory.images({})), password, is_last=False)
    return key


class Newest(NamedTuple):
    """The newest image; ``key`` where a password proves it, ``passed`` the names of those that only look newer."""

    manifest: Manifest
    key: Optional[MasterKey]
    passed: List[str]

    @property
    def warnings(self) -> List[str]:
        if not self.passed:
            return []
        why = (
            "the password does not authenticate them"
            if self.key is not None
            else "they are unreadable or dated in the future"
        )
        return [
            "%s is the newest image; these were not considered because %s: %s."
            % (self.manifest.image, why, enumerated(self.passed))
        ]


def newest_image(directory: DeviceDirectory, password: Optional[str], job: Optional[str] = None) -> Newest:
    """Find the image that ``latest`` means: the newest one that the password proves; without a password, or where it
    proves none, the last name that is plausible.

    :param job: of which job the newest is meant; ``None`` for any.
    :raises ImageNotFound: when there is none.
    :raises JobWithoutImage: when there is none of the job.
    """
    key = openable_key(directory, password)
    names = directory.image_names()
    manifest = directory.newest(key, job, names) if key is not None else None
    if manifest is None:
        manifest, key = directory.newest(job=job, names=names), None
    if manifest is None:
        manifest = directory.find_image("latest", job)  # raises what there is to say
    later = [name for name in names if name > manifest.image][:_MOST_CLAIMS]
    unreadable: Dict[str, EngineError] = {}
    claims = directory.manifests(later, unreadable, key)
    if key is not None and job is None:
        newer = _newer_key(directory, key, manifest.sequence, claims, password)
        if newer is not None:
            key, manifest = newer
    # Images of another job, or of this key, are proved or usable: they are newer, and not what was asked for.
    passed = {*unreadable, *(one.image for one in claims if key is None or one.key_id != key.key_id)}
    if key is None and job is not None:
        passed = set(unreadable)
    return Newest(manifest, key, sorted(name for name in passed if name > manifest.image))


def open_manifest(
    directory: DeviceDirectory, image: str, password: Optional[str], known: Optional[MasterKey], warnings: List[str]
) -> Tuple[Manifest, Optional[MasterKey]]:
    """Return the manifest of an image that its key proves, and that key: from the second copy where the file is damaged.

    A flipped bit in a manifest can leave one that can be parsed: then only the key tells, or that there is none for it.

    :param warnings: a sentence is added where it was the copy.
    :raises EngineError: as ``key_for_reading``, what is wrong with the file.
    """
    failed: Optional[EngineError] = None
    for data, manifest, is_copy in directory.readings(image):
        try:
            key = _proved_key(directory, data, manifest, password, known)
        except (ImageDamaged, KeyMissing, PasswordWrong) as error:
            failed = failed or error
            continue
        if is_copy:
            warnings.append("image.json of the image %s is damaged; its second copy was read instead." % image)
        return manifest, key
    raise failed or ImageDamaged(image=image, reason="its manifest image.json is unreadable")


def key_for_reading(
    directory: DeviceDirectory, manifest: Manifest, password: Optional[str], known: Optional[MasterKey] = None
) -> Optional[MasterKey]:
    """Return the key of an image and authenticate its manifest with it.

    :param known: a key that the password is known to open.
    :raises PasswordUnused, PasswordMissing, PasswordWrong, KeyMissing: in this order of what is known.
    """
    return _proved_key(directory, directory.manifest_bytes(manifest.image), manifest, password, known)


def _proved_key(
    directory: DeviceDirectory, data: bytes, manifest: Manifest, password: Optional[str], known: Optional[MasterKey]
) -> Optional[MasterKey]:
    if not manifest.key_id:
        if password or known is not None:  # else an attacker could put an unencrypted image in the place of a real one
            raise PasswordUnused(device=directory.device, image=manifest.image)
        authenticate(data, manifest, None)
        return None
    if known is None or known.key_id != manifest.key_id:
        if known is not None:
            check_key_id(data, manifest, known)
        if not password:
            raise PasswordMissing(device=directory.device)
        known = _key_of(directory, data, manifest, password)
    authenticate(data, manifest, known)
    directory.prove_name(manifest, known)  # until now the former names of the directory were only claimed
    return known


def _key_of(directory: DeviceDirectory, data: bytes, manifest: Manifest, password: str) -> MasterKey:
    """:raises ImageDamaged: when the password opens the key that made the image, and not the one that it names."""
    # The image's own slots first: a flood of foreign slots beside them must not keep the image locked.
    own = [slot for slot in directory.slots_of(manifest) if slot.key_id == manifest.key_id]
    key = open_slots(in_order_of_trust(own), password, is_last=False)
    if key is not None:
        return key
    invalid: List[EngineError] = []
    tried = {slot.name for slot in own}
    slots = [slot for slot in directory.key_slots(invalid) if slot.name not in tried]
    others = [slot for slot in slots if slot.key_id == manifest.key_id]
    key = open_slots(in_order_of_trust(others, [manifest]), password, is_last=False)
    if key is not None:
        return key
    another = open_slots(
        in_order_of_trust([slot for slot in slots if slot.key_id != manifest.key_id]), password, is_last=False
    )
    if another is not None:
        check_key_id(data, manifest, another)
        raise KeyMissing(device=directory.device, key_id=manifest.key_id[:16])
    if not own + others:
        raise invalid[0] if invalid else ImageDamaged(image=manifest.image, reason="its key slots are missing")
    raise PasswordWrong(slots=len(own + others), device=directory.device)


def store_slot_bytes(directory: DeviceDirectory, name: str, data: bytes) -> None:
    try:
        directory.storage.put(directory.path(fmt.KEYS, name), [data])
    except StorageExists:
        return  # slots are named by their bytes: the same one is there


def _check_room(directory: DeviceDirectory, key: MasterKey, images: List[Manifest]) -> None:
    """Only the slots that the newest image of the key lists are believed: any writer may have stored others beside
    them.

    :raises KeySlotsFull: when an image can't list one more.
    """
    listed = [manifest.slots for manifest in images if manifest.key_id == key.key_id]
    if len(key.slots.union(listed[-1] if listed else [])) >= fmt.MAX_KEY_SLOTS:
        raise KeySlotsFull(device=directory.device, slots=fmt.MAX_KEY_SLOTS)


def _start_key(directory: DeviceDirectory, password: str) -> MasterKey:
    key = MasterKey.new()
    _store_slot(directory, key, password)
    return key


def _store_slot(directory: DeviceDirectory, key: MasterKey, password: str) -> None:
    name, data = key.new_slot(password)
    store_slot_bytes(directory, name, data)
    path = directory.path(fmt.KEYS, name)
    if damage_of(directory.storage, path, name[: -len(".json")]):
        with contextlib.suppress(StorageNotFound, StoragePermissionDenied):
            directory.storage.delete(path)
        raise KeySlotInvalid(path=name, reason="the storage changed its content")
    mark_encrypted(directory)
