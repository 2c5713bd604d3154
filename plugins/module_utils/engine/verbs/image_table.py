# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images as a table for a person: the columns that answer which image there is, how old it is and whether it can be relied on."""

from __future__ import annotations

import datetime
from typing import Any, List, Mapping, Optional, Sequence

from ..amounts import size
from ..image.newest import NAME_PATTERN
from ..tame import one_line

_HEADS = ["DEVICE", "IMAGE", "AGE", "DISKS", "SIZE", "IN USE", "KEY", "JOB", "VERIFIED", "PINNED"]
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def columns(heads: List[str], rows: List[List[str]]) -> List[str]:
    """Columns under heads, as wide as they must be; every cell tamed."""
    cells = [heads, *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def age_seconds(created: str, now: str) -> Optional[int]:
    """The age of what was made at ``created``; both are moments of the clock that names images. The
    result is None if one of them is malformed."""
    try:
        then, moment = (datetime.datetime.strptime(one, NAME_PATTERN) for one in (created, now))
    except ValueError:
        return None
    return int((moment - then).total_seconds())


def age(seconds: Optional[int]) -> str:
    """An age as a person says it."""
    if seconds is None:
        return "unknown"
    if seconds < -_HOUR:
        return "in the future"
    for unit_seconds, word in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        count = seconds // unit_seconds
        if count >= 2:
            return "%d %ss" % (count, word)
    count = max(0, seconds // _MINUTE)
    return "1 minute" if count == 1 else "%d minutes" % count


def image_table(devices: Sequence[Mapping[str, Any]]) -> List[str]:
    """One line for each image of each of ``devices``, as the verbs ``list`` and ``devices`` report them; one without any
    has a line, too."""
    has_versions = any(one.get("version") for device in devices for one in device["images"])
    rows: List[List[str]] = []
    for device in devices:
        empty = [[str(device["device"]), "none", *["-"] * (len(_HEADS) - 2 + has_versions)]]
        rows += [_row(str(device["device"]), one, has_versions) for one in device["images"]] or empty
    return columns([*_HEADS, *(["VERSION"] if has_versions else [])], rows)


def _row(device: str, one: Mapping[str, Any], has_versions: bool) -> List[str]:
    row = [
        device,
        str(one["image"]),
        age(one.get("age_seconds")),
        ", ".join(map(_disk, one["disks"])),
        size(one["size_bytes"]),
        size(one["in_use_bytes"]),
        "encrypted" if one["encrypted"] else "none",
        str(one["job"] or "-"),
        verified(one["verified"]),
        {None: "unknown", True: "yes", False: "no"}[one["pinned"]],
    ]
    return [*row, "v%d" % one["version"] if one["version"] else "-"] if has_versions else row


def _disk(disk: Mapping[str, Any]) -> str:
    """Its model and its id, mostly a serial number; the name of a disk that has neither."""
    words = dict.fromkeys(str(disk[name]) for name in ("model", "stable_id") if disk.get(name))
    return " ".join(words) or str(disk["name"])


def verified(found: Sequence[Mapping[str, Any]]) -> str:
    """The verifications of an image in one cell: the last one, and a failure before it, which a success at a lower level
    does not take back."""
    if not found:
        return "never"
    last = found[-1]
    words = _verification(last) + _since(found)
    failed = [one for one in found if one["ok"] is False]
    return words if last["ok"] is False or not failed else "%s; before: %s" % (words, _verification(failed[-1]))


def _since(found: Sequence[Mapping[str, Any]]) -> str:
    """The day since which the image is known to be intact, where that is earlier than the last verification."""
    last = found[-1]
    since, day = str(last.get("good_since") or ""), str(last.get("verified_at") or "")[:10]
    failed = max((str(one.get("verified_at") or "") for one in found if one["ok"] is False), default="")
    return ", intact since %s" % since[:10] if last["ok"] and failed < since and since[:10] < day else ""


def _verification(one: Mapping[str, Any]) -> str:
    words = "%s %s" % (one["level"] or "unknown level", "ok" if one["ok"] else "DAMAGED")
    day = str(one.get("verified_at") or "")[:10]
    return "%s %s" % (words, day) if day else words
