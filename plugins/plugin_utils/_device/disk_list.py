# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a device as a list to choose from: a line for each disk, and below it its partitions and logical volumes.

The description comes from the device and may hold anything. This file is PRIVATE to the collection.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ansible_collections.plantops.imaging.plugins.module_utils.engine.tame import one_line

from .._units import size

MOST_DISKS = 64
MOST_VOLUMES = 200
MOST_WARNINGS = 50
_MOST_CHARACTERS = 120
_MOST_WARNING = 1000
_HIDDEN = ("multipath", "loop")
_SHADOWED = ("ntfs", "ReFS", "BitLocker")  # what Windows makes shadow copies of
_Entry = Dict[str, Any]


def disk_list(information: Mapping[str, Any]) -> List[_Entry]:
    """Return the disks, each with ``volumes``: what it is, how large, where it is mounted, what could freeze it."""
    volumes = _dicts(information.get("volumes"))
    layers = [one for one in _dicts(information.get("layers")) if one.get("kind") not in _HIDDEN]
    by_windows = _is_of_windows(information.get("operating_system"))
    by_path = {_text(one.get("path")): one for one in volumes if one.get("path")}
    found = []
    for disk in _dicts(information.get("disks"))[:MOST_DISKS]:
        entries = [_volume(one, "", by_windows) for one in volumes if one.get("disk") == disk.get("name")]
        for layer in layers:
            if _text(disk.get("path")) in _texts(layer.get("disks")):
                size_bytes = _number(layer.get("size_bytes"))
                volume = by_path.get(_text(layer.get("path"))) or {"path": layer.get("path"), "size_bytes": size_bytes}
                entries.append(_volume(volume, _text(layer.get("kind")), by_windows))
        found.append(_disk(disk, entries[:MOST_VOLUMES]))
    return found


def lines_of(disks: List[_Entry]) -> List[str]:
    """Return the lines that a person chooses by."""
    lines = []
    for disk in disks:
        points = ", ".join(disk["mount_points"])
        use = "system (%s)" % points if disk["is_system"] else points or "not mounted"
        in_all = "no (%s)" % disk["why_not_in_all"] if disk["why_not_in_all"] else "yes"
        parts = [disk["path"], disk["size"], disk["model"] or "no model", disk["id"] or "no serial number", use]
        lines.append("  ".join([*parts, "in all: %s" % in_all, "frozen by: %s" % disk["frozen_by"]]))
        lines += ["  %s" % _volume_line(one) for one in disk["volumes"]]
    return [one_line(line) for line in lines]


def warnings_of(information: Mapping[str, Any]) -> List[str]:
    """Return the warnings of a description, such as those about write filters."""
    found = information.get("warnings")
    told = [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
    return [one_line(one[:_MOST_WARNING]) for one in told[:MOST_WARNINGS]]


def _volume_line(volume: _Entry) -> str:
    label = " '%s'" % volume["label"] if volume["label"] else ""
    parts = [volume["path"], volume["size"], (volume["kind"] or "not recognised") + label]
    if volume["layer"]:
        parts.insert(0, {"lvm": "logical volume"}.get(volume["layer"], volume["layer"]))
    parts += [", ".join(volume["mount_points"])] if volume["mount_points"] else []
    parts += ["%s used" % volume["used"]] if volume["used"] else []
    if volume["mount_points"]:
        parts.append("frozen by: %s" % volume["frozen_by"])
    return "  ".join(parts)


def _disk(disk: Mapping[str, Any], volumes: List[_Entry]) -> _Entry:
    points = [point for one in volumes for point in one["mount_points"]]
    freezers = list(dict.fromkeys(one["frozen_by"] for one in volumes if one["frozen_by"]))
    size_bytes = _number(disk.get("size_bytes"))
    model = " ".join(" ".join((_text(disk.get("vendor")), _text(disk.get("model")))).split())
    return {
        "path": _text(disk.get("path")),
        "size": size(size_bytes),
        "size_bytes": size_bytes,
        "model": model,
        "id": _text(disk.get("stable_id")),
        "is_system": "/" in points or "C:\\" in points,
        "mount_points": points,
        "why_not_in_all": _text(disk.get("why_not_in_all")),
        "frozen_by": ", ".join(freezers) or "nothing to freeze",
        "volumes": volumes,
    }


def _is_of_windows(system: Any) -> bool:
    return isinstance(system, dict) and system.get("family") == "windows"


def _volume(volume: Mapping[str, Any], layer: str, by_windows: bool) -> _Entry:
    points = _texts(volume.get("mount_points"))
    size_bytes, used_bytes = _number(volume.get("size_bytes")), _number(volume.get("used_bytes"))
    frozen_by = ""
    if points and volume.get("mounted_read_only") is not True:
        is_shadowed = by_windows and not layer and volume.get("kind") in _SHADOWED
        frozen_by = "VSS" if is_shadowed else "LVM" if layer == "lvm" else "nothing"
    return {
        "path": _text(volume.get("path")),
        "layer": layer,
        "kind": _text(volume.get("kind")),
        "label": _text(volume.get("label")),
        "size": size(size_bytes),
        "size_bytes": size_bytes,
        "used": size(used_bytes) if used_bytes else "",
        "used_bytes": used_bytes or None,
        "mount_points": points,
        "frozen_by": frozen_by,
    }


def _dicts(value: Any) -> List[_Entry]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> List[str]:
    return [_text(one) for one in value[:MOST_VOLUMES]] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value[:_MOST_CHARACTERS] if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else 0
