# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mounts of the system (Linux). Source of the format: proc_pid_mountinfo(5)."""

from __future__ import annotations

import os
import re
from typing import List, NamedTuple

_MAX_BYTES = 4 << 20
_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """``number`` is the device as the kernel counts ("8:1"); btrfs and the like have a separate one."""

    number: str
    folder: str  # what of the file system is mounted, "/" for all
    point: str
    kind: str
    source: str
    read_only: bool


def read_mounts(root: str = "/", process: str = "self") -> List[Mount]:
    """Every mount in order: a later one at the same point covers the earlier one. Invalid lines are skipped.

    :param process: whose mounts; those of process 1 are the system's own, also for a program in another root directory.
    """
    try:
        with open(os.path.join(root, "proc", process, "mountinfo"), "rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "surrogateescape")
    except OSError:
        return []
    found = []
    for line in text.split("\n"):
        before, separator, after = line.partition(" - ")
        fields, more = before.split(" "), after.split(" ")
        if separator and len(fields) >= 6 and len(more) >= 3:
            # Of the file system, not of this mount of it: it may be mounted for writing elsewhere.
            read_only = "ro" in more[2].split(",")
            folder, point, source = unescape(fields[3]), unescape(fields[4]), unescape(more[1])
            found.append(Mount(fields[2], folder, point, more[0], source, read_only))
    return found


def unescape(text: str) -> str:
    """A path of one of the kernel's lists, where spaces and the like are octal."""
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), text)
