# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user is told of a volume that two systems claim: each mark with place and size, and how to remove a stale one."""

from __future__ import annotations

import os
from typing import List, Sequence

from .claims import Claim
from .marks import Mark

_MOST_COMMANDS = 8


def advice(claims: Sequence[Claim], disk: str, start_bytes: int, volume: str, key: str) -> str:
    """Name the marks of each claim, the command that removes those of a stale one, and the setting that decides.

    :param disk: the path of the disk or image file.
    :param start_bytes: where the volume begins on it.
    :param volume: the path of the volume's own device, "" where it has none.
    :param key: what ``imaging_trust`` calls it.
    """
    parts = []
    for claim in claims:
        if not claim.marks:
            continue
        commands = _commands(claim.marks, disk, start_bytes, volume)
        parts.append("%s has %s (to remove it if it is stale: %s)" % (claim.name, _places(claim.marks), commands))
    believed = " or ".join("{%s: %s}" % (key, _short(claim.name)) for claim in claims)
    where = "at bytes of %s" % (volume or disk)
    return "Marks %s: %s. Set imaging_trust to %s to decide it for good." % (where, "; ".join(parts), believed)


def _places(marks: Sequence[Mark]) -> str:
    shown = ["%d bytes at %d (%#x)" % (mark.size, mark.place, mark.place) for mark in marks[:3]]
    if len(marks) > len(shown):
        shown.append("%d more up to %d" % (len(marks) - len(shown), max(mark.place for mark in marks)))
    return ", ".join(shown)


def _commands(marks: Sequence[Mark], disk: str, start_bytes: int, volume: str) -> str:
    blkid = marks[0].blkid
    path = volume or (disk if start_bytes == 0 else "")
    if blkid and path and len(marks) > _MOST_COMMANDS:
        return "wipefs -a -t %s %s" % (blkid, path)
    lines: List[str] = []
    for mark in marks[:_MOST_COMMANDS]:
        if mark.blkid and path:
            lines.append("wipefs -o %#x -t %s %s" % (mark.place, mark.blkid, path))
        else:
            place = start_bytes + mark.place
            lines.append("dd if=/dev/zero of=%s bs=1 seek=%d count=%d conv=notrunc" % (disk, place, mark.size))
    return " ; ".join(lines)


def _short(name: str) -> str:
    """The word for ``imaging_trust``."""
    words = {
        "a partition table": "table",
        "an LVM physical volume": "lvm",
        "a Linux software RAID member": "raid",
        "a member of a RAID of the firmware": "firmware_raid",
    }
    return words.get(name, name if " " not in name else '"%s"' % name)


def partition_device(disk: str, number: int) -> str:
    """The device of a partition of a disk that is a device, "" where there is none."""
    if not number:
        return disk
    for name in (("%sp%d" if disk[-1:].isdigit() else "%s%d") % (disk, number), "%s-part%d" % (disk, number)):
        if disk.startswith("/dev/") and os.path.exists(name):
            return name
    return ""
