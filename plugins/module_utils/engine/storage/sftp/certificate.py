# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of OpenSSH [PROTOCOL.certkeys]: who signed a key, for which hosts or users, and for how long."""

from __future__ import annotations

import struct
import time
from typing import Any, List, NamedTuple, Optional

from ..._libraries import paramiko
from .known_hosts import fields_of, type_of

SUFFIX = "-cert-v01@openssh.com"
USER, HOST = 1, 2
# How many fields of the public key lie between the nonce and the serial number.
_KEY_FIELDS = {
    "ssh-rsa": 2,
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
}
_MAX_PRINCIPALS = 256
_CA_KEYS = {"ssh-ed25519": "Ed25519Key", "ssh-rsa": "RSAKey"}


class Certificate(NamedTuple):
    key: bytes  # that it is about
    kind: int
    principals: List[str]
    valid_after: int
    valid_before: int
    has_critical_options: bool
    authority: bytes  # the public key that signed it
    signed: bytes
    signature: bytes


def parse(blob: bytes) -> Optional[Certificate]:
    """Return the certificate, None for what is none that can be understood whole."""
    try:
        return _parse(blob)
    except (struct.error, TypeError, UnicodeDecodeError):
        return None


def _parse(blob: bytes) -> Optional[Certificate]:
    name = type_of(blob)
    plain = name[: -len(SUFFIX)] if name.endswith(SUFFIX) else ""
    if plain not in _KEY_FIELDS:
        return None
    fields, place = _strings(blob, 2 + _KEY_FIELDS[plain], 0)
    key = b"".join(struct.pack(">I", len(part)) + part for part in (plain.encode("ascii"), *fields[2:]))
    dummy_serial, kind = struct.unpack_from(">QI", blob, place)
    (dummy_id, packed), place = _strings(blob, 2, place + 12)
    after, before = struct.unpack_from(">QQ", blob, place)
    (critical, dummy_extensions, dummy_reserved, authority), signed_end = _strings(blob, 4, place + 16)
    (signature,), end = _strings(blob, 1, signed_end)
    if end != len(blob):
        return None
    principals: List[str] = []
    place = 0
    while place < len(packed) and len(principals) < _MAX_PRINCIPALS:
        (principal,), place = _strings(packed, 1, place)
        principals.append(principal.decode("utf-8"))
    return Certificate(key, kind, principals, after, before, bool(critical), authority, blob[:signed_end], signature)


def _strings(blob: bytes, count: int, start: int) -> Any:
    return fields_of(blob, count, start)  # unpacking None raises a TypeError, which parse() handles


def why_not_for_host(certificate: Certificate, host: str, now: Optional[float] = None) -> str:
    """Return why ``host`` can't be who shows this certificate, "" where it can; whether its authority is a known one is
    the caller's question."""
    if certificate.kind != HOST:
        return "it is not a host certificate"
    reason = why_not_now(certificate, now)
    if reason:
        return reason
    if certificate.principals and host not in [name.lower() for name in certificate.principals]:
        return "it is for %s, not for %s" % (", ".join(certificate.principals[:4])[:200], host)
    if certificate.has_critical_options:
        return "it has critical options, which are not valid in a host certificate"
    return "" if _is_signed(certificate) else "its signature does not match its authority"


def why_not_now(certificate: Certificate, now: Optional[float] = None) -> str:
    """Return why the certificate does not hold at this time, "" where it does."""
    moment = time.time() if now is None else now
    if moment < certificate.valid_after:
        return "it is valid from %s, but the clock of this machine shows %s" % (
            _day(certificate.valid_after),
            _day(moment),
        )
    if moment >= certificate.valid_before:
        return "it expired on %s" % _day(certificate.valid_before)
    return ""


def _day(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "an impossible date"


def _is_signed(certificate: Certificate) -> bool:
    library = paramiko()
    kind = type_of(certificate.authority)
    signed_with = fields_of(certificate.signature, 1)
    if signed_with is None or signed_with[0][0] == b"ssh-rsa":  # SHA-1: OpenSSH takes it from no authority any more
        return False
    name = "ECDSAKey" if kind.startswith("ecdsa-") else _CA_KEYS.get(kind, "")
    if not name:
        return False
    try:
        key = getattr(library, name)(data=certificate.authority)
        return bool(key.verify_ssh_sig(certificate.signed, library.Message(certificate.signature)))
    except Exception:  # a library that meets a key or a signature which is none raises what it happens to
        return False
