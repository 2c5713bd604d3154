# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a part of a disk is in use on this machine: mounts, swap, loop devices over image files (Linux).

The lists of the system are not all: a mount in another namespace, a member of a btrfs over several disks or of a ZFS pool is on
none. A user of a block device like that has claimed it, so that no other process can open it with O_EXCL [open(2), Linux
block/bdev.c bd_prepare_to_claim].
"""

from __future__ import annotations

import errno
import os
from typing import List, NamedTuple, Tuple

from .linux_mountinfo import read_mounts, unescape

HELD = "a place that the system does not list (another mount namespace, btrfs over several disks, ZFS)"
_SECTOR_BYTES = 512  # /sys/class/block counts in 512 bytes for any size of sectors


class Use(NamedTuple):
    """A use of a range of a disk. Two ranges that overlap are one use."""

    start_bytes: int
    end_bytes: int
    mount_point: str
    read_only: bool


def uses_of(path: str) -> List[Use]:
    """Return every mount, swap space and mapping on the disk or image file ``path``, and its other holders."""
    real = os.path.realpath(path)
    found = []
    ranges = _ranges_on(real)
    for name, start, end in ranges:
        found += _direct_uses("/dev/" + name, start, end)
        holders = "/sys/class/block/%s/holders" % name
        if os.path.isdir(holders):
            found += [Use(start, end, "the mapped device %s" % holder, False) for holder in os.listdir(holders)]
    return found + _held_by_others(ranges, found)


def _held_by_others(ranges: List[Tuple[str, int, int]], known: List[Use]) -> List[Use]:
    """Uses of a device that is claimed by an unknown user; of a disk with partitions, those of its claimed partitions."""
    found: List[Use] = []
    for name, start, end in sorted(ranges, key=lambda one: one[2] - one[1]):  # partitions before their disk
        is_known = any(start < use.end_bytes and use.start_bytes < end for use in [*known, *found])
        if not is_known and is_held("/dev/" + name):
            found.append(Use(start, end, HELD, False))
    return found


def is_held(device: str) -> bool:
    """Whether a file system, a mapping or another program has claimed the block device for itself."""
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return error.errno == errno.EBUSY
    os.close(descriptor)
    return False


def swap_files() -> List[str]:
    """The files that the system swaps to, as paths from its root [proc(5), /proc/swaps]."""
    found = []
    for line in _text("/proc/swaps").splitlines()[1:]:
        words = line.split()
        if len(words) > 1 and words[1] == "file":
            found.append(unescape(words[0]))
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
