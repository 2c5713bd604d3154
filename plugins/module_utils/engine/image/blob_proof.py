# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proves that a blob of a pack is what the pack's table says: a table is not encrypted, and any writer can store one."""

from __future__ import annotations

from typing import Optional

from ..errors import ImageDamaged
from .format import constants as fmt
from .format.index import Segment
from .format.keys import MasterKey
from .format.packs import BlobEntry
from .format.seal import BlobDamaged, Decompressor, FileCipher, Identifier


class BlobProver:
    """With a key the seal proves it, which covers the id; without one the content is hashed. Not for several threads."""

    def __init__(self, key: Optional[MasterKey]) -> None:
        self._has_key = key is not None
        self._identifier = Identifier(key)
        self._decompressor = Decompressor()

    def is_whole(self, cipher: FileCipher, blob: BlobEntry, stored: bytes) -> bool:
        try:
            packed = cipher.open(blob.offset, blob.kind, blob.codec, blob.blob_id, blob.plain_bytes, stored)
            if self._has_key:
                return True
            plain = self._decompressor.decompress(blob.codec, packed, blob.plain_bytes)
            if blob.kind == fmt.KIND_SEGMENT:
                return self._identifier.segment(bytes(Segment.decode(plain, "a pack").ids)) == blob.blob_id
            return self._identifier.chunk(plain) == blob.blob_id
        except (BlobDamaged, ImageDamaged):
            return False
