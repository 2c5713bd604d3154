# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections ``users`` and ``groups``, from passwd(5), shadow(5) and group(5). The hash of a password is never read out."""

from __future__ import annotations

import datetime
from typing import Dict, List, Optional, Tuple

from .items import Items
from .tree import SystemTree, Unreadable

_MOST_BYTES = 16 << 20


def read_users(tree: SystemTree) -> Items:
    """Return each user; what concerns its password is unknown where shadow can't be read."""
    passwords = _passwords(tree)
    items: Items = {}
    for fields in _lines(tree, "/etc/passwd", 7):
        name = fields[0]
        state, changed = passwords.get(name, ("", "")) if passwords is not None else (None, None)
        items[name] = {
            "uid": _number(fields[2]),
            "gid": _number(fields[3]),
            "comment": fields[4],
            "home": fields[5],
            "shell": fields[6],
            "password": state,
            "password_changed": changed,
        }
    return items


def read_groups(tree: SystemTree) -> Items:
    return {
        fields[0]: {"gid": _number(fields[2]), "members": sorted(set(filter(None, fields[3].split(","))))}
        for fields in _lines(tree, "/etc/group", 4)
    }


def _passwords(tree: SystemTree) -> Optional[Dict[str, Tuple[str, str]]]:
    """Of each user whether a password is set, and when it was changed; or None if the user of this process may not read it."""
    try:
        lines = _lines(tree, "/etc/shadow", 3)
    except Unreadable:
        tree.check_time()
        return None
    return {fields[0]: (_state(fields[1]), _day(fields[2])) for fields in lines}


def _state(stored: str) -> str:
    if not stored:
        return "empty"
    return "locked" if stored[0] in "!*" else "set"


def _day(days: str) -> str:
    number = _number(days)
    if not number or number > 100_000:
        return ""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=number)).isoformat()


def _lines(tree: SystemTree, place: str, least: int) -> List[List[str]]:
    rows = [line.split(":") for line in tree.text(place, _MOST_BYTES).split("\n") if not line.startswith("#")]
    return [row for row in rows if len(row) >= least and row[0] and row[0][0] not in "+-"]


def _number(text: str) -> Optional[int]:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None
