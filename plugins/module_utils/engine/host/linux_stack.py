# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Block devices as the Linux kernel shows them in /sys: partitions of disks, and devices on devices.

Source of the format: Documentation/ABI/stable/sysfs-block of the Linux kernel. Everything is read with bounds, since the
names and numbers in it come from devices that may lie.
"""

from __future__ import annotations

import os
from typing import Iterator, List, NamedTuple, Set

SYSFS_SECTOR_BYTES = 512  # /sys counts in 512 bytes for any size of sectors
_MAX_TEXT_BYTES = 4096
_MAX_NAMES = 10_000
_MAX_DEPTH = 16


class Range(NamedTuple):
    """A part of the device ``name``; ``end_bytes`` 0 stands for its end."""

    name: str
    start_bytes: int
    end_bytes: int


class BlockTree:
    """Block devices below ``root`` ("/" but in tests), by the kernel's names: "sda", "sda1", "dm-0"."""

    def __init__(self, root: str = "/") -> None:
        self.root = root
        self.base = os.path.join(root, "sys/class/block")

    def names(self) -> List[str]:
        """Every device, sorted; empty where there is no /sys."""
        return listing(self.base)

    def folder(self, name: str) -> str:
        return os.path.join(self.base, name)

    def text(self, name: str, place: str) -> str:
        """The first line of a file of the device, "" where it can't be read."""
        return first_line(os.path.join(self.base, name, place))

    def number(self, name: str, place: str) -> int:
        return to_number(self.text(name, place))

    def size_bytes(self, name: str) -> int:
        return self.number(name, "size") * SYSFS_SECTOR_BYTES

    def real_folder(self, name: str) -> str:
        """Where the device hangs on the machine: its path in /sys/devices."""
        return os.path.realpath(self.folder(name))

    def is_partition(self, name: str) -> bool:
        return os.path.exists(os.path.join(self.base, name, "partition"))

    def parent(self, name: str) -> str:
        """The disk of a partition, any other device itself."""
        return os.path.basename(os.path.dirname(self.real_folder(name))) if self.is_partition(name) else name

    def partitions(self, name: str) -> List[str]:
        """The partitions of a disk, by their number."""
        inside = [other for other in listing(self.folder(name)) if self.is_partition_of(other, name)]
        return sorted(inside, key=lambda other: self.number(other, "partition"))

    def is_partition_of(self, name: str, disk: str) -> bool:
        return os.path.exists(os.path.join(self.base, disk, name, "partition"))

    def slaves(self, name: str) -> List[str]:
        """The devices under a mapped device (LVM, dm-crypt, md, multipath)."""
        return [other for other in listing(os.path.join(self.folder(name), "slaves")) if self.exists(other)]

    def holders(self, name: str) -> List[str]:
        """The mapped devices on this one."""
        return [other for other in listing(os.path.join(self.folder(name), "holders")) if self.exists(other)]

    def exists(self, name: str) -> bool:
        return os.path.isdir(self.folder(name))

    def path(self, name: str) -> str:
        """The device's file; that of a mapped device has the name that people know."""
        mapped = self.text(name, "dm/name")
        return "/dev/mapper/" + mapped if mapped and "/" not in mapped else "/dev/" + name.replace("!", "/")

    def by_number(self, number: str) -> str:
        """The device with the number "8:1", "" where there is none."""
        return next((name for name in self.names() if self.text(name, "dev") == number), "")

    def by_path(self, path: str) -> str:
        """The device that a path of /dev stands for, "" where it is none."""
        names = self.names() if "\0" not in path else []
        if not names:
            return ""
        real = os.path.realpath(os.path.join(self.root, path.lstrip("/")))
        plain = os.path.relpath(real, os.path.join(os.path.realpath(self.root), "dev")).replace("/", "!")
        if plain in names:
            return plain
        return next((name for name in names if self.path(name) == path), "")

    def beneath(self, name: str) -> List[Range]:
        """The parts of whole disks under the device ``name``: itself, or the devices under LVM, md, dm-crypt.

        A loop device is on a file, not on a disk, and is not followed here. A multipath device counts as a disk.
        """
        return list(self._beneath(name, _MAX_DEPTH, set()))

    def _beneath(self, name: str, depth: int, seen: Set[str]) -> Iterator[Range]:
        if name in seen or depth == 0:
            return
        seen.add(name)
        slaves = [] if self.is_multipath(name) else self.slaves(name)
        if slaves:
            for slave in slaves:
                yield from self._beneath(slave, depth - 1, seen)
            return
        parent = self.parent(name)
        if parent == name:
            yield Range(name, 0, 0)
            return
        start = self.number(name, "start") * SYSFS_SECTOR_BYTES
        if self.slaves(parent) and not self.is_multipath(parent):  # partitions of an md device
            yield from self._beneath(parent, depth - 1, seen)
        else:
            yield Range(parent, start, start + self.size_bytes(name))

    def is_multipath(self, name: str) -> bool:
        return self.text(name, "dm/uuid").startswith("mpath-")

    def under_file(self, path: str) -> List[Range]:
        """The parts of disks that hold the file system of ``path``; empty for one in memory or on the network."""
        try:
            number = os.stat(path).st_dev
        except OSError:
            return []
        name = self.by_number("%d:%d" % (os.major(number), os.minor(number)))
        return self.beneath(name) if name else []


def first_line(path: str) -> str:
    """The first line of a small file without its control characters, "" where it can't be read."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_TEXT_BYTES)
    except OSError:
        return ""
    line = data.split(b"\n", 1)[0].decode("utf-8", "replace")
    return "".join(character for character in line if character.isprintable()).strip()


def file_text(path: str, most_bytes: int) -> str:
    """How a file begins, up to ``most_bytes``, "" where it can't be read."""
    try:
        with open(path, "rb") as file:
            return file.read(most_bytes).decode("utf-8", "replace")
    except OSError:
        return ""


def listing(folder: str) -> List[str]:
    """The names in a folder, sorted, not more than some thousand; empty where there is none."""
    found: List[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found.append(entry.name)
                if len(found) >= _MAX_NAMES:
                    break
    except OSError:
        return []
    return sorted(found)


def to_number(text: str) -> int:
    """A decimal number of at most 20 digits, 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0
