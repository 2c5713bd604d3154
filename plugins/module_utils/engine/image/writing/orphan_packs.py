# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reuses the packs of killed runs: no image needs them, and the next run need not send their chunks again.

A pack is believed unread only where an encrypted checkpoint says that it was read back (``interrupted``). Any other
pack was perhaps never read back, so its bytes are hashed; and an account that may create files could have made it, with
a table that names existing chunks and holds something else, so every blob is proved.
"""

from __future__ import annotations

import contextlib
import hashlib
from itertools import chain, islice
from typing import AbstractSet, Iterable, Iterator, List, MutableMapping, Optional, Tuple

from ...errors import ImageDamaged, StorageNotFound, StoragePermissionDenied
from ..blob_proof import BlobProver
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.keys import MasterKey
from ..format.pack_names import PackSizes
from ..format.packs import HEADER_BYTES, BlobEntry, PackTable, read_salt, read_table
from ..format.seal import FileCipher
from .pack_stream import PackStream

# A flood of foreign packs must not hold a run for days; chunks of skipped packs are sent again.
_MOST_PACKS = 4096
_MOST_DAMAGED = 256


def learn_orphan_packs(
    directory: DeviceDirectory,
    key: Optional[MasterKey],
    stream: PackStream,
    present: MutableMapping[str, int],
    known: AbstractSet[str],
) -> List[str]:
    """Tell ``stream`` what is in the packs of ``present`` that nothing is known of; return warnings.

    A damaged one is taken out of use, and out of ``present``.

    :param known: packs that an image needs, or that a checkpoint proves.
    """
    warnings: List[str] = []
    names: Iterable[str] = present if isinstance(present, PackSizes) else sorted(present)  # those come in order
    for name in list(islice((one for one in names if one not in known), _MOST_PACKS)):
        if stream.known.is_full or len(warnings) >= _MOST_DAMAGED:
            break  # what is in the rest would not be found again
        size_bytes = present[name]
        try:
            table = _proved_table(directory, key, name, size_bytes)
        except StorageNotFound:
            present.pop(name)  # another host's sweep was quicker
            continue
        except ImageDamaged:
            with contextlib.suppress(StoragePermissionDenied):  # the operator's verify takes it out of use
                directory.move_to_trash(name, None)
            present.pop(name)
            warnings.append("A pack of an interrupted run was damaged and is no longer used.")
            continue
        if table is not None:
            stream.learn(name, table)
            stream.sizes[name] = size_bytes
    return warnings


def _proved_table(
    directory: DeviceDirectory, key: Optional[MasterKey], name: str, size_bytes: int
) -> Optional[PackTable]:
    """The table of a pack, ``None`` when its blobs are not what it says, or of another key.

    :raises ImageDamaged: when the bytes do not match the name, or are not a pack.
    """
    path = fmt.pack_path(directory.device, name)
    table = read_table(directory.storage, path, size_bytes, fmt.MAX_UNPROVED_BLOBS)
    prover, digest = BlobProver(key), hashlib.sha256()
    cipher: Optional[FileCipher] = None
    proved = True
    for blob, data in _parts(directory.storage.read(path, 0, size_bytes + 1), table):
        digest.update(data)
        if blob is None:
            cipher = cipher or FileCipher(key, read_salt(data, name))
        elif proved and cipher is not None:
            proved = prover.is_whole(cipher, blob, data)
    if digest.hexdigest() != name:
        raise ImageDamaged(image=name, reason="its bytes do not match its name")
    return table if proved else None


def _parts(pieces: Iterator[bytes], table: PackTable) -> Iterator[Tuple[Optional[BlobEntry], bytes]]:
    """Cut a pack's bytes into its head, its blobs (which lie without gaps), and what follows them."""
    parts: Iterator[Tuple[Optional[BlobEntry], int]] = chain(
        [(None, HEADER_BYTES)], ((blob, blob.stored_bytes) for blob in table)
    )
    part = next(parts, None)
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while part is not None and len(waiting) >= part[1]:
            blob, length = part
            yield blob, bytes(waiting[:length])
            del waiting[:length]
            part = next(parts, None)
    if waiting:
        yield None, bytes(waiting)
