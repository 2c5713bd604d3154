# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A result from a device as far as its lines can use it: a value of another type than its name promises is skipped.

Only the outer fields of a result are checked when it arrives; this file is PRIVATE to the collection.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ansible_collections.plantops.imaging.plugins.module_utils.engine.tame import one_line

MOST_LINES = 1000
_MOST_CHARACTERS = 300
_MOST_OF_A_SENTENCE = 2000
_LIMIT = 1 << 63
_OBJECTS = ("rollover", "trash", "status")
_OBJECT_LISTS = ("disks", "targets", "volumes")
_TEXT_LISTS = ("deleted", "images", "mount_points", "problems")
_NUMBERS = ("bytes", "seconds", "write_mb_per_second", "round_trip_milliseconds")


def readable(result: Mapping[str, Any]) -> Dict[str, Any]:
    """Return what the lines can use of ``result``."""
    found = {str(name): _kept(str(name), value) for name, value in result.items()}
    return {name: value for name, value in found.items() if value is not None}


def cut(lines: List[str]) -> List[str]:
    """As many lines as a person scrolls through, and how many more there are."""
    more = len(lines) - MOST_LINES
    return lines if more <= 0 else [*lines[:MOST_LINES], "  and %d more lines" % more]


def _kept(name: str, value: Any) -> Any:
    if name in _OBJECTS:
        return readable(value) if isinstance(value, dict) else None
    if name in _OBJECT_LISTS:
        return [readable(one) for one in value if isinstance(one, dict)] if isinstance(value, list) else None
    if name == "spared":
        return (
            {_text(str(one)): _text(str(reason)) for one, reason in value.items()} if isinstance(value, dict) else None
        )
    if name == "images" and _is_number(value):
        return value  # the check of a storage counts them
    if name in _TEXT_LISTS:
        return [_text(one) for one in value if isinstance(one, str)] if isinstance(value, list) else None
    if name == "plan":
        return [_planned(one) for one in value if isinstance(one, (dict, str))] if isinstance(value, list) else None
    if name in _NUMBERS or name.startswith("bytes_") or name.endswith("_bytes"):
        return value if _is_number(value) and value >= 0 else None
    if name == "damaged":
        return bool(value)
    if isinstance(value, str):
        return _text(value)
    return value if isinstance(value, bool) or _is_number(value) else None


def _planned(one: Any) -> Any:
    return readable(one) if isinstance(one, dict) else _text(one, _MOST_OF_A_SENTENCE)


def _text(value: str, most: int = _MOST_CHARACTERS) -> str:
    return one_line(value[:most])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LIMIT < value < _LIMIT
