# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of a section: items by their key, each with fields that are text, a number, yes or no, a list of texts, or unknown.

A field that is unknown is None; a comparison skips it.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ...tame import one_line
from .tree import Unreadable

Item = Dict[str, Any]
Items = Dict[str, Item]
MOST_ITEMS = 20_000
MOST_KEY_CHARACTERS = 300
MOST_CHARACTERS = 500
MOST_ENTRIES = 200
_MOST_NUMBER = 1 << 63


def tidy(items: Mapping[str, Mapping[str, Any]]) -> Items:
    """Return the items sorted, within their bounds, and without anything that steers a terminal.

    :raises Unreadable: when there are more than a system can have.
    """
    if len(items) > MOST_ITEMS:
        raise Unreadable("it has more than %d entries" % MOST_ITEMS)
    found: Items = {}
    for key in sorted(items):
        item = items[key]
        found[_unused(_short(key, MOST_KEY_CHARACTERS), found)] = {name: _value(item[name]) for name in sorted(item)}
    return found


def add(items: Items, key: str, item: Item) -> None:
    """Add an item; a second one of the same key gets a number."""
    items[_unused(key, items)] = item


def _unused(key: str, items: Items) -> str:
    number, unused = 1, key
    while unused in items:
        number += 1
        unused = "%s (%d)" % (key, number)
    return unused


def _value(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -_MOST_NUMBER < value < _MOST_NUMBER else None
    if isinstance(value, (list, tuple, set, frozenset)):
        texts: List[str] = [_short(str(one), MOST_CHARACTERS) for one in value]
        more = len(texts) - MOST_ENTRIES
        return texts[:MOST_ENTRIES] + (["and %d more" % more] if more > 0 else [])
    return _short(str(value), MOST_CHARACTERS)


def _short(text: str, most: int) -> str:
    line = one_line(text.strip()[: most * 2])
    return line if len(line) <= most else line[: most - 3] + "..."
