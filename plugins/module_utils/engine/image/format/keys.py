# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The master key of a device and its password slots.

A slot is an immutable JSON file named by the SHA-256 of its bytes. It holds the master key, sealed with AES-256-GCM
under a key that scrypt [RFC 7914] derives from the password. From the master key HKDF-SHA256 [RFC 5869] derives one
key per purpose. Without a password there is no master key: ids are plain SHA-256 and nothing is sealed.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import os
import unicodedata
from typing import Any, Dict, NamedTuple, Optional, Set, Tuple

from ..._libraries import aead
from ...errors import KeySlotInvalid
from . import constants as fmt
from . import documents

_SLOT_FORMAT = "plantops.imaging key slot"
_SLOT_FIELDS = frozenset(["format", "version", "key_id", "kdf", "sealed"])
_KDF_FIELDS = frozenset(["name", "n", "r", "p", "salt"])
_DEFAULT_N, _DEFAULT_R, _DEFAULT_P = 1 << 16, 8, 1  # 64 MiB, about 0.2 s: fits an industrial PC with 1 GiB
_NONCE = b"\0" * 12  # the wrapping key comes from a fresh salt and seals one message


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 with 32 bytes of output: extract, then the first block of expand [RFC 5869 2.2, 2.3]."""
    pseudo_random_key = hmac.new(salt, key, hashlib.sha256).digest()
    return hmac.new(pseudo_random_key, info + b"\x01", hashlib.sha256).digest()


class MasterKey:
    """The key of a device, and the keys derived from it."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != fmt.KEY_BYTES:
            raise AssertionError("a master key has 32 bytes")
        self._secret = secret
        self.key_id = hkdf(secret, b"", b"plantops.imaging 1 key id").hex()
        self.id_key = hkdf(secret, b"", b"plantops.imaging 1 chunk id")
        self.manifest_key = hkdf(secret, b"", b"plantops.imaging 1 manifest")
        self.record_key = hkdf(secret, b"", b"plantops.imaging 1 record")
        self.slots: Set[str] = (
            set()
        )  # names of slots that are known to hold it: a password opened them, or we made them

    @classmethod
    def new(cls) -> MasterKey:
        return cls(os.urandom(fmt.KEY_BYTES))

    def file_key(self, salt: bytes) -> bytes:
        """The key of one pack or sealed file, from its random salt."""
        return hkdf(self._secret, salt, b"plantops.imaging 1 file")

    def new_slot(self, password: str, *, n: int = _DEFAULT_N) -> Tuple[str, bytes]:
        """Return ``(name, bytes)`` of a slot file that ``password`` opens."""
        salt = os.urandom(fmt.SALT_BYTES)
        header: Dict[str, Any] = {
            "format": _SLOT_FORMAT,
            "version": fmt.FORMAT_VERSION,
            "key_id": self.key_id,
            "kdf": {"name": "scrypt", "n": n, "r": _DEFAULT_R, "p": _DEFAULT_P, "salt": salt.hex()},
        }
        wrapping = _derive(password, salt, n, _DEFAULT_R, _DEFAULT_P)
        header["sealed"] = aead().AESGCM(wrapping).encrypt(_NONCE, self._secret, _associated(header)).hex()
        data = json.dumps(header, sort_keys=True, indent=1).encode("ascii") + b"\n"
        name = hashlib.sha256(data).hexdigest() + ".json"
        self.slots.add(name)
        return name, data


class KeySlot(NamedTuple):
    """A parsed slot file."""

    name: str
    key_id: str
    header: Dict[str, Any]

    @property
    def cost(self) -> int:
        """The cost of a derivation in time and memory, in units of 128 bytes."""
        kdf = self.header["kdf"]
        return int(kdf["n"] * kdf["r"] * kdf["p"])

    @property
    def memory_bytes(self) -> int:
        kdf = self.header["kdf"]
        return 128 * int(kdf["n"] * kdf["r"])

    def open(self, password: str) -> Optional[MasterKey]:
        """Return the master key, or None when ``password`` does not open this slot. One key derivation."""
        kdf = self.header["kdf"]
        wrapping = _derive(password, bytes.fromhex(kdf["salt"]), kdf["n"], kdf["r"], kdf["p"])
        try:
            secret = (
                aead().AESGCM(wrapping).decrypt(_NONCE, bytes.fromhex(self.header["sealed"]), _associated(self.header))
            )
        except Exception as error:
            if type(error).__name__ != "InvalidTag":
                raise
            return None
        key = MasterKey(secret)
        if key.key_id != self.key_id:
            raise KeySlotInvalid(path=self.name, reason="it contains a different key than its header states")
        return key


def parse_slot(name: str, data: bytes) -> KeySlot:
    """Parse and bound a slot file.

    :raises KeySlotInvalid: for anything that the format does not allow, absurd scrypt parameters included.
    """
    try:
        if len(data) > fmt.MAX_KEY_SLOT_BYTES:
            raise ValueError("it is too large")
        if hashlib.sha256(data).hexdigest() + ".json" != name:
            raise ValueError("its bytes do not match its name")
        header = documents.parse(data)
        if header.get("format") != _SLOT_FORMAT:
            raise ValueError("it is not a key slot")
        if header.get("version") not in fmt.READABLE_VERSIONS:
            raise ValueError("its format version is unknown")
        if set(header) != _SLOT_FIELDS:
            raise ValueError("its fields are not those of a key slot")
        _check_kdf(header.get("kdf"))
        documents.digest(header, "key_id")
        if len(bytes.fromhex(header["sealed"])) != fmt.KEY_BYTES + fmt.TAG_BYTES:
            raise ValueError("its sealed key is malformed")
    except (ValueError, KeyError, TypeError) as error:
        raise KeySlotInvalid(path=name, reason=str(error)) from None
    return KeySlot(name, header["key_id"], header)


def _check_kdf(kdf: Any) -> None:
    if not isinstance(kdf, dict) or set(kdf) != _KDF_FIELDS or kdf["name"] != "scrypt":
        raise ValueError("its key derivation is unknown")
    n, r, p = (documents.number(kdf, name, fmt.MAX_SCRYPT_MEMORY_BYTES) for name in ("n", "r", "p"))
    if not r or not p or n & (n - 1) or n < 2 or r > 64 or p > 16 or 128 * n * r * p > fmt.MAX_SCRYPT_MEMORY_BYTES:
        raise ValueError("its scrypt parameters are out of bounds")
    if n >= 1 << (16 * r):  # RFC 7914 section 2; OpenSSL refuses it, too
        raise ValueError("its scrypt parameters contradict each other")
    if len(bytes.fromhex(kdf["salt"])) != fmt.SALT_BYTES:
        raise ValueError("its salt is malformed")


@functools.lru_cache(maxsize=2 * fmt.MAX_KEY_SLOTS)
def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    # Remembered, because a job opens images more than once (compare, plan, write) and each derivation costs a small
    # device 64 MiB and a second. A process runs one job: it forgets this with the password itself.
    # One password typed on two keyboards must give the same bytes: NFC, then UTF-8.
    secret = unicodedata.normalize("NFC", password).encode("utf-8")
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=fmt.MAX_SCRYPT_MEMORY_BYTES * 2, dklen=32)


def _associated(header: Dict[str, Any]) -> bytes:
    return json.dumps({key: header[key] for key in header if key != "sealed"}, sort_keys=True).encode("ascii")
