# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source of a copy: an image whose manifest, files and list of packs fit together.

The manifest holds the hash of each file and the digest of the list of packs. So a damaged small file is taken from its
second copy, and SHA256SUMS is written as the manifest proves it.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ...errors import CopySourceDamaged, ImageDamaged, StorageNotFound
from ..access import newest_image, open_manifest
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format import copies, sums
from ..format.keys import MasterKey
from ..format.manifest import Manifest, packs_digest
from ..pack_references import needed_packs

_LOOKS = 2


class CopySource(NamedTuple):
    """An image that is to be copied. ``key`` is None where no password proved it, or it is not encrypted."""

    directory: DeviceDirectory
    manifest: Manifest
    manifest_bytes: bytes
    key: Optional[MasterKey]
    packs: List[str]
    warnings: List[str]

    @property
    def image(self) -> str:
        return self.manifest.image

    @property
    def digests(self) -> Dict[str, str]:
        """The SHA-256 of each file of the image that its SHA256SUMS lists."""
        found = dict(self.manifest.files)
        found.update({fmt.index_name(number): disk.index_sha256 for number, disk in enumerate(self.manifest.disks)})
        found.update({"%s/%s" % (fmt.KEYS, slot): slot[: -len(".json")] for slot in self.manifest.slots})
        return found

    @property
    def sums(self) -> bytes:
        """The bytes of SHA256SUMS."""
        listed = {**self.digests, fmt.MANIFEST_NAME: hashlib.sha256(self.manifest_bytes).hexdigest()}
        return sums.encode(listed, self.packs)


def open_source(directory: DeviceDirectory, image: str, password: Optional[str], job: Optional[str]) -> CopySource:
    """Find the image and the packs that it needs. With a password its manifest is authenticated.

    :raises EngineError: ``ImageNotFound``, ``ImageDamaged``, ``Password*``.
    """
    warnings: List[str] = []
    key: Optional[MasterKey] = None
    if image == "latest":
        newest = newest_image(directory, password, job)
        image, key, warnings = newest.manifest.image, newest.key, newest.warnings
    if password or key is not None:
        manifest, key = open_manifest(directory, image, password, key, warnings)
    else:
        manifest = directory.manifest(image)
    data = next((data for data, found, dummy_is_copy in directory.readings(image) if found == manifest), None)
    if data is None:
        raise ImageDamaged(image=image, reason="its manifest image.json changed while it was read")
    packs = needed_packs(directory, [manifest]).by_any
    if packs_digest(packs) != manifest.packs_sha256 or len(packs) != manifest.pack_count:
        raise CopySourceDamaged(image=image, reason="SHA256SUMS and the manifest list different packs")
    return CopySource(directory, manifest, data, key, sorted(packs), warnings)


def files_of(source: CopySource) -> Iterator[Tuple[str, Callable[[], bytes]]]:
    """The files of the image besides its manifest, by their names inside its directory, each with what reads it whole."""
    for name, digest in sorted(source.digests.items()):
        yield name, partial(_whole, source, name, digest)
    yield fmt.SUMS_NAME, lambda: source.sums


def second_copies(source: CopySource) -> Optional[bytes]:
    """The bytes of copies.tar, ``None`` where the image has no intact one: that is reported, since no step depends on
    it."""
    directory = source.directory
    data = copies.read_copies(directory.storage, directory.path(source.image))
    if data is None:
        return None
    files, digests = copies.decode(data), source.digests
    proved = all(
        hashlib.sha256(content).hexdigest() == digests.get(name)
        for name, content in files.items()
        if name != fmt.MANIFEST_NAME
    )
    if proved and files.get(fmt.MANIFEST_NAME) == source.manifest_bytes and copies.encode(files) == data:
        return data
    source.warnings.append("%s of the image %s is damaged and was not copied." % (fmt.COPIES_NAME, source.image))
    return None


def _whole(source: CopySource, name: str, digest: str) -> bytes:
    directory, storage = source.directory, source.directory.storage
    is_slot = name.startswith(fmt.KEYS + "/")
    most_bytes = fmt.MAX_KEY_SLOT_BYTES if is_slot else fmt.MAX_SEALED_PLAIN_BYTES + (1 << 16)
    places = [directory.path(source.image, name)] * _LOOKS + ([directory.path(name)] if is_slot else [])
    for place in places:
        try:
            data = storage.get(place, 0, most_bytes + 1)
            if hashlib.sha256(data).hexdigest() == digest:
                return data
            storage.look_anew(place)
        except StorageNotFound:
            continue
    second = None if is_slot else copies.whole_copy_of(storage, directory.path(source.image), name, [digest])
    if second is None:
        raise CopySourceDamaged(image=source.image, reason="%s is damaged or missing" % name)
    source.warnings.append("%s of the image %s is damaged; the second copy was used." % (name, source.image))
    return second
