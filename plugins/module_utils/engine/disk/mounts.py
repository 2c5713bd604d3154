# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a part of a disk is in use on this machine: mounts, swap, loop devices over image files (Linux)."""

from __future__ import annotations

import os
from typing import List, NamedTuple, Tuple

from .mountinfo import read_mounts

_SECTOR_BYTES = 512  # /sys/class/block counts in 512 bytes whatever the disk's sectors are


class Use(NamedTuple):
    """A use of a range of a disk. Two ranges that overlap are one use."""

    start_bytes: int
    end_bytes: int
    mount_point: str
    read_only: bool


def uses_of(path: str) -> List[Use]:
    """Return every mount, swap space and mapping that lies on the disk or image file ``path``."""
    real = os.path.realpath(path)
    found = []
    for name, start, end in _ranges_on(real):
        found += _direct_uses("/dev/" + name, start, end)
        holders = "/sys/class/block/%s/holders" % name
        if os.path.isdir(holders):
            found += [Use(start, end, "the mapped device %s" % holder, False) for holder in os.listdir(holders)]
    return found


def _ranges_on(real: str) -> List[Tuple[str, int, int]]:
    """Block devices that show a range of ``real``: itself, its partitions, loop devices on it and their partitions."""
    base = "/sys/class/block"
    found: List[Tuple[str, int, int]] = []
    names = sorted(os.listdir(base)) if os.path.isdir(base) else []
    if real.startswith("/dev/") and os.path.basename(real) in names:
        found += _with_partitions(base, os.path.basename(real), 0, names)
    for name in names:
        backing = _text("%s/%s/loop/backing_file" % (base, name))
        if backing and os.path.realpath(backing) == real:
            found += _with_partitions(base, name, int(_text("%s/%s/loop/offset" % (base, name)) or 0), names)
    return found


def _with_partitions(base: str, name: str, offset: int, names: List[str]) -> List[Tuple[str, int, int]]:
    size = int(_text("%s/%s/size" % (base, name)) or 0) * _SECTOR_BYTES
    found = [(name, offset, offset + size)]
    for other in names:
        if os.path.exists("%s/%s/%s/partition" % (base, name, other)):
            start = int(_text("%s/%s/start" % (base, other)) or 0) * _SECTOR_BYTES
            length = int(_text("%s/%s/size" % (base, other)) or 0) * _SECTOR_BYTES
            found.append((other, offset + start, offset + start + length))
    return found


def _direct_uses(device: str, start: int, end: int) -> List[Use]:
    found = []
    try:
        number = os.stat(device).st_rdev
    except OSError:
        return []
    wanted = "%d:%d" % (os.major(number), os.minor(number))
    for mount in read_mounts():
        if mount.number == wanted or (mount.source.startswith("/dev/") and os.path.realpath(mount.source) == device):
            found.append(Use(start, end, mount.point, mount.read_only))
    for line in _text("/proc/swaps").splitlines()[1:]:
        if line.split() and os.path.realpath(line.split()[0]) == device:
            found.append(Use(start, end, "swap", False))
    return found


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""
