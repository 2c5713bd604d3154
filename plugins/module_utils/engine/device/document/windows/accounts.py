# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections ``users`` and ``groups`` of Windows: the local accounts of the SAM, which only SYSTEM may read.

The values F, V and C of the SAM are in no page of Microsoft's; their fields are those of "chntpw" (sam.h) and of libregf's notes.
Hashes of passwords are in V as well and are not read.
"""

from __future__ import annotations

import datetime
import struct
from typing import Dict, Iterator, List, Optional, Tuple

from ..items import Items, add
from .machine import PROFILES
from .reading import Reader

_DOMAINS = r"SAM\SAM\Domains"
_TABLE_BYTES = 0xCC  # of V: where its parts lie, counted from here
_ALIAS_BYTES = 0x34  # the same of C
_MOST_MEMBERS = 10_000
_DISABLED, _NOT_REQUIRED, _NEVER_EXPIRES = 0x1, 0x4, 0x200
_NEVER = (0, 0x7FFFFFFFFFFFFFFF)
_FIRST = datetime.datetime(1601, 1, 1)


def read_users(reader: Reader) -> Items:
    """Return each local user; their password is known only by when it was set and whether it must change."""
    items: Items = {}
    machine, homes = _machine(reader), _homes(reader)
    base = _DOMAINS + r"\Account\Users"
    for rid in _rids(reader, base):
        values = reader.values(r"%s\%08X" % (base, rid))
        fixed, table = values.data("F"), values.data("V")
        name, full_name, comment = (_part(table, at, _TABLE_BYTES) for at in (0x0C, 0x18, 0x24))
        if not name or len(fixed) < 58:
            continue
        flags = struct.unpack_from("<H", fixed, 56)[0]
        item = {"uid": rid, "full_name": full_name, "comment": comment, "disabled": bool(flags & _DISABLED)}
        item.update(gid=None, shell=None, password=None, home=homes.get("%s-%d" % (machine, rid), ""))
        item.update(password_required=not flags & _NOT_REQUIRED, password_expires=not flags & _NEVER_EXPIRES)
        add(items, name, dict(item, password_changed=_day(struct.unpack_from("<Q", fixed, 24)[0])))
    return items


def read_groups(reader: Reader) -> Items:
    """Return each local group with the SIDs of its members, and their names where they are local accounts."""
    items: Items = {}
    names = _local_names(reader)
    for domain in ("Account", "Builtin"):
        base = r"%s\%s\Aliases" % (_DOMAINS, domain)
        for rid in _rids(reader, base):
            alias = reader.values(r"%s\%08X" % (base, rid)).data("C")
            name, comment = (_part(alias, at, _ALIAS_BYTES) for at in (0x10, 0x1C))
            if name:
                members = sorted(names.get(sid, sid) for sid in _members(alias))
                add(items, name, {"gid": rid, "comment": comment, "members": members})
    return items


def _rids(reader: Reader, base: str) -> List[int]:
    found = []
    for name in reader.names(base):
        try:
            found.append(int(name, 16) if len(name) == 8 else -1)
        except ValueError:
            continue
    return sorted(rid for rid in found if rid >= 0)


def _part(table: bytes, at: int, base: int) -> str:
    """A text that an entry of the table names: its place, its length."""
    if len(table) < base:
        return ""
    place, length = struct.unpack_from("<II", table, at)
    return table[base + place : base + place + length].decode("utf-16-le", "replace")


def _members(alias: bytes) -> Iterator[str]:
    if len(alias) < _ALIAS_BYTES:
        return
    place, dummy_length, count = struct.unpack_from("<III", alias, 0x28)
    at = _ALIAS_BYTES + place
    for dummy in range(min(count, _MOST_MEMBERS)):
        found = _sid(alias, at)
        if found is None:
            return
        text, at = found
        yield text


def _sid(data: bytes, at: int) -> Optional[Tuple[str, int]]:
    """The SID at a place and the place behind it [MS-DTYP 2.4.2.2]."""
    if at + 8 > len(data) or data[at] != 1 or data[at + 1] > 15 or at + 8 + 4 * data[at + 1] > len(data):
        return None
    count = data[at + 1]
    authority = int.from_bytes(data[at + 2 : at + 8], "big")
    parts = struct.unpack_from("<%dI" % count, data, at + 8)
    return "-".join(map(str, ("S-1-%d" % authority, *parts))), at + 8 + 4 * count


def _machine(reader: Reader) -> str:
    """The SID of this machine's accounts: the last 24 bytes of the account domain."""
    domain = reader.values(_DOMAINS + r"\Account").data("V")
    found = _sid(domain, len(domain) - 24) if len(domain) >= 24 else None
    return found[0] if found else ""


def _homes(reader: Reader) -> Dict[str, str]:
    """The folder of each profile by the SID of its user."""
    return {sid: reader.values(r"%s\%s" % (PROFILES, sid)).text("ProfileImagePath") for sid in reader.names(PROFILES)}


def _local_names(reader: Reader) -> Dict[str, str]:
    """The names of the local users by their SIDs."""
    machine = _machine(reader)
    return {"%s-%d" % (machine, user["uid"]): name for name, user in read_users(reader).items()}


def _day(moment: int) -> str:
    if moment in _NEVER:
        return ""
    try:
        return (_FIRST + datetime.timedelta(microseconds=moment // 10)).date().isoformat()
    except OverflowError:
        return ""
