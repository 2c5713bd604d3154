# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids, compression and sealing: what happens to bytes between a disk and a pack.

A blob is ``codec(plain)``, sealed with AES-256-GCM when there is a master key. The key belongs to the file (pack) the
blob lies in: HKDF of the master key with the file's random salt. The nonce is the blob's offset in that file: no two
blobs of a file share it, and no counter has to survive a crash. Associated data: format version, kind, codec, key id,
blob id, plain length; so a blob can't be passed off as another one.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Any, Optional, Tuple

from .._libraries import aead, zstandard
from . import format as fmt
from .keys import MasterKey

_ASSOCIATED = struct.Struct(">8sBBBQ32s32s")  # purpose, version, kind, codec, plain length, key id, blob id


class BlobDamaged(Exception):
    """A blob that does not open, or is not what its id says. Callers turn it into a catalogue error."""


class Identifier:
    """Computes ids: keyed (HMAC-SHA256) when there is a master key, plain SHA-256 otherwise."""

    def __init__(self, key: Optional[MasterKey]) -> None:
        self._key = key.id_key if key else None

    def chunk(self, data: bytes) -> bytes:
        if self._key is None:
            return hashlib.sha256(data).digest()
        return hmac.digest(self._key, data, "sha256")

    def segment(self, chunk_ids: bytes) -> bytes:
        """Id of a segment: only of what lies where, never of the packs, so that moving a chunk leaves it alone."""
        return self.chunk(b"segment\0" + chunk_ids)


class Compressor:
    """zstd of single blobs. Not safe to share between threads: one for each."""

    def __init__(self, level: int) -> None:
        library = zstandard()
        self._compress = library.ZstdCompressor(
            level=level, write_checksum=False, write_content_size=True, write_dict_id=False
        ).compress

    def compress(self, plain: bytes) -> Tuple[int, bytes]:
        """Return ``(codec, bytes)``; raw where zstd gains less than 2 %."""
        packed: bytes = self._compress(plain)
        if len(packed) > len(plain) - len(plain) // 50:
            return fmt.CODEC_RAW, plain
        return fmt.CODEC_ZSTD, packed


class Decompressor:
    """The way back, with the plain length known beforehand. Not safe to share between threads."""

    def __init__(self) -> None:
        self._library = zstandard()
        self._decompress = self._library.ZstdDecompressor().decompress

    def decompress(self, codec: int, data: bytes, plain_bytes: int) -> bytes:
        """:raises BlobDamaged: when the result has not exactly ``plain_bytes`` bytes."""
        if codec == fmt.CODEC_RAW:
            plain = bytes(data)
        elif codec == fmt.CODEC_ZSTD:
            try:
                # The content size is checked first: a frame must not be able to ask for more memory than that.
                if self._library.frame_content_size(data) != plain_bytes:
                    raise BlobDamaged("it says another length")
                plain = self._decompress(data, max_output_size=plain_bytes)
            except self._library.ZstdError as error:
                raise BlobDamaged("it does not decompress (%s)" % error) from None
        else:
            raise BlobDamaged("its compression %d is not known" % codec)
        if len(plain) != plain_bytes:
            raise BlobDamaged("it has another length")
        return plain


class FileCipher:
    """Seals and opens the blobs of one file (pack or sealed file). Without a master key it passes bytes through."""

    def __init__(self, key: Optional[MasterKey], salt: bytes) -> None:
        self._cipher: Any = aead().AESGCM(key.file_key(salt)) if key else None
        self._key_id = bytes.fromhex(key.key_id) if key else b""
        self.overhead_bytes = fmt.TAG_BYTES if key else 0

    def _associated(self, kind: int, codec: int, blob_id: bytes, plain_bytes: int) -> bytes:
        return _ASSOCIATED.pack(b"plantops", fmt.FORMAT_VERSION, kind, codec, plain_bytes, self._key_id, blob_id)

    def seal(self, offset: int, kind: int, codec: int, blob_id: bytes, plain_bytes: int, data: bytes) -> bytes:
        if self._cipher is None:
            return data
        associated = self._associated(kind, codec, blob_id, plain_bytes)
        sealed: bytes = self._cipher.encrypt(offset.to_bytes(12, "big"), data, associated)
        return sealed

    def open(self, offset: int, kind: int, codec: int, blob_id: bytes, plain_bytes: int, data: bytes) -> bytes:
        """:raises BlobDamaged: when a byte of the blob, its id, kind, codec or length is not what was sealed."""
        if self._cipher is None:
            return data
        associated = self._associated(kind, codec, blob_id, plain_bytes)
        try:
            opened: bytes = self._cipher.decrypt(offset.to_bytes(12, "big"), data, associated)
        except Exception as error:
            if type(error).__name__ != "InvalidTag":
                raise
            raise BlobDamaged("it is not authentic") from None
        return opened
