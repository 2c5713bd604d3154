# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a restore as a document: plain values for programs, with a schema version (docs/recovery.md describes each key)."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from .plan import PlannedDisk
from .sentences import unused_bytes

SCHEMA = 1


def plan_document(planned: List[PlannedDisk], image: str) -> Dict[str, Any]:
    """Each disk, its target, its partitions before and after, and what will be used to resize them."""
    return {"schema": SCHEMA, "image": image, "disks": [_disk(one) for one in planned]}


def _disk(disk: PlannedDisk) -> Dict[str, Any]:
    imaged = disk.image or disk.reader
    sector = disk.reader.sector_bytes
    resizing = disk.resizing
    backup = resizing.backup_lba if resizing is not None else None
    return {
        "disk": disk.name,
        "target": disk.target.path,
        "image_bytes": imaged.size_bytes,
        "image_sector_bytes": imaged.sector_bytes,
        "target_bytes": max(disk.target.size_bytes, disk.reader.size_bytes),
        "sector_bytes": sector,
        "table": disk.scope.layout.scheme,
        "state": _state(disk),
        "target_holds": disk.data,
        "table_stays": disk.found.table_stays,
        "partitions_deleted": [one.words for one in disk.found.going],
        "backup_table": {"before_lba": backup[0], "after_lba": backup[1]} if backup is not None else None,
        "partitions": _partitions(disk),
        "tools": list(resizing.tools) if resizing is not None else [],
        "scratch": dict(resizing.scratch._asdict()) if resizing is not None and resizing.scratch is not None else None,
        "identity": _identity(disk),
        "files_changed": [
            {"partition": number, "path": path} for number, path in (resizing.hives if resizing is not None else [])
        ],
        "files_added": _files_added(disk),
        "free_space": _free_space(disk),
        "unused_bytes": unused_bytes(disk),
        "warnings": disk.warnings,
    }


def _files_added(disk: PlannedDisk) -> List[Dict[str, Any]]:
    fallback = disk.fallback
    return [] if fallback is None else [dict(one._asdict(), partition=fallback.partition) for one in fallback.files]


def _free_space(disk: PlannedDisk) -> Optional[Dict[str, Any]]:
    free = disk.free_space
    if free is None:
        return None
    ranges = free.ranges(disk.reader)
    return {
        "action": free.action,
        "bytes": ranges.total_bytes,
        "ranges": len(ranges),
        "left_bytes": free.left.total_bytes,
    }


def with_identities(document: Dict[str, Any], planned: List[PlannedDisk]) -> Dict[str, Any]:
    """The plan with what became of the ids: a tool may have refused to change one."""
    names = {one.name: one for one in planned}
    return dict(document, disks=[dict(one, identity=_identity(names[one["disk"]])) for one in document["disks"]])


def _identity(disk: PlannedDisk) -> Optional[Dict[str, Any]]:
    """The new ids of a clone, null where the disk keeps its own. Each run draws its own new ids."""
    renewal = disk.resizing.renewal if disk.resizing is not None else None
    if renewal is None:
        return None
    drawn = renewal.drawn
    return {
        "disk_id": {"before": drawn.disk[0], "after": drawn.disk[1]},
        "partitions": [
            {"number": number, "before": before, "after": after} for number, (before, after) in drawn.partitions.items()
        ],
        "file_systems": [
            {"number": one.volume.number, "content": one.volume.kind, "is_new": one.is_new, "reason": one.reason}
            for one in renewal.file_systems
        ],
    }


def _state(disk: PlannedDisk) -> str:
    if disk.is_done:
        return "done"
    if disk.resumes:
        return "interrupted"
    if not disk.target.exists:
        return "absent"
    return "holds data" if disk.data else "blank"


def _partitions(disk: PlannedDisk) -> List[Dict[str, Any]]:
    imaged = disk.image or disk.reader
    if disk.resizing is not None:
        return [
            {
                "number": one.volume.number,
                "name": one.volume.partition.name,
                "role": one.volume.partition.role,
                "content": one.volume.kind,
                "action": one.action,
                "before": _place(
                    one.volume.partition.start_bytes, one.volume.partition.length_bytes, imaged.sector_bytes
                ),
                "after": _place(one.start_bytes, one.length_bytes, disk.reader.sector_bytes),
            }
            for one in disk.resizing.partitions
        ]
    found = []
    for one in sorted(disk.scope.layout.partitions, key=lambda partition: partition.start_bytes):
        if one.role == "extended":
            continue
        place = _place(one.start_bytes, one.length_bytes, imaged.sector_bytes)
        action = "left unchanged" if one.number in disk.scope.left_alone else "kept"
        found.append(
            {
                "number": one.number,
                "name": one.name,
                "role": one.role,
                "content": "",
                "action": action,
                "before": place,
                "after": place,
            }
        )
    return found


def _place(start: int, length: int, sector: int) -> Dict[str, int]:
    return {"start_lba": start // sector, "start_bytes": start, "length_bytes": length}
