# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renames a device's directory, or repairs one that was moved by hand.

Three changes, in an order in which each moment can be continued by the same call: the former name is stored in
``names.json`` of the directory, the directory moves by one rename, and the document of its owner gets the new name.
Until the last one readers refuse the moved directory and say which playbook continues. A directory that was moved by
hand has missed the first change, and lacks the third.

An account that may only create files can store ``names.json`` before the first renaming. So of what it says only entries
that a key proves are carried on, and before the directory moves the new document is proved to say what readers need.
"""

from __future__ import annotations

import contextlib
import time
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Set, Tuple

from ..errors import (
    DeviceMismatch,
    DirectoryMoved,
    EngineError,
    ImageDamaged,
    ImageNotFound,
    KeyProblem,
    NameInUseAgain,
    RenameRefused,
    StorageExists,
)
from ..image.access import key_for_reading
from ..image.device_directory import DeviceDirectory
from ..image.format import constants as fmt
from ..image.format.keys import MasterKey
from ..image.format.manifest import Manifest
from ..image.format.packs import fingerprint
from ..image.former_names import (
    MAX_NAMES,
    Entry,
    accepted,
    encode,
    fitted,
    parse_entries,
    proved,
    read_entries,
    with_names,
)
from ..image.newest import enumerated
from ..image.readme import readme_text
from ..image.upkeep.alone import alone, prove_permitted
from ..image.writing.sender import store_verified
from ..storage.contract import Storage
from ..storage.lease import Lease
from .identity import name_owner, refuse_twins, stored_identity
from .other_directories import spare_name


class Renaming(NamedTuple):
    """``moves``: the directory still has its former name. ``is_done``: there is nothing to do. ``unreadable``: the images of which
    nothing is known, with the reason."""

    moves: bool
    is_done: bool
    images: List[str]
    unreadable: Dict[str, str]


class _Found(NamedTuple):
    """The directory where it is now, with the images that it has under any of its names."""

    directory: DeviceDirectory
    moves: bool
    former: FrozenSet[str]
    images: List[Manifest]
    unreadable: Dict[str, str]


def rename_directory(
    storage: Storage, device: str, to: str, passwords: List[str], *, dry_run: bool = False
) -> Renaming:
    """Rename the directory ``device``; does nothing where an earlier call did it.

    :param passwords: those of the images; each key of an image must be opened by one.
    :raises RenameRefused: when the new name is in use, or a key is not opened; nothing was changed.
    :raises ImageNotFound: when neither name has a directory of this device.
    :raises LeaseHeld: when a run lives. :raises StoragePermissionDenied: when this account may not rename.
    """
    if device == to:
        raise RenameRefused(device=device, to=to, reason="this is its name already")
    found = _find(storage, device, to)
    keys = _keys_of(found, device, to, passwords)
    is_done = not found.moves and _is_done(found, to, keys)
    if not is_done:
        _document(found, device, to, keys)
    if not (is_done or dry_run):
        prove_permitted(found.directory)
        with alone(found.directory) as lease:
            if found.directory.image_names() != sorted([*(one.image for one in found.images), *found.unreadable]):
                found = _find(storage, device, to)  # a run has ended in between
                keys = _keys_of(found, device, to, passwords)
            _rename(storage, found, device, to, keys, lease)
    return Renaming(found.moves, is_done, [one.image for one in found.images], found.unreadable)


def _find(storage: Storage, device: str, to: str) -> _Found:
    refuse_twins(storage, to)
    is_there, is_new_there = storage.exists(device), storage.exists(to)
    if is_there and is_new_there:
        if device in _former_names(storage, to):
            raise NameInUseAgain(device=device, to=to, spare=spare_name(device))
        raise RenameRefused(device=device, to=to, reason="the directory %s exists already" % to)
    if not (is_there or is_new_there) or (is_there and stored_identity(storage, device) is None):
        raise ImageNotFound(device=device, image="at all", storage=storage.description)
    place = device if is_there else to
    former = frozenset([device]) | accepted(read_entries(storage, place), device, None)
    directory = DeviceDirectory(storage, place, assumed=former)
    unreadable: Dict[str, EngineError] = {}
    images = directory.images(unreadable)
    if is_new_there:
        _prove_moved(storage, device, to, images)
    return _Found(directory, is_there, former, images, {image: str(error) for image, error in unreadable.items()})


def _former_names(storage: Storage, to: str) -> FrozenSet[str]:
    """The names that the directory ``to`` had before, as its documents say."""
    try:
        if stored_identity(storage, to) is None:
            return frozenset()
    except DirectoryMoved as error:
        return frozenset([str(error.fields["named"])])
    except DeviceMismatch:
        return frozenset()
    return accepted(read_entries(storage, to), to, None)


def _prove_moved(storage: Storage, device: str, to: str, images: List[Manifest]) -> None:
    """Prove that the directory ``to`` was called ``device``.

    :raises DirectoryMoved: when it is another one's. :raises ImageNotFound: when it never was ``device``.
    """
    try:
        stored = stored_identity(storage, to)
    except DirectoryMoved as error:
        if error.fields["named"] != device:
            raise
        return
    was_called = any(one.device == device for one in images)
    was_called = was_called or device in accepted(read_entries(storage, to), to, None)
    if stored is None or not was_called:
        raise ImageNotFound(device=device, image="at all", storage=storage.description)


def _keys_of(found: _Found, device: str, to: str, passwords: List[str]) -> List[Optional[MasterKey]]:
    """The keys of the images; ``None`` stands for unencrypted ones, and for none at all.

    :raises RenameRefused: when no password opens one of them.
    """
    keys: Dict[str, Optional[MasterKey]] = {}
    closed: List[str] = []
    for key_id in {one.key_id: None for one in found.images}:
        if not key_id:
            keys[""] = None
            continue
        images = [one for one in reversed(found.images) if one.key_id == key_id]
        key = next(filter(None, (_opened(found.directory, one, passwords) for one in images)), None)
        if key is None:
            closed.append(images[0].image)
        else:
            keys[key_id] = key
    if closed:
        raise RenameRefused(
            device=device,
            to=to,
            reason="imaging_password and imaging_password_previous do not open the key of %s" % enumerated(closed),
        )
    return list(keys.values()) or [None]


def _opened(directory: DeviceDirectory, manifest: Manifest, passwords: List[str]) -> Optional[MasterKey]:
    for password in passwords:
        # Any account may have stored a manifest that names the key of the others.
        with contextlib.suppress(KeyProblem, ImageDamaged):
            return key_for_reading(directory, manifest, password)
    return None


def _is_done(found: _Found, to: str, keys: List[Optional[MasterKey]]) -> bool:
    """Whether the directory has its new name in every document."""
    storage = found.directory.storage
    try:
        if stored_identity(storage, to) is None:
            return False
    except DeviceMismatch:
        return False
    entries = read_entries(storage, to)
    return all(_used(found, key) - {to} <= accepted(entries, to, key) for key in keys)


def _used(found: _Found, key: Optional[MasterKey]) -> Set[str]:
    """The names that the images of one key have: each entry is for one key."""
    return {one.device for one in found.images if one.key_id == (key.key_id if key is not None else "")}


def _document(found: _Found, device: str, to: str, keys: List[Optional[MasterKey]]) -> bytes:
    """The document of former names of the directory ``to``, which says what readers need.

    :raises RenameRefused: when it would not.
    """
    before = read_entries(found.directory.storage, found.directory.device)
    needed: List[Tuple[Optional[MasterKey], Set[str]]] = [
        (key, _names_of(found, device, to, key, before)) for key in keys
    ]
    own: List[Entry] = []
    for key, names in needed:
        own = with_names(own, to, names, key)
    others = [one for one in proved(before, [key for key in keys if key is not None]) if one["device"] != to]
    data = encode(fitted([*own, *others]))
    said = parse_entries(data)
    if any(not names - {to} <= accepted(said, to, key) for key, names in needed):
        most = max(len(names) for dummy_key, names in needed)
        reason = "%d former names do not fit into its %s; at most %d do" % (most, fmt.NAMES_NAME, MAX_NAMES)
        raise RenameRefused(device=device, to=to, reason=reason)
    return data


def _names_of(found: _Found, device: str, to: str, key: Optional[MasterKey], before: List[Entry]) -> Set[str]:
    """The former names for the images of ``key``, besides ``device``: without a key those that images have, since nothing proves
    the others."""
    used = _used(found, key)
    if key is None:
        return {device, *used}
    names = {device, *accepted(before, device, key), *accepted(before, to, key)}
    return names if len(names) <= MAX_NAMES else {device, *(names & used)}


def _rename(
    storage: Storage, found: _Found, device: str, to: str, keys: List[Optional[MasterKey]], lease: Lease
) -> None:
    _store(storage, found.directory.path(fmt.NAMES_NAME), _document(found, device, to, keys))
    lease.check()
    if found.moves:
        try:
            storage.rename(device, to)
        except StorageExists:
            raise RenameRefused(device=device, to=to, reason="the directory %s exists already" % to) from None
        lease.follow(to)
    name_owner(storage, device, to)
    _store(storage, "%s/%s" % (to, fmt.README_NAME), readme_text(to))


def _store(storage: Storage, path: str, data: bytes) -> None:
    store_verified(storage, path, [data], fingerprint([data]), time.sleep)
