# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings on their way to Ansible, which drops one whose text it has shown before: the same of another device, for one.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from typing import Any, Dict, List

_WARNINGS = "warnings"


def named(device: str, result: Dict[str, Any]) -> Dict[str, Any]:
    """Return the result of a task with the device's name in front of each of its warnings."""
    given = result.get(_WARNINGS)
    if not isinstance(given, list) or not given:
        return result
    prefix = _prefix(device)
    return dict(result, warnings=[one if str(one).startswith(prefix) else "%s%s" % (prefix, one) for one in given])


def unnamed(device: str, result: Dict[str, Any]) -> Dict[str, Any]:
    """Return a result without those names, for a document that is the device's own."""
    given = result.get(_WARNINGS)
    if not isinstance(given, list):
        return result
    prefix = _prefix(device)
    words: List[Any] = [one[len(prefix) :] if str(one).startswith(prefix) else one for one in given]
    return dict(result, warnings=words)


def _prefix(device: str) -> str:
    return "%s: " % device
