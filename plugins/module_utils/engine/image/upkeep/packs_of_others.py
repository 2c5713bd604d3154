# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packs may belong to images that a key does not open: all but those that it proves to be its own.

An image of an earlier key whose SHA256SUMS is damaged does not tell what it needs, and a false one looks the same. But no
pack of one key holds anything for an image of another. So what our key proves may be swept, and the rest stays.
"""

from __future__ import annotations

from itertools import islice
from typing import AbstractSet, Dict, Mapping, Tuple

from ...errors import ImageDamaged, StorageNotFound
from ...storage.contract import Storage
from ...storage.shared_connect import together
from ..blob_proof import BlobProver
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.keys import MasterKey
from ..format.packs import HEADER_BYTES, read_salt, read_table
from ..format.seal import FileCipher
from ..pack_listing import MOST_TRASHED


def packs_of_others(
    directory: DeviceDirectory, key: MasterKey, packs: AbstractSet[str], present: Mapping[str, int]
) -> AbstractSet[str]:
    """Those of ``packs`` that ``key`` does not prove to be its own; an unreadable one may be foreign.

    Only a part of a flood is looked at: the rest stays until a later rollover.

    :param present: the size of each pack in use; the others are in the trash.
    """
    storage = directory.storage
    looked_at = sorted(islice(packs, MOST_TRASHED))
    found: Dict[str, Tuple[str, int]] = {}
    for entry in directory.trash(frozenset(looked_at)):
        found[entry.pack] = (directory.path(fmt.TRASH, entry.file_name), entry.size_bytes)
    found.update({one: (fmt.pack_path(directory.device, one), present[one]) for one in looked_at if one in present})
    own = together(storage, lambda pack: pack in found and _is_of(storage, key, pack, *found[pack]), looked_at)
    return packs - frozenset(pack for pack, is_own in zip(looked_at, own) if is_own)


def _is_of(storage: Storage, key: MasterKey, pack: str, path: str, size_bytes: int) -> bool:
    """Whether the first blob of a pack opens with ``key``."""
    try:
        blobs = read_table(storage, path, size_bytes)[:1]
        cipher = FileCipher(key, read_salt(storage.get(path, 0, HEADER_BYTES), pack))
        prover = BlobProver(key)
        return any(prover.is_whole(cipher, one, storage.get(path, one.offset, one.stored_bytes)) for one in blobs)
    except (ImageDamaged, StorageNotFound):
        return False
