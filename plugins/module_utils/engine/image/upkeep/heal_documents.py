# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repairs small files of images from a second source: the manifest, the indexes, the device's description and the log
from ``copies.tar``, that file from them, SHA256SUMS from the manifest and the indexes, an image's key slots from their
other copies, since a slot's name is its hash.

A file without one (of an image of an earlier version, the index of a very large disk) stays damaged, and is reported.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from typing import Dict, Iterable, List, Optional

from ...errors import EngineError, ImageDamaged, StorageNotFound
from .. import records
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format import copies, documents, sums
from ..format.copies import whole_copy_of
from ..format.keys import MasterKey
from ..format.manifest import Manifest, authenticate, packs_digest
from ..format.packs import fingerprint
from ..second_look import damage_of
from ..slot_copies import is_whole, whole_copy
from ..writing.sender import store_verified
from .packs_of_image import packs_of_roots

_MOST_SUSPECTS = 32  # a record that says so may be from any writer


def suspects(directory: DeviceDirectory, images: List[Manifest]) -> List[Manifest]:
    """The images of which a verify has ever found something: few, and looking again costs a handful of calls."""
    names = [manifest.image for manifest in images]
    return found_damaged(images, records.read_of(directory, names)) if names else []


def found_damaged(images: List[Manifest], found: List[List[records.Record]]) -> List[Manifest]:
    """The same of records that were read already."""
    return [
        manifest
        for manifest, facts in zip(images, found)
        if any(fact.kind == records.VERIFIED and fact.ok is False for fact in facts)
    ][-_MOST_SUSPECTS:]


def heal_documents(directory: DeviceDirectory, images: Iterable[Manifest], key: Optional[MasterKey]) -> List[str]:
    """Return a sentence for every repaired file. For an account that may replace files.

    :param key: files that need it are repaired for the images of this key alone.
    """
    told = []
    for manifest in images:
        with contextlib.suppress(EngineError):  # what stands in the way is damage that verify reports by its name
            proved = directory.manifest(manifest.image, key)
            names = _heal_copied(directory, proved)
            if manifest.key_id == (key.key_id if key else ""):
                names += [*_heal_slots(directory, proved), *_heal_sums(directory, proved, key)]
            names += _heal_copies(directory, proved)
            _delete_damaged_records(directory, proved.image)
            told += ["%s of the image %s was damaged and has been repaired." % (name, proved.image) for name in names]
    return told


def _digests(manifest: Manifest) -> Dict[str, str]:
    """The SHA-256 of each file that the manifest names, but for the slots."""
    indexes = {fmt.index_name(number): disk.index_sha256 for number, disk in enumerate(manifest.disks)}
    return {**manifest.files, **indexes}


def _heal_copied(directory: DeviceDirectory, manifest: Manifest) -> List[str]:
    """Put back from ``copies.tar`` what is not what manifest and SHA256SUMS say; the manifest itself first."""
    folder, storage = directory.path(manifest.image), directory.storage
    digests = _digests(manifest)
    with contextlib.suppress(ImageDamaged):
        digests[fmt.MANIFEST_NAME] = directory.sums(manifest.image).files.get(fmt.MANIFEST_NAME, "")
    mended = []
    for name, digest in sorted(digests.items(), reverse=True):
        path = "%s/%s" % (folder, name)
        try:
            if not damage_of(storage, path, digest, most_bytes=fmt.MAX_SEALED_PLAIN_BYTES):
                continue
        except StorageNotFound:
            if name == fmt.MANIFEST_NAME:  # a rollover deletes the image: its manifest went first, and stays away
                raise
        data = whole_copy_of(storage, folder, name, [digest])
        if data is not None:
            _put_back(directory, path, data)
            mended.append(name)
    return mended


def _heal_copies(directory: DeviceDirectory, manifest: Manifest) -> List[str]:
    """Write ``copies.tar`` again from intact files; an image of an earlier version gets one."""
    folder = directory.path(manifest.image)
    digests = _digests(manifest)
    digests[fmt.MANIFEST_NAME] = directory.sums(manifest.image).files.get(fmt.MANIFEST_NAME, "")
    files = {name: _get(directory, "%s/%s" % (folder, name), copies.MAX_COPIED_BYTES) for name in digests}
    whole = {name: data for name, data in files.items() if hashlib.sha256(data).hexdigest() == digests[name]}
    made = copies.encode(whole)
    if fmt.MANIFEST_NAME not in whole or copies.read_copies(directory.storage, folder) == made:
        return []
    held = copies.decode(copies.read_copies(directory.storage, folder) or b"")
    if any(name not in whole and hashlib.sha256(data).hexdigest() == digests.get(name) for name, data in held.items()):
        return []  # it holds the last whole copy of something
    _put_back(directory, directory.path(manifest.image, fmt.COPIES_NAME), made)
    return [fmt.COPIES_NAME]


def _heal_slots(directory: DeviceDirectory, manifest: Manifest) -> List[str]:
    mended = []
    for name in manifest.slots:
        path = directory.path(manifest.image, fmt.KEYS, name)
        if is_whole(name, _get(directory, path, fmt.MAX_KEY_SLOT_BYTES)):
            continue
        directory.storage.make_directory(directory.path(manifest.image, fmt.KEYS))
        _put_back(directory, path, whole_copy(directory, name))
        mended.append("The key slot %s" % name)
    return mended


def _heal_sums(directory: DeviceDirectory, manifest: Manifest, key: Optional[MasterKey]) -> List[str]:
    data = directory.manifest_bytes(manifest.image)
    authenticate(data, manifest, key)
    if documents.pretty(documents.parse(data)) != data:
        return []  # it says the same in other bytes: not it, but its sum is right
    files = {fmt.MANIFEST_NAME: hashlib.sha256(data).hexdigest(), **_digests(manifest)}
    files.update({"%s/%s" % (fmt.KEYS, slot): slot[: -len(".json")] for slot in manifest.slots})
    with contextlib.suppress(ImageDamaged):
        listed = directory.sums(manifest.image)
        if listed.files == files and packs_digest(listed.packs) == manifest.packs_sha256:
            return []  # the indexes, which may be large, need not be read
    packs = packs_of_roots(directory, manifest, key)
    if packs is None:
        return []
    made = sums.encode(files, sorted(packs))
    path = directory.path(manifest.image, fmt.SUMS_NAME)
    _put_back(directory, path, made)
    return [fmt.SUMS_NAME]


def _delete_damaged_records(directory: DeviceDirectory, image: str) -> None:
    """A record has no second source, and a verify would name it for ever; those by which an image is kept say so by their names."""
    for name, digest in directory.record_names(image):
        path = directory.path(fmt.RECORDS, image, name)
        if name.partition("-")[0] in ("verified", "healed") and damage_of(directory.storage, path, digest):
            directory.storage.delete(path)


def _put_back(directory: DeviceDirectory, path: str, data: bytes) -> None:
    """Store an intact file in the place of a damaged one, and prove it by reading it back."""
    store_verified(directory.storage, path, [data], fingerprint([data]), time.sleep)


def _get(directory: DeviceDirectory, path: str, most_bytes: int) -> bytes:
    try:
        return directory.storage.get(path, 0, most_bytes + 1)
    except StorageNotFound:
        return b""
