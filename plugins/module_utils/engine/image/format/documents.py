# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON documents of the format: strict parsing of what a storage holds, and one canonical form for authentication."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

from . import constants as fmt

_MAX_DEPTH = 64  # what can be read can be written again, however deep the caller stands

_MAX_DIGITS = 40  # Python 3.8 needs minutes for a number of some megabytes


def canonical(document: Dict[str, Any]) -> bytes:
    """The bytes that are authenticated: sorted keys, no spaces, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def pretty(document: Dict[str, Any]) -> bytes:
    """The bytes that are stored: the same content, for human eyes."""
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def parse(data: bytes, most_values: int = fmt.MAX_JSON_VALUES) -> Dict[str, Any]:
    """Parse an object; refuses duplicate keys, floats, endless numbers, non-ASCII bytes, deep nesting and more than 8 MiB.

    :param most_values: what parsing takes of memory depends on how many values there are, not on the bytes.
    :raises ValueError: with a reason for the user.
    """
    if len(data) > fmt.MAX_JSON_BYTES:
        raise ValueError("it is larger than the limit of a document")
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > most_values:
        raise ValueError("it contains more values than the limit of a document")
    try:
        document = json.loads(
            data.decode("ascii"),
            object_pairs_hook=_unique,
            parse_float=_refuse,
            parse_constant=_refuse,
            parse_int=_integer,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is not ASCII") from None
    if not isinstance(document, dict):
        raise ValueError("it is not an object")
    if _depth(document) > _MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    return document


def text(document: Dict[str, Any], key: str, limit: int = 1024) -> str:
    value = document.get(key)
    if not isinstance(value, str) or len(value) > limit:
        raise ValueError("%s is missing or malformed" % key)
    return value


def number(document: Dict[str, Any], key: str, limit: int = fmt.MAX_NUMBER) -> int:
    value = document.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise ValueError("%s is missing or out of bounds" % key)
    return value


def digest(document: Dict[str, Any], key: str) -> str:
    value = text(document, key, 64)
    if len(value) != 64 or value != value.lower() or any(c not in "0123456789abcdef" for c in value):
        raise ValueError("%s is not a SHA-256" % key)
    return value


def _unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("it contains a key twice")
    return result


def _integer(value: str) -> int:
    if len(value) > _MAX_DIGITS:
        raise ValueError("it contains a number of %d digits" % len(value))
    return int(value)


def _depth(document: Any) -> int:
    """How deep lists and objects are nested, found without recursion."""
    level, depth = [document], 0
    while level:
        depth += 1
        inside: List[Any] = []
        for value in level:
            inside += value.values() if isinstance(value, dict) else value
        level = [value for value in inside if isinstance(value, (dict, list))]
    return depth


def _refuse(value: str) -> Any:
    raise ValueError("it contains the number %s" % value[:20])
