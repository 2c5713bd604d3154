# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A comparison as people read it: lines for the play and the image's log, and the two sides of a diff."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Tuple

from ...tame import one_line

_MOST_LINES = 60
_MOST_CHARACTERS = 200
# The fields that tell most of an item, which lines name in full; a diff has all of them.
_TELLING = {
    "certificates": ("subject", "expires"),
    "disks": ("model", "size_bytes"),
    "drivers": ("driver",),
    "groups": ("gid", "members"),
    "kernel_modules": ("version",),
    "listening_ports": ("program", "service"),
    "mounts": ("source", "type"),
    "network": ("addresses", "configured", "names"),
    "partitions": ("size_bytes", "file_system", "name"),
    "scheduled_tasks": ("schedule", "user"),
    "services": ("start", "program"),
    "software": ("version", "source"),
    "users": ("uid", "home", "shell"),
    "volumes": ("size_bytes", "file_system"),
}


def headline(comparison: Mapping[str, Any]) -> str:
    """Return how many differences there are, and since when."""
    count, against = comparison.get("count") or 0, comparison.get("against")
    since = "since the image %s" % against if against else "since the document that was given"
    if not count:
        return "the device has not changed %s" % since
    return "the device has %d difference%s %s:" % (count, "" if count == 1 else "s", since)


def lines(comparison: Mapping[str, Any], most: int = _MOST_LINES) -> List[str]:
    """Return a line for each difference, at most ``most``, and for each section that was not compared."""
    found = [_line(*one) for one in _entries(comparison)]
    more = len(found) - most
    found = found[:most] + (["and %d more, which the result lists" % more] if more > 0 else [])
    for one in _dicts(comparison.get("not_compared")):
        found.append("%s: not compared, because %s" % (one.get("section"), one.get("reason")))
    return [one_line(line) for line in found]


def diff(comparison: Mapping[str, Any]) -> Dict[str, str]:
    """Return both sides with the lines that differ, each as section/key field: value."""
    before: List[str] = []
    after: List[str] = []
    for section, kind, entry in _entries(comparison):
        place = "%s/%s" % (section, entry.get("key"))
        if kind == "changed":
            before.append("%s %s: %s" % (place, entry.get("field"), shown(entry.get("before"))))
            after.append("%s %s: %s" % (place, entry.get("field"), shown(entry.get("after"))))
        else:
            side = after if kind == "added" else before
            side += ["%s %s: %s" % (place, field, shown(value)) for field, value in _fields(entry)] or [place]
    sides = {"before": before, "after": after}
    return {name: "".join(one_line(line) + "\n" for line in rows) for name, rows in sides.items()}


def changes(comparison: Mapping[str, Any]) -> List[Dict[str, str]]:
    """Return each difference as a path with the values before and after, "" for what does not exist."""
    found = []
    for section, kind, entry in _entries(comparison):
        place = "%s/%s" % (section, entry.get("key"))
        if kind == "changed":
            sides = (shown(entry.get("before")), shown(entry.get("after")))
            found.append({"path": "%s.%s" % (place, entry.get("field")), "before": sides[0], "after": sides[1]})
        else:
            item = _summary(section, entry) or "present"
            sides = ("", item) if kind == "added" else (item, "")
            found.append({"path": place, "before": sides[0], "after": sides[1]})
    return found


def shown(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value) if value != "" else "empty"


def _line(section: str, kind: str, entry: Dict[str, Any]) -> str:
    if kind == "changed":
        words = "%s from %s to %s" % (entry.get("field"), _cut(entry.get("before")), _cut(entry.get("after")))
        return "%s: %s changed: %s" % (section, entry.get("key"), words)
    summary = _summary(section, entry)
    return "%s: %s %s%s" % (section, entry.get("key"), kind, " (%s)" % summary if summary else "")


def _summary(section: str, entry: Dict[str, Any]) -> str:
    telling = _TELLING.get(section, ())
    fields = [(field, value) for field, value in _fields(entry) if field in telling and value not in ("", None, [])]
    fields.sort(key=lambda field: telling.index(field[0]))
    return ", ".join("%s %s" % (field, _cut(value)) for field, value in fields)


def _cut(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."


def _fields(entry: Dict[str, Any]) -> List[Tuple[str, Any]]:
    return [(field, value) for field, value in sorted(entry.items()) if field != "key"]


def _entries(comparison: Mapping[str, Any]) -> Iterator[Tuple[str, str, Dict[str, Any]]]:
    """Yield section, kind and entry; a device may have made the comparison, so nothing is taken for granted."""
    sections = comparison.get("sections")
    for section, kinds in sorted(sections.items()) if isinstance(sections, dict) else ():
        for kind in ("added", "removed", "changed"):
            for entry in _dicts(kinds.get(kind) if isinstance(kinds, dict) else None):
                yield str(section), kind, entry


def _dicts(value: Any) -> List[Dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
