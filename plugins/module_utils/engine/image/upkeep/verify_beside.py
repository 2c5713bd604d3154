# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifies files beside the files and packs that an image's SHA256SUMS lists.

Not verified, since no image depends on them: ``lease.json`` and ``run.json``, which change during a run, checkpoints,
partial files, the trash, and packs that the image does not need.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import Dict, List

from ...errors import StorageNotFound, StoragePermissionDenied
from ..device_directory import DeviceDirectory
from ..format import checked, copies
from ..format import constants as fmt
from ..format.manifest import Manifest
from ..format.sums import Sums
from ..second_look import LOOKS, damage_of

DEVICE_ID_FIELDS = frozenset(["format", "version", "device", "smbios_uuid", "machine_id"])
_MAX_DEVICE_ID_BYTES = 64 << 10


def problems_of_sums(manifest: Manifest, listed: Sums) -> List[str]:
    """The lines of SHA256SUMS that contradict the manifest."""
    said: Dict[str, str] = dict(manifest.files)
    said.update({fmt.index_name(number): disk.index_sha256 for number, disk in enumerate(manifest.disks)})
    said.update({"%s/%s" % (fmt.KEYS, slot): slot[: -len(".json")] for slot in manifest.slots})
    wrong = sorted(name for name, digest in said.items() if listed.files.get(name, digest) != digest)
    return ["SHA256SUMS is damaged: its entry for %s does not match the manifest." % name for name in wrong]


def problems_beside(directory: DeviceDirectory, manifest: Manifest, listed: Sums) -> List[str]:
    """Sentences about damaged records, the device's own key slots and identity, and the image's copies."""
    found = _problems_of_copies(directory, manifest, listed) + _problems_of_identity(directory)
    mark = directory.path(fmt.ENCRYPTED_NAME)
    found += _problem(
        directory, mark, hashlib.sha256(fmt.ENCRYPTED_TEXT).hexdigest(), "The file %s" % fmt.ENCRYPTED_NAME
    )
    # Others may be foreign, and damage in them does not concern this image.
    for name in [name for name in directory.slot_names() if name in manifest.slots]:
        path = directory.path(fmt.KEYS, name)
        found += _problem(directory, path, name[: -len(".json")], "The device's key slot %s" % name)
    with contextlib.suppress(StoragePermissionDenied):  # the operator's records are not this account's to read
        for name, digest in directory.record_names(manifest.image):
            path = directory.path(fmt.RECORDS, manifest.image, name)
            found += _problem(directory, path, digest, "The record %s" % name)
    return found


def manifest_is_copied(directory: DeviceDirectory, manifest: Manifest) -> bool:
    """Whether ``image.json`` has the bytes that its second copy has: then it is not the one that is damaged."""
    data = directory.storage.get(directory.path(manifest.image, fmt.MANIFEST_NAME), 0, fmt.MAX_JSON_BYTES + 1)
    files = copies.decode(copies.read_copies(directory.storage, directory.path(manifest.image)) or b"")
    return files.get(fmt.MANIFEST_NAME) == data


def _problem(directory: DeviceDirectory, path: str, digest: str, name: str) -> List[str]:
    try:
        reason = damage_of(directory.storage, path, digest)
    except StorageNotFound:
        return _not_a_file(directory, path, name)  # or a rollover deletes it at the same time
    return ["%s is damaged: %s." % (name, reason)] if reason else []


def _not_a_file(directory: DeviceDirectory, path: str, name: str) -> List[str]:
    return ["%s is not a file." % name] if directory.storage.exists(path) else []


def _problems_of_copies(directory: DeviceDirectory, manifest: Manifest, listed: Sums) -> List[str]:
    path = directory.path(manifest.image, fmt.COPIES_NAME)
    for look in range(LOOKS):
        if look:
            directory.storage.look_anew(path)
        data = copies.read_copies(directory.storage, directory.path(manifest.image))
        if data is None or _are_whole(data, listed):
            return []
    return ["%s is damaged: it does not match SHA256SUMS." % fmt.COPIES_NAME]


def _are_whole(data: bytes, listed: Sums) -> bool:
    files = copies.decode(data)
    return (
        fmt.MANIFEST_NAME in files
        and all(hashlib.sha256(content).hexdigest() == listed.files.get(name) for name, content in files.items())
        and copies.encode(files) == data
    )


def _problems_of_identity(directory: DeviceDirectory) -> List[str]:
    path = directory.path(fmt.DEVICE_ID_NAME)
    reason: object = ""
    for look in range(LOOKS):
        try:
            if look:
                directory.storage.look_anew(path)
            checked.prove_form(directory.storage.get(path, 0, _MAX_DEVICE_ID_BYTES), DEVICE_ID_FIELDS)
        except StorageNotFound:
            return _not_a_file(directory, path, fmt.DEVICE_ID_NAME)  # or it was never claimed
        except ValueError as error:
            reason = error
        else:
            return []
    return ["%s is not usable: %s." % (fmt.DEVICE_ID_NAME, reason)]
