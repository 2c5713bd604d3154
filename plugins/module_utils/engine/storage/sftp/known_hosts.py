# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The format of OpenSSH's known_hosts [sshd(8), SSH_KNOWN_HOSTS FILE FORMAT], read by the rules of OpenSSH.

Lines that ssh skips are skipped: comments, unknown markers, lines that are cut off. ``tests/integration/storage/test_known_hosts.py``
compares the outcome with that of ssh itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from typing import Iterator, List, NamedTuple, Optional, Tuple

CA, REVOKED = "@cert-authority", "@revoked"
RSA_TYPES = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
_BLANK = " \t"
_LONGEST_PATTERN = 1023
_LEAST_RSA_BITS = 1024
# How many fields a public key has after its type.
_FIELDS = {
    "ssh-rsa": 2,
    "ssh-dss": 4,
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
}


class KnownKey(NamedTuple):
    """One line: for the hosts that ``hosts`` matches, ``key`` is right, signs certificates, or is revoked."""

    marker: str
    hosts: str
    key: bytes


def fingerprint(key: bytes) -> str:
    """As ``ssh-keygen -lf`` shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode("ascii").rstrip("=")


def parse(text: str) -> Iterator[KnownKey]:
    """Yield the lines that OpenSSH would use."""
    for line in text.split("\n"):
        found = parse_line(line)
        if found is not None:
            yield found


def parse_line(line: str) -> Optional[KnownKey]:
    """Return what a line says, None where OpenSSH would skip it."""
    rest = line.lstrip(_BLANK)
    marker = ""
    if rest.startswith("@"):
        marker, rest = _word(rest)
        if marker not in (CA, REVOKED) or rest.startswith("@"):
            return None
    if not rest or rest.startswith("#"):
        return None
    hosts, rest = _word(rest)
    kind, rest = _word(rest)
    key = key_of(kind, _word(rest)[0])
    return None if key is None else KnownKey(marker, hosts, key)


def key_of(kind: str, encoded: str) -> Optional[bytes]:
    """Return a public key if it is complete and of the type before it."""
    try:
        blob = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return blob if kind in _FIELDS and _is_whole(kind, blob) else None


def type_of(key: bytes) -> str:
    """The type that a public key itself names."""
    found = fields_of(key, 1)
    return "" if found is None else found[0][0].decode("ascii", "replace")


def fields_of(blob: bytes, count: int, start: int = 0) -> Optional[Tuple[List[bytes], int]]:
    """Return ``count`` strings [RFC 4251, section 5] of ``blob`` and where they end; or None if it is cut off."""
    found: List[bytes] = []
    for dummy in range(count):
        if start + 4 > len(blob):
            return None
        (length,) = struct.unpack_from(">I", blob, start)
        start += 4
        if start + length > len(blob):
            return None
        found.append(blob[start : start + length])
        start += length
    return found, start


def _is_whole(kind: str, blob: bytes) -> bool:
    read = fields_of(blob, 1 + _FIELDS[kind])
    if read is None or read[1] != len(blob) or read[0][0] != kind.encode("ascii"):
        return False
    if kind == "ssh-rsa":
        return len(read[0][2].lstrip(b"\0")) * 8 >= _LEAST_RSA_BITS
    return kind != "ssh-ed25519" or len(read[0][1]) == 32


def _word(text: str) -> Tuple[str, str]:
    """Return the first word and what follows it."""
    end = next((place for place, character in enumerate(text) if character in _BLANK), len(text))
    return text[:end], text[end:].lstrip(_BLANK)


def matches(hosts: str, name: str) -> bool:
    """Whether the first field of a line stands for ``name`` (``server`` or ``[server]:port``, in lower case)."""
    if hosts.startswith("|"):
        return _is_hash_of(hosts, name)
    is_match = False
    for pattern in hosts.lower().split(","):
        is_negated = pattern.startswith("!")
        shape = pattern[1:] if is_negated else pattern
        if len(shape) >= _LONGEST_PATTERN:
            return False
        if _fits(shape, name):
            if is_negated:
                return False
            is_match = True
    return is_match


def _fits(shape: str, name: str) -> bool:
    """``*`` and ``?`` are special, nothing else is. Time grows with both lengths, however many stars there are."""
    here = there = 0
    star, after_star = -1, 0
    while there < len(name):
        if here < len(shape) and shape[here] == "*":
            star, after_star = here, there
            here += 1
        elif here < len(shape) and shape[here] in ("?", name[there]):
            here, there = here + 1, there + 1
        elif star >= 0:
            after_star += 1
            here, there = star + 1, after_star
        else:
            return False
    return not shape[here:].strip("*")


def _is_hash_of(field: str, name: str) -> bool:
    """``|1|salt|hash``: HMAC-SHA1 of the name, so that a stolen file names no servers."""
    parts = field.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return False
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in parts[2:])
    except (binascii.Error, ValueError):
        return False
    return len(salt) == 20 and hmac.compare_digest(hmac.new(salt, name.encode("utf-8"), "sha1").digest(), digest)
