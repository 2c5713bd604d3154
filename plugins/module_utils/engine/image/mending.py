# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes small files of images whole that follow from others: SHA256SUMS from the manifest and the indexes, an image's key
slots from their other copies, since a slot's name is its hash.

What has no second source (a manifest, an index, the device's description, the log) stays damaged, and is reported.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import Iterable, List, Optional, Set

from ..errors import EngineError, ImageDamaged, StorageNotFound, StoragePermissionDenied
from . import format as fmt
from . import sums
from .directory import DeviceDirectory
from .files import open_file
from .index import Root
from .keys import MasterKey
from .manifest import Manifest, packs_digest
from .slot_copies import is_whole, whole_copy


def suspects(directory: DeviceDirectory, images: List[Manifest]) -> List[Manifest]:
    """The images of which a verify has ever found something: few, and looking again costs a handful of calls."""
    try:
        records = directory.records_of([manifest.image for manifest in images])
    except StoragePermissionDenied:
        return []  # the operator's records are not this account's to read
    return [
        manifest
        for manifest, facts in zip(images, records)
        if any(fact["kind"] == "verified" and fact.get("ok") is False for fact in facts)
    ]


def mend(directory: DeviceDirectory, images: Iterable[Manifest], key: Optional[MasterKey]) -> List[str]:
    """Return a sentence for every file that is whole again. For an account that may replace files."""
    told = []
    for manifest in images:
        if manifest.key_id != (key.key_id if key else ""):
            continue
        with contextlib.suppress(EngineError):  # what stands in the way is damage that verify reports by its name
            proved = directory.manifest(manifest.image, key)
            names = [*_mend_slots(directory, proved), *_mend_sums(directory, proved, key)]
            told += ["%s of the image %s was damaged and is whole again." % (name, proved.image) for name in names]
    return told


def _mend_slots(directory: DeviceDirectory, manifest: Manifest) -> List[str]:
    mended = []
    for name in manifest.slots:
        path = directory.path(manifest.image, fmt.KEYS, name)
        if is_whole(name, _get(directory, path, fmt.MAX_KEY_SLOT_BYTES)):
            continue
        directory.storage.make_directory(directory.path(manifest.image, fmt.KEYS))
        directory.storage.put(path, [whole_copy(directory, name)], replace=True)
        mended.append("The key slot %s" % name)
    return mended


def _mend_sums(directory: DeviceDirectory, manifest: Manifest, key: Optional[MasterKey]) -> List[str]:
    files = {fmt.MANIFEST_NAME: hashlib.sha256(directory.manifest_bytes(manifest.image)).hexdigest()}
    files.update(manifest.files)
    files.update({fmt.index_name(number): disk.index_sha256 for number, disk in enumerate(manifest.disks)})
    files.update({"%s/%s" % (fmt.KEYS, slot): slot[: -len(".json")] for slot in manifest.slots})
    with contextlib.suppress(ImageDamaged):
        listed = directory.sums(manifest.image)
        if listed.files == files and packs_digest(listed.packs) == manifest.packs_sha256:
            return []  # the indexes, which may be large, need not be read
    packs: Set[str] = set()
    for number, disk in enumerate(manifest.disks):
        name = fmt.index_name(number)
        data = _get(directory, directory.path(manifest.image, name), fmt.MAX_SEALED_PLAIN_BYTES)
        if hashlib.sha256(data).hexdigest() != disk.index_sha256:
            return []
        packs |= Root.decode(open_file(key, manifest.image, name, data), manifest.image, partial=False).packs.keys()
    if packs_digest(packs) != manifest.packs_sha256:
        return []
    made = sums.encode(files, sorted(packs))
    path = directory.path(manifest.image, fmt.SUMS_NAME)
    directory.storage.put(path, [made], replace=True)
    return [fmt.SUMS_NAME]


def _get(directory: DeviceDirectory, path: str, most_bytes: int) -> bytes:
    try:
        return directory.storage.get(path, 0, most_bytes + 1)
    except StorageNotFound:
        return b""
