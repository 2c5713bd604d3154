# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packs an image needs, where its SHA256SUMS is damaged: from the rest of that list, and from the roots of its
indexes.

Each result is proved: the manifest holds the digest of the names.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import AbstractSet, Optional

from ...errors import EngineError, ImageDamaged, StorageNotFound
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.copies import whole_copy_of
from ..format.index import Root
from ..format.keys import MasterKey
from ..format.manifest import Manifest, packs_digest
from ..format.pack_names import NamesOfPacks
from ..format.sealed_files import open_file
from ..format.sums import SHORT_LIST
from .unusable import packs_of_damaged_sums


def proved_packs_of(
    directory: DeviceDirectory, manifest: Manifest, key: Optional[MasterKey]
) -> Optional[AbstractSet[str]]:
    """The packs of an image whose SHA256SUMS is damaged or missing; ``None`` where no other source lists them."""
    with contextlib.suppress(ImageDamaged):
        return packs_of_damaged_sums(directory, manifest)
    if manifest.key_id != (key.key_id if key is not None else ""):
        return None
    return packs_of_roots(directory, manifest, key)


def packs_of_roots(
    directory: DeviceDirectory, manifest: Manifest, key: Optional[MasterKey]
) -> Optional[AbstractSet[str]]:
    """The packs that the roots of an image's indexes list; ``None`` where a root can't be read, or the manifest says
    otherwise.

    :param key: that of the image.
    """
    if manifest.pack_count > SHORT_LIST and manifest.pack_count > directory.count_packs():
        return None
    most_bytes = fmt.MAX_SEALED_PLAIN_BYTES if key is not None else fmt.MAX_CLEAR_ROOT_BYTES
    packs = NamesOfPacks()
    for number, disk in enumerate(manifest.disks):
        name = fmt.index_name(number)
        data = _index(directory, manifest.image, name, disk.index_sha256, most_bytes)
        if data is None:
            return None
        try:
            plain = open_file(key, manifest.image, name, data, most_bytes=most_bytes)
            root = Root.decode(plain, manifest.image, partial=False)
        except EngineError:
            return None  # its SHA-256 is right nevertheless: the code that opens it reports the fault
        for pack in root.packs:
            packs.add(pack)
    found = packs.done()
    return found if packs_digest(found) == manifest.packs_sha256 else None


def _index(directory: DeviceDirectory, image: str, name: str, sha256: str, most_bytes: int) -> Optional[bytes]:
    data = b""
    with contextlib.suppress(StorageNotFound):
        data = directory.storage.get(directory.path(image, name), 0, most_bytes + 1)
    if hashlib.sha256(data).hexdigest() == sha256:
        return data
    return whole_copy_of(directory.storage, directory.path(image), name, [sha256])
