# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private keys that paramiko can't open: PKCS#8, and OpenSSH's with an authenticated cipher [PROTOCOL.key].

Each is given back in OpenSSH's format without a lock; that text stays in memory.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from typing import Any, NamedTuple, Optional, Tuple

from ..._libraries import require
from .known_hosts import fields_of, type_of

_MAGIC = b"openssh-key-v1\0"
_BEGIN, _END = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
_AES, _CHACHA = b"aes256-gcm@openssh.com", b"chacha20-poly1305@openssh.com"
_AES_128 = b"aes128-gcm@openssh.com"
_TAG_BYTES = 16
_KEY_BYTES = {_AES: 32 + 12, _AES_128: 16 + 12, _CHACHA: 64}
_MAX_ROUNDS = 4096  # ssh-keygen takes 16 to 24


class WrongPassphrase(Exception):
    """The passphrase does not open the key."""


class Locked(Exception):
    """The key needs a passphrase."""


class _Sealed(NamedTuple):
    cipher: bytes
    salt: bytes
    rounds: int
    public: bytes
    secret: bytes
    tag: bytes


def opened(text: str, passphrase: str) -> Optional[str]:
    """Return ``text`` as a key that paramiko reads; or None if it is not a key that paramiko can't read itself.

    :raises Locked, WrongPassphrase: as they say.
    """
    if "-----BEGIN PRIVATE KEY-----" in text or "-----BEGIN ENCRYPTED PRIVATE KEY-----" in text:
        return _from_pkcs8(text, passphrase)
    sealed = _sealed(text)
    if sealed is None:
        return None
    if not passphrase:
        raise Locked
    secret = _unsealed(sealed, passphrase.encode("utf-8"))
    check = struct.unpack_from(">II", secret) if len(secret) >= 8 else (0, 1)
    if check[0] != check[1]:
        raise WrongPassphrase
    parts = (b"none", b"none", b"")
    blob = _MAGIC + b"".join(map(_string, parts)) + struct.pack(">I", 1) + _string(sealed.public) + _string(secret)
    encoded = base64.b64encode(blob).decode("ascii")
    lines = [encoded[start : start + 70] for start in range(0, len(encoded), 70)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _from_pkcs8(text: str, passphrase: str) -> Optional[str]:
    """:raises Locked, WrongPassphrase: as they say."""
    serialization = require("cryptography.hazmat.primitives.serialization", "cryptography")
    is_locked = "ENCRYPTED" in text
    if is_locked and not passphrase:
        raise Locked
    try:
        key = serialization.load_pem_private_key(
            text.encode("ascii", "replace"), passphrase.encode("utf-8") if is_locked else None
        )
        written: bytes = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    except Exception:  # the library passes on any exception of its parsers; their text is not shown
        if is_locked:
            raise WrongPassphrase from None
        return None
    return written.decode("ascii")


def cipher_and_type(text: str) -> Tuple[str, str]:
    """The cipher and the type of a key in OpenSSH's format; ("", "") where it is another format."""
    blob = _blob(text)
    head = fields_of(blob, 3, len(_MAGIC)) if blob.startswith(_MAGIC) else None
    public = None if head is None else fields_of(blob, 1, head[1] + 4)  # after the number of keys
    if head is None or public is None:
        return "", ""
    return head[0][0].decode("ascii", "replace"), type_of(public[0][0])


def _blob(text: str) -> bytes:
    """The content of a key in OpenSSH's format, b"" of any other."""
    if _BEGIN not in text or _END not in text:
        return b""
    try:
        return base64.b64decode("".join(text.split(_BEGIN, 1)[1].split(_END, 1)[0].split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _sealed(text: str) -> Optional[_Sealed]:
    """Return the parts of a key with an authenticated cipher, None for any other."""
    blob = _blob(text)
    head = fields_of(blob, 3, len(_MAGIC)) if blob.startswith(_MAGIC) else None
    if head is None or head[0][0] not in _KEY_BYTES or head[0][1] != b"bcrypt":
        return None
    (cipher, dummy_kdf, options), place = head
    salt = fields_of(options, 1)
    keys = fields_of(blob, 2, place + 4)
    if salt is None or keys is None or len(options) != salt[1] + 4 or blob[place : place + 4] != b"\0\0\0\1":
        return None
    (rounds,) = struct.unpack_from(">I", options, salt[1])
    (public, secret), end = keys
    if not 1 <= rounds <= _MAX_ROUNDS or not salt[0][0] or len(blob) - end != _TAG_BYTES:
        return None
    return _Sealed(cipher, salt[0][0], rounds, public, secret, blob[end:])


def _unsealed(sealed: _Sealed, passphrase: bytes) -> bytes:
    """:raises WrongPassphrase: when the tag is not right."""
    bcrypt = require("bcrypt", "bcrypt")
    material: bytes = bcrypt.kdf(
        passphrase, sealed.salt, _KEY_BYTES[sealed.cipher], sealed.rounds, ignore_few_rounds=True
    )
    if sealed.cipher == _CHACHA:
        return _from_chacha(material, sealed)
    aead = require("cryptography.hazmat.primitives.ciphers.aead", "cryptography")
    try:
        secret: bytes = aead.AESGCM(material[:-12]).decrypt(material[-12:], sealed.secret + sealed.tag, None)
    except Exception:  # InvalidTag; its module would be one more import
        raise WrongPassphrase from None
    return secret


def _from_chacha(material: bytes, sealed: _Sealed) -> bytes:
    """OpenSSH's construction [PROTOCOL.chacha20poly1305] with packet number 0 and nothing but the payload."""
    poly1305 = require("cryptography.hazmat.primitives.poly1305", "cryptography")
    stream = _chacha(material[:32], 0).update(bytes(64))
    tag = poly1305.Poly1305.generate_tag(stream[:32], sealed.secret)
    if not hmac.compare_digest(tag, sealed.tag):
        raise WrongPassphrase
    secret: bytes = _chacha(material[:32], 1).update(sealed.secret)
    return secret


def _chacha(key: bytes, counter: int) -> Any:
    ciphers = require("cryptography.hazmat.primitives.ciphers", "cryptography")
    nonce = struct.pack("<Q", counter) + bytes(8)
    return ciphers.Cipher(ciphers.algorithms.ChaCha20(key, nonce), mode=None).decryptor()
