# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets sealed for one run: both sides of the message that docs/agent.md describes.

X25519 [RFC 7748] between a key pair that the sender makes for this message and the one that the runner made for this
run, HKDF-SHA256 [RFC 5869] with the run's nonce, AES-256-GCM. The runner's private key is in its memory only: what was
captured on the way, or is on a disk that was imaged, opens nothing once the run has ended.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any, Dict

from .._libraries import aead, serialization, x25519
from ..errors import SecretsRefused
from ..image.format import documents
from ..image.format.keys import hkdf

MAX_SEALED_BYTES = 256 << 10
NOT_SEALED_FOR_IT = "they were not sealed for this run, or were changed in transit"
_KEY_BYTES = 32
_INFORMATION = b"plantops-imaging sealed secrets 1"
_ZERO_NONCE = b"\0" * 12  # the key comes from a fresh key pair and seals one message
_FIELDS = frozenset(["run", "nonce", "public_key", "sealed"])


class Recipient:
    """The runner's side: a key pair and a nonce for one run, never written anywhere."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._nonce = os.urandom(_KEY_BYTES)
        self._private_key = x25519().X25519PrivateKey.generate()

    def hello(self) -> Dict[str, str]:
        """The public values that the sender needs."""
        return {"run": self._run, "nonce": _text(self._nonce), "public_key": _text(_public_bytes(self._private_key))}

    def open(self, message: bytes, limit_bytes: int = MAX_SEALED_BYTES) -> Dict[str, Any]:
        """Return the secrets that ``message`` (the bytes of ``sealed.json``) holds.

        :raises SecretsRefused: for any fault; the error does not say which part was wrong, so that an attacker can't probe.
        """
        try:
            if len(message) > limit_bytes:
                raise ValueError
            envelope = documents.parse(message)
            if set(envelope) != _FIELDS or envelope["run"] != self._run or envelope["nonce"] != _text(self._nonce):
                raise ValueError
            sender = _bytes(envelope["public_key"], _KEY_BYTES)
            key = _key(self._private_key, sender, self._nonce, self._run)
            plain = aead().AESGCM(key).decrypt(_ZERO_NONCE, _bytes(envelope["sealed"]), self._run.encode("ascii"))
            secrets = documents.parse(plain)
            if any(not isinstance(value, dict) for value in secrets.values()):
                raise ValueError
        except Exception as error:
            if not isinstance(error, (ValueError, TypeError)) and type(error).__name__ != "InvalidTag":
                raise
            raise SecretsRefused(run=self._run, reason=NOT_SEALED_FOR_IT) from None
        return secrets


def seal(hello: Dict[str, str], secrets: Dict[str, Dict[str, Any]]) -> Dict[str, str]:
    """The sender's side: seal ``{"secrets": {...}, "storage": {...}}`` for the runner that published ``hello``.

    :raises SecretsRefused: when ``hello`` holds no usable key.
    """
    run = hello["run"]
    try:
        nonce, recipient = _bytes(hello["nonce"], _KEY_BYTES), _bytes(hello["public_key"], _KEY_BYTES)
        private_key = x25519().X25519PrivateKey.generate()
        key = _key(private_key, recipient, nonce, run)
    except (ValueError, TypeError):
        raise SecretsRefused(run=run, reason="the run's public key or nonce is malformed") from None
    sealed = aead().AESGCM(key).encrypt(_ZERO_NONCE, json.dumps(secrets).encode("ascii"), run.encode("ascii"))
    public_key = _text(_public_bytes(private_key))
    return {"run": run, "nonce": hello["nonce"], "public_key": public_key, "sealed": _text(sealed)}


def _key(private_key: Any, public_key: bytes, nonce: bytes, run: str) -> bytes:
    """:raises ValueError: for a public key that would make the shared secret zero [RFC 7748 section 6.1]."""
    shared = private_key.exchange(x25519().X25519PublicKey.from_public_bytes(public_key))
    return hkdf(shared, nonce, _INFORMATION + run.encode("ascii"))


def _public_bytes(private_key: Any) -> bytes:
    library = serialization()
    raw: bytes = private_key.public_key().public_bytes(library.Encoding.Raw, library.PublicFormat.Raw)
    return raw


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: Any, length: int = 0) -> bytes:
    """:raises ValueError: when it is not base64, or of another length."""
    if not isinstance(text, str):
        raise ValueError("it is not text")
    data = base64.b64decode(text.encode("ascii"), validate=True)
    if length and len(data) != length:
        raise ValueError("it has a different length")
    return data
