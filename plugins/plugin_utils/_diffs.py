# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes of the device verbs, as the two sides of Ansible's diff: the agent, the images of a device, targets of a
restore.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional

from ansible_collections.plantops.imaging.plugins.module_utils.engine.device.compare import words
from ansible_collections.plantops.imaging.plugins.module_utils.engine.tame import one_line

from ._units import size

Diff = Dict[str, str]


def diff_of(what: str, before: Iterable[str], after: Iterable[str]) -> Diff:
    """Return a diff of lines under the heading ``what``."""
    return {"before_header": what, "after_header": what, "before": _lines(before), "after": _lines(after)}


def of_agent(before: Optional[str], after: Optional[str]) -> Diff:
    """From one installation to another; ``None`` stands for no installation."""
    return diff_of("agent on the device", [before or "none"], [after or "none"])


def of_images(result: Dict[str, Any]) -> List[Diff]:
    """From the images that a device had to those that it has after a run, or would have: empty for another's result."""
    if not all(name in result for name in ("images", "device", "bytes_in_use")):
        return []
    there = list(result["images"])
    deleted = deleted_of(result)
    in_use = size(result["bytes_in_use"])
    if result.get("image"):
        before = deleted + [name for name in there if name != result["image"]]
        new = "%s: %s in use, %s uploaded" % (result["image"], in_use, size(result.get("bytes_stored") or 0))
    else:
        before = there
        new = "a new image: %s in use, about %s to upload" % (in_use, size(result.get("bytes_to_send") or 0))
    kept = [name for name in before if name not in deleted]
    return [diff_of("images of %s" % result["device"], before, [*kept, new])]


def of_comparison(comparison: Optional[Dict[str, Any]]) -> List[Diff]:
    """The differences of two device documents; empty where there are none."""
    if not comparison or not comparison["count"]:
        return []
    against = one_line(str(comparison["against"])) or "the document given"
    return [dict(words.diff(comparison), before_header="device at %s" % against, after_header="device at this image")]


def deleted_of(result: Dict[str, Any]) -> List[str]:
    """The images that the rollover deleted, or would; the device says so, so nothing but names is taken."""
    names = (result.get("rollover") or {}).get("deleted")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def of_targets(targets: List[Dict[str, Any]]) -> List[Diff]:
    """The content of each target of a restore, before and after."""
    return [diff_of(str(one.get("target")), [str(one.get("before"))], [str(one.get("after"))]) for one in targets]


def _lines(lines: Iterable[str]) -> str:
    return "".join(one_line(line) + "\n" for line in lines)
