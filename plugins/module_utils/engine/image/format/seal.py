# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids, compression and sealing: the processing of bytes between a disk and a pack.

A blob is ``codec(plain)``, sealed with AES-256-GCM when there is a master key. The key belongs to the file (pack) that
holds the blob: HKDF of the master key with the file's random salt. The nonce is the blob's offset in that file: no two
blobs of a file share it, and no counter has to survive a crash. Associated data: format version, kind, codec, key id,
blob id, plain length; so a blob can't be passed off as another one.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Dict, List, Optional, Tuple, Union

from ..._libraries import aead, blake3, zstandard
from . import constants as fmt
from .keys import MasterKey

_SELF_AWARE_LEVEL = 9
_NOISE_CHUNKS = 8
Buffer = Union[bytes, memoryview]
_ASSOCIATED = struct.Struct(">8sBBBQ32s32s")  # purpose, version, kind, codec, plain length, key id, blob id


class BlobDamaged(Exception):
    """A blob that does not open, or is not what its id says. Callers turn it into a catalogue error."""


class Identifier:
    """Computes ids: BLAKE3, keyed when there is a master key."""

    def __init__(self, key: Optional[MasterKey]) -> None:
        self._hash = blake3()
        self._options = {"key": key.id_key} if key else {}
        self._zeros: Dict[int, bytes] = {}

    def chunk(self, data: Buffer) -> bytes:
        """Id of a chunk that is not all zero."""
        digest: bytes = self._hash(data, **self._options).digest()
        return digest

    def chunks(self, data: memoryview) -> List[bytes]:
        """The ids of successive chunks, zero chunks included; the last one may be shorter.

        To hash zeros is quicker than to look for them: most chunks have none.
        """
        lengths = range(0, len(data), fmt.CHUNK_BYTES)
        hashed, options = self._hash, self._options
        ids: List[bytes] = [hashed(data[at : at + fmt.CHUNK_BYTES], **options).digest() for at in lengths]
        zeros = self._zeros_of(fmt.CHUNK_BYTES)
        if zeros in ids:
            ids = [fmt.ZERO_ID if one == zeros else one for one in ids]
        if len(data) % fmt.CHUNK_BYTES and ids[-1] == self._zeros_of(len(data) % fmt.CHUNK_BYTES):
            ids[-1] = fmt.ZERO_ID
        return ids

    def _zeros_of(self, length_bytes: int) -> bytes:
        known = self._zeros.get(length_bytes)
        if known is None:
            known = self._zeros[length_bytes] = self.chunk(bytes(length_bytes))
        return known

    def segment(self, chunk_ids: bytes) -> bytes:
        """Id of a segment: only of what lies where, never of the packs, so that moving a chunk leaves it alone."""
        return self.chunk(b"segment\0" + chunk_ids)


class Compressor:
    """zstd of single blobs. Not safe to share between threads: one for each.

    Up to level 9 zstd itself gives up on noise within 70 microseconds a chunk; above, it would look for milliseconds.
    So after some chunks that did not compress the next are tried at level 1 first.
    """

    def __init__(self, level: int) -> None:
        library = zstandard()
        self._compressor = _new_compressor(library, level)
        self._probe = _new_compressor(library, 1) if level > _SELF_AWARE_LEVEL else None
        self._many = "multi_compress_to_buffer" in library.backend_features
        self._noise = 0

    def compress(self, plain: Buffer) -> Tuple[int, bytes]:
        """Return ``(codec, bytes)``; raw where zstd gains less than 2 %."""
        if self._probe is not None and self._noise >= _NOISE_CHUNKS and not _gains(plain, self._probe.compress(plain)):
            return fmt.CODEC_RAW, bytes(plain)
        return self._chosen(plain, self._compressor.compress(plain))

    def compress_many(self, plains: List[memoryview]) -> List[Tuple[int, bytes]]:
        """The same for many in one call: other threads are disturbed once, not many times."""
        if not plains:
            return []
        if self._probe is not None or not self._many:
            return [self.compress(plain) for plain in plains]
        packed = self._compressor.multi_compress_to_buffer(plains)
        return [self._chosen(plain, packed[number].tobytes()) for number, plain in enumerate(plains)]

    def _chosen(self, plain: Buffer, packed: bytes) -> Tuple[int, bytes]:
        if _gains(plain, packed):
            self._noise = 0
            return fmt.CODEC_ZSTD, packed
        self._noise += 1
        return fmt.CODEC_RAW, bytes(plain)


def _new_compressor(library: Any, level: int) -> Any:
    return library.ZstdCompressor(level=level, write_checksum=False, write_content_size=True, write_dict_id=False)


def _gains(plain: Buffer, packed: bytes) -> bool:
    return len(packed) <= len(plain) - len(plain) // 50


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
                    raise BlobDamaged("it states a different length")
                plain = self._decompress(data, max_output_size=plain_bytes)
            except self._library.ZstdError as error:
                raise BlobDamaged("it does not decompress (%s)" % error) from None
        else:
            raise BlobDamaged("its compression %d is unknown" % codec)
        if len(plain) != plain_bytes:
            raise BlobDamaged("it has a different length")
        return plain


@lru_cache(maxsize=None)
def _takes_views() -> bool:
    """Whether this cryptography accepts other objects than ``bytes``: before version 40 it refuses views of a buffer."""
    cipher, nonce = aead().AESGCM(bytes(32)), bytes(12)
    try:
        cipher.decrypt(nonce, memoryview(cipher.encrypt(nonce, b"", b"")), b"")
    except TypeError:
        return False
    return True


class FileCipher:
    """Seals and opens the blobs of one file (pack or sealed file). Without a master key it passes bytes through."""

    def __init__(self, key: Optional[MasterKey], salt: bytes) -> None:
        self._cipher: Any = aead().AESGCM(key.file_key(salt)) if key else None
        self._key_id = bytes.fromhex(key.key_id) if key else b""
        self._must_copy = key is not None and not _takes_views()
        self.overhead_bytes = fmt.TAG_BYTES if key else 0

    def _associated(self, kind: int, codec: int, blob_id: bytes, plain_bytes: int) -> bytes:
        return _ASSOCIATED.pack(b"plantops", fmt.FORMAT_VERSION, kind, codec, plain_bytes, self._key_id, blob_id)

    def seal(self, offset: int, kind: int, codec: int, blob_id: bytes, plain_bytes: int, data: Buffer) -> Buffer:
        if self._cipher is None:
            return data
        associated = self._associated(kind, codec, blob_id, plain_bytes)
        text = bytes(data) if self._must_copy else data
        sealed: bytes = self._cipher.encrypt(offset.to_bytes(12, "big"), text, associated)
        return sealed

    def open(self, offset: int, kind: int, codec: int, blob_id: bytes, plain_bytes: int, data: Buffer) -> Buffer:
        """:raises BlobDamaged: when a byte of the blob, its id, kind, codec or length is not what was sealed."""
        if self._cipher is None:
            return data
        associated = self._associated(kind, codec, blob_id, plain_bytes)
        text = bytes(data) if self._must_copy else data
        try:
            opened: bytes = self._cipher.decrypt(offset.to_bytes(12, "big"), text, associated)
        except Exception as error:
            if type(error).__name__ != "InvalidTag":
                raise
            raise BlobDamaged("it is not authentic") from None
        return opened
