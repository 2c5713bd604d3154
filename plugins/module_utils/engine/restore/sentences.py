# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a restore in words, for check mode, the log and a diff."""

from __future__ import annotations

from typing import Dict, List

from ..amounts import size
from ..image.reader import DiskReader
from .plan import PlannedDisk
from .resize.wishes import DISCARD


def sentences(planned: List[PlannedDisk], image: str) -> List[str]:
    """One sentence for each disk, then one for each partition that does not stay as it is."""
    return _of_disks(planned, image) + [text for disk in planned for text in _of_partitions(disk)]


def _of_partitions(disk: PlannedDisk) -> List[str]:
    found = []
    for one in disk.resizing.partitions if disk.resizing is not None else []:
        if one.action != "kept":
            old = one.volume.partition
            found.append(
                "partition %d of %s (%s) is %s: from %s at byte %d to %s at byte %d"
                % (
                    *(one.volume.number, disk.name, one.volume.kind or "unknown content", one.action),
                    *(size(old.length_bytes), old.start_bytes, size(one.length_bytes), one.start_bytes),
                )
            )
    if disk.resizing is not None and disk.resizing.tools:
        found.append("%s is resized with %s" % (disk.name, ", ".join(disk.resizing.tools)))
    if disk.resizing is not None and disk.resizing.scratch is not None:
        scratch = disk.resizing.scratch
        found.append(
            "%s is shrunk in %s, before the target is written; this needs %s there, %s are free"
            % (disk.name, scratch.directory, size(scratch.needed_bytes), size(scratch.free_bytes))
        )
    if disk.resizing is not None:
        found += [
            "%s on partition %d of %s is changed to the new ids and places" % (path, one, disk.name)
            for one, path in disk.resizing.hives
        ]
    return found + _of_identity(disk) + _of_fallback(disk) + _of_free_space(disk)


def _of_free_space(disk: PlannedDisk) -> List[str]:
    free = disk.free_space
    if free is None:
        return []
    if disk.is_done or free.is_blank:
        reason = "the restore is complete" if disk.is_done else "a new file has none to free"
        return ["the free space of %s stays as it is, because %s" % (disk.target.path, reason)]
    ranges = free.ranges(disk.reader)
    what = "discarded" if free.action == DISCARD else "overwritten with zeros"
    found = [
        "the free space of %s is %s: %s in %d ranges" % (disk.target.path, what, size(ranges.total_bytes), len(ranges))
    ]
    if free.left:
        found.append(
            "%s outside of its partitions stay as they are, because the image holds bytes between them"
            % size(free.left.total_bytes)
        )
    return found


def _of_fallback(disk: PlannedDisk) -> List[str]:
    fallback = disk.fallback
    if fallback is None:
        return []
    place = "partition %d of %s" % (fallback.partition, disk.name)
    if fallback.exists:
        return ["%s has %s already, which stays as it is" % (place, fallback.exists)]
    return [
        "%s gets the file %s, a copy of %s (%s)" % (place, one.path, one.source, size(one.size_bytes))
        for one in fallback.files
    ]


def _of_identity(disk: PlannedDisk) -> List[str]:
    renewal = disk.resizing.renewal if disk.resizing is not None else None
    if renewal is None:
        return []
    what = "a new disk GUID and new partition GUIDs" if renewal.drawn.scheme == "gpt" else "a new disk signature"
    found = ["%s gets %s: its id %s becomes %s" % (disk.name, what, *renewal.drawn.disk)]
    for volume in renewal.renewed:
        found.append(
            "the file system of partition %d of %s (%s) gets a new UUID" % (volume.number, disk.name, volume.kind)
        )
    return found


def _of_disks(planned: List[PlannedDisk], image: str) -> List[str]:
    return [
        "disk%d of %s (%s) goes to %s%s%s%s%s"
        % (
            disk.number,
            image,
            size(_imaged(disk).size_bytes),
            disk.target.path,
            _state(disk),
            _alone(disk),
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
            "after": "disk%d of %s, %s" % (disk.number, image, size(disk.reader.size_bytes)),
        }
        for disk in planned
    ]


def _present(disk: PlannedDisk) -> str:
    if not disk.target.exists:
        return "no file"
    what = "an interrupted restore of the same image" if disk.resumes else disk.data or "it is blank"
    if disk.is_done:
        what = "it already contains all of this image"
    return "%s, %s" % (size(disk.target.size_bytes), what)


def _state(disk: PlannedDisk) -> str:
    if disk.is_done:
        return ", which already contains all of it: the restore is complete and writes no data"
    return ", continuing an interrupted restore" if disk.resumes else ""


def _alone(disk: PlannedDisk) -> str:
    """A disk image always has the whole partition table, but not always what is in every partition."""
    deselected = disk.scope.deselected
    absent = [one for one in disk.left_alone if one not in deselected]
    said = ""
    for partitions, reason in ((absent, "not part of the image"), (deselected, "not selected")):
        if partitions:
            said += "; partition %s is left unchanged: it is %s" % (", ".join(map(str, partitions)), reason)
    return said


def _table(disk: PlannedDisk) -> str:
    """The fate of a target's table if only some volumes are restored."""
    if not disk.scope.is_partial or disk.is_done:
        return ""
    if disk.found.table_stays:
        numbers = ", ".join(str(one.number) for one in disk.scope.volumes)
        return "; only partition %s is written, the partition table and the rest of the disk stay unchanged" % numbers
    going = "; ".join(one.words for one in disk.found.going)
    return "; its partition table is replaced, which deletes these partitions: %s" % going if going else ""


def _imaged(disk: PlannedDisk) -> DiskReader:
    return disk.image or disk.reader


def _larger(disk: PlannedDisk) -> str:
    """The end of a larger disk."""
    if disk.found.table_stays:
        return ""
    said = ""
    if disk.resizing is not None and disk.resizing.backup_lba is not None:
        said = (
            "; the backup of its partition table is at the end of the target, in sector %d"
            % (disk.resizing.backup_lba[1])
        )
    unused = unused_bytes(disk)
    if unused:
        said += "; its last %d bytes are not used" % unused
    return said


def unused_bytes(disk: PlannedDisk) -> int:
    """The bytes that a larger target has behind the imaged disk, or behind its last partition where nothing grows into them."""
    if disk.resizing is None:
        return disk.end.unused_bytes
    if disk.resizing.grown or disk.resizing.target.size_bytes <= _imaged(disk).size_bytes:
        return 0
    return disk.resizing.target.size_bytes - _imaged(disk).size_bytes
