# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed single files of an image: the index roots, device information, the log.

Layout: ``magic 16 | salt 32 | encrypted u8 | codec u8 | plain length u64 | [SHA-256 of the blob 32] | blob``. Only
unencrypted files have the checksum; in encrypted ones the purpose (the file's name) and the image's name are
authenticated, so that one file can't stand in for another.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import Optional, Union

from ...errors import ImageDamaged, PasswordMissing
from . import constants as fmt
from .keys import MasterKey
from .seal import BlobDamaged, Compressor, Decompressor, FileCipher

_HEAD = struct.Struct(">16s32sBBQ")
HEAD_BYTES = _HEAD.size
_LEVEL = 3


def seal_file(key: Optional[MasterKey], image: str, purpose: str, plain: bytes) -> bytes:
    """Return the bytes of a sealed file (compressed, and encrypted when there is a key)."""
    salt = os.urandom(fmt.SALT_BYTES)
    codec, packed = Compressor(_LEVEL).compress(plain)
    blob_id = _binding(image, purpose)
    sealed = FileCipher(key, salt).seal(0, fmt.KIND_FILE, codec, blob_id, len(plain), packed)
    check = b"" if key else hashlib.sha256(packed).digest()
    return _HEAD.pack(fmt.SEALED_MAGIC, salt, 1 if key else 0, codec, len(plain)) + check + sealed


def open_file(
    key: Optional[MasterKey],
    image: str,
    purpose: str,
    data: bytes,
    *,
    most_bytes: int = fmt.MAX_SEALED_PLAIN_BYTES,
) -> bytes:
    """Return the plain bytes of a sealed file, at most ``most_bytes``.

    :raises ImageDamaged: when it is damaged, or another file than ``purpose`` of ``image``.
    :raises PasswordMissing: when it is encrypted and there is no key.
    """
    if len(data) < _HEAD.size:
        raise ImageDamaged(image=image, reason="%s is too short" % purpose)
    magic, salt, encrypted, codec, plain_bytes = _HEAD.unpack(data[: _HEAD.size])
    if magic != fmt.SEALED_MAGIC or encrypted > 1 or plain_bytes > most_bytes:
        raise ImageDamaged(image=image, reason="%s is not a file of this format" % purpose)
    if encrypted and key is None:
        raise PasswordMissing(device=image)
    if not encrypted and key is not None:
        raise ImageDamaged(image=image, reason="%s is unencrypted in an encrypted image" % purpose)
    body: Union[bytes, memoryview] = data[_HEAD.size :] if encrypted else memoryview(data)[_HEAD.size :]
    if not encrypted:
        check, body = bytes(body[:32]), body[32:]
        if hashlib.sha256(body).digest() != check:
            raise ImageDamaged(image=image, reason="%s is damaged" % purpose)
    try:
        blob_id = _binding(image, purpose)
        packed = FileCipher(key, salt).open(0, fmt.KIND_FILE, codec, blob_id, plain_bytes, body)
        return Decompressor().decompress(codec, packed, plain_bytes)
    except BlobDamaged as error:
        raise ImageDamaged(image=image, reason="%s is damaged: %s" % (purpose, error)) from None


def _binding(image: str, purpose: str) -> bytes:
    return hashlib.sha256(b"%s\0%s" % (image.encode("utf-8"), purpose.encode("utf-8"))).digest()
