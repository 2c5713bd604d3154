# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Heals damaged packs: a bad blob of one is made again from the same chunk in another, byte for byte.

Sealing is deterministic: the key comes from the pack's salt, the nonce is the place in the pack. So the same content,
compressed alike, gives the same bytes; the pack's name, the SHA-256 of its bytes, proves it. A pack that does not come
out with its old name is thrown away, and never stored. A pack whose salt, table or index segments are damaged can't be
healed.
"""

from __future__ import annotations

import hashlib
from typing import Callable, List, Optional

from ...errors import ChunkMissing, ImageDamaged, StorageNotFound, StoragePermissionDenied
from ..blob_proof import BlobProver
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.keys import MasterKey
from ..format.packs import HEADER_BYTES, BlobEntry, fingerprint, read_salt, read_table
from ..format.root_columns import Place
from ..format.seal import Compressor, FileCipher
from ..pack_listing import TrashEntry
from ..segments import PackReader
from ..writing.sender import store_pack

_MAX_PACK_BYTES = 80 << 20  # it is held in memory; writers cut the largest ones at 64 MiB
_LEVELS = (3, 1, 2, 4, 5, 6, 9)  # tried besides the run's own


class Healer:
    """Heals the packs in the trash that are called damaged. ``find`` returns where a chunk is stored now."""

    def __init__(
        self,
        directory: DeviceDirectory,
        key: Optional[MasterKey],
        find: Callable[[bytes], Optional[Place]],
        level: int,
        sleep: Callable[[float], None],
    ) -> None:
        self._directory = directory
        self._key = key
        self._find = find
        self._sleep = sleep
        self._reader = PackReader(directory.storage, directory.device, key)
        self._prover = BlobProver(key)
        self._compressors = [Compressor(level)] + [Compressor(other) for other in _LEVELS if other != level]

    def heal(self) -> List[str]:
        """Return the names of the packs that are intact and in use again."""
        healed = []
        for entry in self._directory.trash():
            if entry.sequence is not None or entry.size_bytes > _MAX_PACK_BYTES:
                continue
            try:
                if self._heal_pack(entry):
                    healed.append(entry.pack)
            except (ImageDamaged, ChunkMissing, StorageNotFound):
                continue  # it stays in the trash until no image needs it
        return sorted(healed)

    def _heal_pack(self, entry: TrashEntry) -> bool:
        storage = self._directory.storage
        path = self._directory.path(fmt.TRASH, entry.file_name)
        table = read_table(storage, path, entry.size_bytes, fmt.MAX_UNPROVED_BLOBS)
        data = bytearray()
        for piece in storage.read(path, 0, entry.size_bytes):
            data += piece
        cipher = FileCipher(self._key, read_salt(bytes(data[:HEADER_BYTES]), entry.pack))
        for blob in table:
            end = blob.offset + blob.stored_bytes
            if not self._prover.is_whole(cipher, blob, bytes(data[blob.offset : end])):
                made = self._make_anew(cipher, blob)
                if made is None:
                    return False
                data[blob.offset : end] = made
        if hashlib.sha256(data).hexdigest() != entry.pack:
            return False
        storage.make_directory(self._directory.path(fmt.PACKS, entry.pack[:2]))
        target = fmt.pack_path(self._directory.device, entry.pack)
        store_pack(storage, target, [memoryview(data)], fingerprint([data]), self._sleep)
        try:
            storage.delete(path)
        except StoragePermissionDenied:
            return True  # the operator's rollover removes it
        return True

    def _make_anew(self, cipher: FileCipher, blob: BlobEntry) -> Optional[bytes]:
        place = self._find(blob.blob_id) if blob.kind == fmt.KIND_CHUNK else None
        if place is None:
            return None
        stored = self._reader.fetch(place.pack, place.offset, place.stored_bytes, "to be healed")
        plain = self._reader.open(place, fmt.KIND_CHUNK, blob.blob_id, blob.plain_bytes, stored, "to be healed")
        length = blob.stored_bytes - cipher.overhead_bytes
        candidates = [plain] if blob.codec == fmt.CODEC_RAW else (made.compress(plain)[1] for made in self._compressors)
        for packed in candidates:
            if len(packed) == length:
                return cipher.seal(blob.offset, blob.kind, blob.codec, blob.blob_id, blob.plain_bytes, packed)
        return None
