# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private key that ``imaging_storage`` names, and the certificate that goes with it."""

from __future__ import annotations

import base64
import binascii
import io
import re
from typing import Any, Mapping, NamedTuple, Optional

from ..._libraries import paramiko
from ...errors import StorageCredentialInvalid
from ..url import in_home
from . import certificate as sftp_certificate
from .locked_key import Locked, WrongPassphrase, cipher_and_type, opened

_MAX_BYTES = 1 << 16
_CERTIFICATE = re.compile(
    r"^[ \t]*((?:ssh|ecdsa)-[a-z0-9-]+-cert-v01@openssh\.com)[ \t]+([A-Za-z0-9+/=]+)", re.MULTILINE
)
_KINDS = ("Ed25519Key", "ECDSAKey", "RSAKey")
# Those that paramiko opens for ECDSA and RSA (of Ed25519 it opens all); the authenticated ones are opened before it sees the key.
_CIPHERS = ("", "none", "aes256-cbc", "aes256-ctr")
_OTHERS = (
    ("PuTTY-User-Key-File", "it is a PuTTY key; convert it: puttygen KEY -O private-openssh -o KEY.openssh"),
    ("BEGIN DSA PRIVATE KEY", "it is a DSA key, which current servers refuse; create one with ssh-keygen -t ed25519"),
    ("BEGIN PUBLIC KEY", "it is a public key; set the private key"),
    ("BEGIN CERTIFICATE", "it is an X.509 certificate, not a private key"),
)
_PUBLIC = re.compile(r"\s*(ssh-[a-z0-9]+|ecdsa-sha2-nistp\d+|sk-[a-z0-9@.-]+) AAAA")


class UserKey(NamedTuple):
    """A private key of paramiko and, where there is one, the certificate for it as bytes."""

    key: Any
    certificate: Optional[bytes]


def private_key(settings: Mapping[str, Any]) -> Optional[UserKey]:
    """Return the key; or None if none is given.

    The certificate is looked for after the key in its text, and in ``<file>-cert.pub`` as ssh does.

    :raises StorageCredentialInvalid: when a key is given and can't be used.
    """
    name, text = "private_key", str(settings.get("private_key") or "")
    path = in_home(str(settings.get("private_key_file") or ""))
    certificate = ""
    if path and not text:
        name, text = "private_key_file", _read(path, "private_key_file")
        certificate = _read(path + "-cert.pub", "")
    if not text.strip():
        return None
    key = _parsed(name, text, str(settings.get("private_key_passphrase") or ""))
    return UserKey(key, _certificate(text, key, name) or _certificate(certificate, key, ""))


def _read(path: str, setting: str) -> str:
    """:raises StorageCredentialInvalid: when it can't be read; a file that is for no setting may lack."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(_MAX_BYTES)
    except OSError as error:
        if not setting:
            return ""
        raise StorageCredentialInvalid(setting=setting, reason="%s: %s" % (path, error.strerror)) from None


def _parsed(name: str, text: str, passphrase: str) -> Any:
    library = paramiko()
    is_locked = False
    try:
        unlocked = opened(text, passphrase)
    except Locked:
        raise _locked(name) from None
    except WrongPassphrase:
        raise StorageCredentialInvalid(setting=name, reason="private_key_passphrase does not decrypt it") from None
    given, unlocked_by = (text, passphrase or None) if unlocked is None else (unlocked, None)
    for kind in _KINDS:
        try:
            return getattr(library, kind).from_private_key(io.StringIO(given.strip() + "\n"), unlocked_by)
        except library.PasswordRequiredException:
            is_locked = True
        except Exception:  # the library passes on any exception of its parsers; their text is not shown
            continue
    if is_locked:
        raise _locked(name)
    raise StorageCredentialInvalid(setting=name, reason=_why_none(text, passphrase))


def _locked(name: str) -> StorageCredentialInvalid:
    return StorageCredentialInvalid(setting=name, reason="it is encrypted; set private_key_passphrase")


def _why_none(text: str, passphrase: str) -> str:
    for words, reason in _OTHERS:
        if words in text:
            return reason
    if _PUBLIC.match(text):
        return "it is a public key; set the private key"
    cipher, kind = cipher_and_type(text)
    if passphrase and kind != "ssh-ed25519" and cipher not in _CIPHERS:
        words = (
            "it is encrypted with %s, which the engine does not support; change it: ssh-keygen -p -Z aes256-ctr -f KEY"
        )
        return words % cipher
    reason = "it is not an Ed25519, ECDSA or RSA key in OpenSSH, PEM or PKCS#8 format"
    return "private_key_passphrase does not decrypt it, or %s" % reason if passphrase else reason


def _certificate(text: str, key: Any, setting: str) -> Optional[bytes]:
    """Return the certificate in ``text`` that is for ``key``; one for another key beside the key file does no harm."""
    found = _CERTIFICATE.search(text)
    if found is None:
        return None
    try:
        blob = base64.b64decode(found.group(2), validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    certificate = sftp_certificate.parse(blob)
    if certificate is not None and certificate.kind == sftp_certificate.USER and certificate.key == key.asbytes():
        return blob
    if setting:
        raise StorageCredentialInvalid(setting=setting, reason="its certificate is not a user certificate for this key")
    return None


def show_certificate(found: UserKey, shown: bool) -> Any:
    """Return the key as one that logs in with its certificate, or without it."""
    if found.certificate is not None and shown:
        found.key.load_certificate(paramiko().Message(found.certificate))
    else:
        found.key.public_blob = None
    return found.key
