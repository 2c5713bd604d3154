# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares two device documents: what was added, removed and changed, by section and key.

A field that is unknown on one side, and a section that one side could not read, is not a difference.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from .ignore import Ignored

NO_RULES = Ignored(())
Comparison = Dict[str, Any]
_Items = Dict[str, Dict[str, Any]]


def compare(
    before: Mapping[str, Any], after: Mapping[str, Any], against: str = "", ignored: Ignored = NO_RULES
) -> Comparison:
    """Return ``{"against", "sections": {section: {"added", "removed", "changed"}}, "count", "not_compared"}``.

    Added and removed items have their ``key`` and their fields; a changed one has, field by field, ``key``,
    ``field``, ``before``, ``after``. Sections without a difference are not in it.

    :param against: the name of the image that ``before`` belongs to.
    """
    old, new = _sections(before), _sections(after)
    sections: Dict[str, Dict[str, List[Dict[str, Any]]]] = {}
    not_compared: List[Dict[str, str]] = []
    for name in sorted(set(old) | set(new)):
        reason = _why_not(name, before, after)
        if reason:
            not_compared.append({"section": name, "reason": reason})
            continue
        found = _section(name, old[name], new[name], ignored, _is_partial(before, name))
        if any(found.values()):
            sections[name] = found
    count = sum(len(entries) for section in sections.values() for entries in section.values())
    return {"against": against, "sections": sections, "count": count, "not_compared": not_compared}


def nothing(against: str = "") -> Comparison:
    """Return the comparison of what there is nothing to compare with."""
    return {"against": against, "sections": {}, "count": 0, "not_compared": []}


def _section(
    name: str, old: _Items, new: _Items, ignored: Ignored, is_partial: bool
) -> Dict[str, List[Dict[str, Any]]]:
    keys = [key for key in sorted(set(old) | set(new)) if not ignored.covers(name, key)]
    return {
        "added": [dict(new[key], key=key) for key in keys if key not in old and not is_partial],
        "removed": [dict(old[key], key=key) for key in keys if key not in new],
        "changed": [
            {"key": key, "field": field, "before": old[key][field], "after": new[key][field]}
            for key in keys
            if key in old and key in new
            for field in sorted(set(old[key]) & set(new[key]))
            if None not in (old[key][field], new[key][field]) and old[key][field] != new[key][field]
        ],
    }


def _why_not(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    for document, which in ((before, "earlier"), (after, "later")):
        if name not in _sections(document):
            return "the %s document does not contain it" % which
        reason = _reason(document, name)
        if reason:
            return "it was not readable in the %s document: %s" % (which, reason)
    return ""


def _reason(document: Mapping[str, Any], name: str) -> Optional[str]:
    unreadable = document.get("unreadable")
    reason = unreadable.get(name) if isinstance(unreadable, dict) else None
    return str(reason) if reason else None


def _is_partial(document: Mapping[str, Any], name: str) -> bool:
    partial = document.get("partial")
    return isinstance(partial, list) and name in partial


def _sections(document: Mapping[str, Any]) -> Dict[str, _Items]:
    """The sections of a document from an unknown source; malformed parts are skipped."""
    sections = document.get("sections")
    if not isinstance(sections, dict):
        return {}
    return {
        str(name): {str(key): item for key, item in items.items() if isinstance(item, dict)}
        for name, items in sections.items()
        if isinstance(items, dict)
    }
