# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renames a device's directory, or repairs one that was moved by hand.

Three changes, in an order in which each moment can be continued by the same call: the former name is stored in
``names.json`` of the directory, the directory moves by one rename, and the document of its owner gets the new name.
Until the last one readers refuse the moved directory and say which playbook continues. A directory that was moved by
hand has missed the first change, and lacks the third.
"""

from __future__ import annotations

import contextlib
import time
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Set

from ..errors import (
    DeviceMismatch,
    DirectoryMoved,
    ImageNotFound,
    KeyProblem,
    RenameRefused,
    StorageExists,
)
from ..image.access import key_for_reading
from ..image.device_directory import DeviceDirectory
from ..image.format import constants as fmt
from ..image.format.keys import MasterKey
from ..image.format.manifest import Manifest
from ..image.format.packs import fingerprint
from ..image.former_names import accepted, encode, read_entries, with_names
from ..image.newest import enumerated
from ..image.readme import readme_text
from ..image.upkeep.alone import alone, prove_permitted
from ..image.writing.sender import store_verified
from ..storage.contract import Storage
from ..storage.lease import Lease
from .identity import name_owner, refuse_twins, stored_identity


class Renaming(NamedTuple):
    """``moves``: the directory still has its former name. ``is_done``: there is nothing to do."""

    moves: bool
    is_done: bool
    images: List[str]


class _Found(NamedTuple):
    """The directory where it is now, with the images that it has under any of its names."""

    directory: DeviceDirectory
    moves: bool
    former: FrozenSet[str]
    images: List[Manifest]


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
    names = [one.image for one in found.images]
    if not found.moves and _is_done(found, to, keys):
        return Renaming(False, True, names)
    if not dry_run:
        prove_permitted(found.directory)
        with alone(found.directory) as lease:
            _rename(storage, found, device, to, keys, lease)
    return Renaming(found.moves, False, names)


def _find(storage: Storage, device: str, to: str) -> _Found:
    refuse_twins(storage, to)
    is_there, is_new_there = storage.exists(device), storage.exists(to)
    if is_there and is_new_there:
        raise RenameRefused(device=device, to=to, reason="the directory %s exists already" % to)
    if not (is_there or is_new_there) or (is_there and stored_identity(storage, device) is None):
        raise ImageNotFound(device=device, image="at all", storage=storage.description)
    place = device if is_there else to
    former = frozenset([device]) | accepted(read_entries(storage, place), device, None)
    directory = DeviceDirectory(storage, place, assumed=former)
    images = directory.images({})
    if is_new_there:
        _prove_moved(storage, device, to, images)
    return _Found(directory, is_there, former, images)


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
    newest_of = {one.key_id: one for one in found.images}
    for key_id, manifest in newest_of.items():
        if not key_id:
            keys[""] = None
            continue
        key = _opened(found.directory, manifest, passwords)
        if key is None:
            closed.append(manifest.image)
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
        with contextlib.suppress(KeyProblem):
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
    called: Set[str] = {one.device for one in found.images} - {to}
    return all(called <= accepted(entries, to, key) for key in keys)


def _rename(
    storage: Storage, found: _Found, device: str, to: str, keys: List[Optional[MasterKey]], lease: Lease
) -> None:
    entries = before = read_entries(storage, found.directory.device)
    for key in keys:  # a claim that the key does not prove is not carried on
        entries = with_names(entries, to, {device, *accepted(before, device, key)}, key)
    _store(storage, found.directory.path(fmt.NAMES_NAME), encode(entries))
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
