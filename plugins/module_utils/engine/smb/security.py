# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security descriptors [MS-DTYP 2.4.6]: the one that the agent's folder is created with, and the check of one that exists."""

from __future__ import annotations

import struct
from typing import List, NamedTuple, Tuple

from .errors import Failure, SmbError

SYSTEM = "S-1-5-18"
ADMINISTRATORS = "S-1-5-32-544"
_TRUSTED_INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
_TRUSTED = frozenset([SYSTEM, ADMINISTRATORS, _TRUSTED_INSTALLER])
_HEAD = struct.Struct("<BxHIIII")
_SELF_RELATIVE, _PROTECTED, _HAS_LIST = 0x8000, 0x1000, 0x0004
_ALLOW, _INHERITED_BY_ALL, _FULL = 0, 0x03, 0x001F01FF  # object and container inherit; all rights of a file
_MAX_RULES = 1000
_ONLY_INHERITED = 0x08  # INHERIT_ONLY_ACE
# FILE_DELETE_CHILD, DELETE, WRITE_DAC, WRITE_OWNER, GENERIC_ALL: another folder could take the place of one in it.
_REPLACES = 0x40 | 0x10000 | 0x40000 | 0x80000 | 0x10000000


class Security(NamedTuple):
    """An owner and the accounts that a list of access rights allows anything; ``is_protected``: nothing is inherited.

    ``replacing``: those that may rename or delete the folder, or what is in it.
    """

    owner: str
    allowed: Tuple[str, ...]
    is_protected: bool
    replacing: Tuple[str, ...] = ()


class _Rule(NamedTuple):
    account: str
    rights: int
    is_only_inherited: bool


def administrators_only() -> bytes:
    """Return the descriptor ``O:BAG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)`` [MS-DTYP 2.5.1]."""
    owner, group = _sid_bytes(ADMINISTRATORS), _sid_bytes(SYSTEM)
    rules = b"".join(
        struct.pack("<BBHI", _ALLOW, _INHERITED_BY_ALL, 8 + len(sid), _FULL) + sid
        for sid in (_sid_bytes(SYSTEM), _sid_bytes(ADMINISTRATORS))
    )
    rights = struct.pack("<BxHHxx", 2, 8 + len(rules), 2) + rules
    at = _HEAD.size
    control = _SELF_RELATIVE | _PROTECTED | _HAS_LIST
    head = _HEAD.pack(1, control, at, at + len(owner), 0, at + len(owner) + len(group))
    return head + owner + group + rights


def parse(data: bytes) -> Security:
    """Read a descriptor that a server sent. :raises SmbError:"""
    try:
        dummy, control, owner_at, dummy, dummy, rights_at = _HEAD.unpack_from(data)
        owner = _sid(data, owner_at) if owner_at else ""
        # No list: everyone may do everything.
        rules = _rules(data, rights_at) if control & _HAS_LIST and rights_at else [_Rule("S-1-1-0", _FULL, False)]
    except (struct.error, IndexError):
        raise SmbError(Failure.ANSWER_INVALID, "a security descriptor that is cut off") from None
    replacing = [rule.account for rule in rules if rule.rights & _REPLACES and not rule.is_only_inherited]
    return Security(owner, tuple(rule.account for rule in rules), bool(control & _PROTECTED), tuple(replacing))


def why_untrusted(security: Security) -> str:
    """Say why a folder must not hold programs of the system, "" when it may."""
    if security.owner not in _TRUSTED:
        return "its owner is %s, not SYSTEM or Administrators" % (security.owner or "unknown")
    others = sorted(set(security.allowed) - _TRUSTED)
    if others:
        return "its access list admits %s" % ", ".join(others[:3])
    return "" if security.is_protected else "it inherits its access list"


def why_replaceable(security: Security) -> str:
    """Say why a folder must not be above one that holds programs of the system, "" when it may."""
    if security.owner not in _TRUSTED:
        return "its owner is %s, not SYSTEM or Administrators" % (security.owner or "unknown")
    others = sorted(set(security.replacing) - _TRUSTED)
    return "its access list lets %s replace what is in it" % ", ".join(others[:3]) if others else ""


def _rules(data: bytes, at: int) -> List[_Rule]:
    """Return all rules that don't deny [MS-DTYP 2.4.4, 2.4.5]."""
    count = struct.unpack_from("<H", data, at + 4)[0]
    if count > _MAX_RULES:
        raise SmbError(Failure.ANSWER_INVALID, "an access list of %d rules" % count)
    at += 8
    rules = []
    for dummy in range(count):
        kind, flags, size = struct.unpack_from("<BBH", data, at)
        if size < 16:
            raise SmbError(Failure.ANSWER_INVALID, "a rule of %d bytes in an access list" % size)
        # The rules of other kinds than the two plain ones have no account at a fixed place: they count as strangers.
        rights, is_only_inherited = struct.unpack_from("<I", data, at + 4)[0], bool(flags & _ONLY_INHERITED)
        if kind == _ALLOW:
            rules.append(_Rule(_sid(data, at + 8), rights, is_only_inherited))
        elif kind != 1:
            rules.append(_Rule("a rule of kind %d" % kind, rights, is_only_inherited))
        at += size
    return rules


def _sid(data: bytes, at: int) -> str:
    """[MS-DTYP 2.4.2.2]"""
    revision, count, authority = data[at], data[at + 1], int.from_bytes(data[at + 2 : at + 8], "big")
    return "-".join(map(str, ("S", revision, authority, *struct.unpack_from("<%dI" % min(count, 15), data, at + 8))))


def _sid_bytes(text: str) -> bytes:
    dummy, revision, authority, *parts = text.split("-")
    head = struct.pack("<BB", int(revision), len(parts)) + int(authority).to_bytes(6, "big")
    return head + struct.pack("<%dI" % len(parts), *map(int, parts))
