# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a restore in words, for check mode, the log and a diff."""

from __future__ import annotations

from typing import Dict, List

from .plan import PlannedDisk


def sentences(planned: List[PlannedDisk], image: str) -> List[str]:
    """One sentence for each disk."""
    return [
        "disk%d of %s (%d bytes) goes to %s%s%s%s%s"
        % (
            disk.number,
            image,
            disk.reader.size_bytes,
            disk.target.path,
            _state(disk),
            _alone(disk.left_alone),
            _table(disk),
            _larger(disk),
        )
        for disk in planned
    ]


def transitions(planned: List[PlannedDisk], image: str) -> List[Dict[str, str]]:
    """Each target before and after: the two sides of a diff."""
    return [
        {
            "target": disk.target.path,
            "before": _present(disk),
            "after": "disk%d of %s, %d bytes" % (disk.number, image, disk.reader.size_bytes),
        }
        for disk in planned
    ]


def _present(disk: PlannedDisk) -> str:
    if not disk.target.exists:
        return "no file"
    what = "an interrupted restore of the same image" if disk.resumes else disk.data or "it is blank"
    if disk.is_done:
        what = "it already contains all of this image"
    return "%d bytes, %s" % (disk.target.size_bytes, what)


def _state(disk: PlannedDisk) -> str:
    if disk.is_done:
        return ", which already contains all of it: the restore is complete and writes no data"
    return ", continuing an interrupted restore" if disk.resumes else ""


def _alone(partitions: List[int]) -> str:
    """A disk image always has the whole partition table, but not always what is in every partition."""
    if not partitions:
        return ""
    return "; partition %s is left unchanged: it is not part of the image" % ", ".join(map(str, partitions))


def _table(disk: PlannedDisk) -> str:
    """The fate of a target's table if only some volumes are restored."""
    if not disk.scope.is_partial or disk.is_done:
        return ""
    if disk.found.table_stays:
        numbers = ", ".join(str(one.number) for one in disk.scope.volumes)
        return "; only partition %s is written, the partition table and the rest of the disk stay unchanged" % numbers
    going = "; ".join(one.words for one in disk.found.going)
    return "; its partition table is replaced, which deletes these partitions: %s" % going if going else ""


def _larger(disk: PlannedDisk) -> str:
    """A larger disk works as it is; that the backup table lies elsewhere than tools expect, they will say."""
    if not disk.end.unused_bytes or disk.found.table_stays:
        return ""
    said = "; its last %d bytes are not used" % disk.end.unused_bytes
    if disk.end.has_gpt and disk.target.is_device:
        said += "; move the backup of its partition table to its end with sgdisk -e %s" % disk.target.path
    return said
