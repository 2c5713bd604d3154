# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences about a volume that two systems claim: each mark with place and size, and how to remove a stale one."""

from __future__ import annotations

import os
import shlex
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from .claims import Claim
from .marks import Mark

_MOST_COMMANDS, _MOST_SHOWN = 8, 64


class Contested(NamedTuple):
    """A volume or disk that more than one system claims. ``key`` is what ``imaging_trust`` calls it."""

    key: str
    path: str  # the volume's own device, or the disk or image file that contains it
    start_bytes: int  # where it begins there
    claims: Tuple[Claim, ...]
    size_bytes: int = 0  # of the volume

    def as_dict(self) -> Dict[str, Any]:
        return {
            "volume": self.key,
            "path": self.path,
            "claims": [
                {
                    "name": claim.name,
                    "trust": _short(claim.name),
                    "marks": [
                        {"place": self.start_bytes + mark.place, "size_bytes": mark.size}
                        for mark in claim.marks[:_MOST_SHOWN]
                    ],
                    "remove": self._commands(claim.marks),
                }
                for claim in self.claims
            ],
        }

    def advice(self) -> str:
        """Name the marks of each claim, the command that removes those of a stale one, and the setting that decides."""
        parts = [
            "%s is at %s (if it is stale, remove it with: %s)"
            % (claim.name, self._places(claim.marks), " ; ".join(self._commands(claim.marks)))
            for claim in self.claims
            if claim.marks
        ]
        parts += ["%s is the type in the partition table" % claim.name for claim in self.claims if not claim.marks]
        believed = " or ".join("{%s: %s}" % (self.key, _short(claim.name)) for claim in self.claims)
        return "On %s, %s. Set imaging_trust to %s to decide which one is valid." % (
            self.path,
            ", ".join(parts),
            believed,
        )

    def _places(self, marks: Sequence[Mark]) -> str:
        shown = ["byte %d (%#x, %d bytes)" % (*[self.start_bytes + mark.place] * 2, mark.size) for mark in marks[:3]]
        if len(marks) > len(shown):
            shown.append("%d more places" % (len(marks) - len(shown)))
        return ", ".join(shown)

    def _commands(self, marks: Sequence[Mark]) -> List[str]:
        """wipefs sees only what is on a device or file as a whole; elsewhere the bytes are cleared by their place."""
        path, types = shlex.quote(self.path), sorted({mark.blkid for mark in marks})
        is_seen = all(mark.blkid and mark.by_wipefs for mark in marks)
        if is_seen and len(marks) > _MOST_COMMANDS:
            wipe = "wipefs -a -t %s " % ",".join(types)
            attach = "L=$(losetup -f --show -o %d --sizelimit %d %s)" % (self.start_bytes, self.size_bytes, path)
            return ["%s; %s$L; losetup -d $L" % (attach, wipe) if self.start_bytes else wipe + path]
        return [
            "wipefs -o %#x -t %s %s" % (mark.place, mark.blkid, path)
            if self.start_bytes == 0 and mark.blkid and mark.by_wipefs
            else "dd if=/dev/zero of=%s bs=1 seek=%d count=%d conv=notrunc"
            % (path, self.start_bytes + mark.place, mark.size)
            for mark in marks[:_MOST_COMMANDS]
        ]


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
