# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of a device and its disks, from /proc, /sys, /dev and our own parsers."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Dict, List, Optional

from ..disk.gpt import detect_sector_bytes
from ..disk.layout import DiskLayout, Partition, read_layout
from ..disk.source import BlockSource, FileSource, WindowSource
from ..errors import DiskError
from ..host.mountinfo import read_mounts
from ..host.stack import SYSFS_SECTOR_BYTES, BlockTree
from . import machine
from .disks import Disk, find_disks, kind_of
from .volumes import Volumes

VERSION = 1
_LAYERS = frozenset(["lvm", "crypt", "md", "mapped", "multipath", "loop"])
_MAX_SWAPS_BYTES = 64 << 10


def discover(root: str = "/") -> Dict[str, Any]:
    """Return the description of this machine; no part of it ever makes it fail.

    Keys: ``version``, ``hardware``, ``firmware``, ``operating_system``, ``processors``, ``memory_bytes``,
    ``interfaces``, ``disks`` (each with ``partitions``), ``volumes``, ``layers`` (what LVM, md, dm-crypt, multipath and
    loop devices use), ``unreadable`` (``[{"what", "reason"}]``: what this user may not see); on Windows ``write_filters`` and
    ``warnings`` about them. Sizes in bytes; what
    is not known is "" or None.

    :param root: where /sys, /proc, /dev and /etc are; another one than "/" in tests.
    """
    if sys.platform == "win32":
        from . import windows_discovery, windows_filters

        return windows_filters.with_filters(windows_discovery.discover())
    return _Discovery(root).run()


class _Discovery:
    def __init__(self, root: str) -> None:
        self._root = root
        self._tree = BlockTree(root)
        self._unreadable: Dict[str, str] = {}
        self._volumes = Volumes(self._tree, read_mounts(root), self._swaps())

    def run(self) -> Dict[str, Any]:
        found: Dict[str, Any] = {
            "version": VERSION,
            "hardware": machine.hardware(self._root, self._note),
            "firmware": machine.firmware(self._root),
            "operating_system": machine.operating_system(self._root, self._note),
            "processors": machine.processors(self._root),
            "memory_bytes": machine.memory_bytes(self._root),
            "interfaces": machine.interfaces(self._root),
            "disks": [],
            "volumes": [],
            "layers": [],
        }
        if not self._tree.names():
            self._note("disks", "/sys/class/block is missing")
        for disk in find_disks(self._tree):
            self._disk(disk, found)
        for name in self._tree.names():
            kind = kind_of(self._tree, name)
            if kind in _LAYERS:
                self._layer(name, kind, found)
        found["unreadable"] = [{"what": what, "reason": reason} for what, reason in sorted(self._unreadable.items())]
        return found

    def _note(self, what: str, reason: str) -> None:
        self._unreadable[what] = reason

    # -- disks ----------------------------------------------------------------------------------------------------

    def _disk(self, disk: Disk, found: Dict[str, Any]) -> None:
        described: Dict[str, Any] = dict(
            disk._asdict(),
            is_network=disk.is_network,
            why_not_in_all=disk.why_not,
            stable_id=disk.stable_id,
            scheme="",
            disk_id="",
            partitions=[],
            warnings=[],
        )
        found["disks"].append(described)
        shown = self._tree.partitions(disk.name)
        with contextlib.ExitStack() as opened:
            source = self._open(disk.name, opened) if disk.size_bytes and not disk.path_of else None
            layout = self._layout(disk, source)
            if source is not None and layout is not None:
                because = layout.whole_because
                warnings = layout.warnings + (["%s is imaged whole: %s." % (disk.path, because)] if because else [])
                described.update(scheme=layout.scheme, disk_id=layout.disk_id, warnings=warnings)
                described["stable_id"] = disk.stable_id or layout.table_id
                described["partitions"] = [self._partition(one, shown) for one in layout.partitions if one.number]
                self._volumes_of(disk, source, layout, shown, found)
            else:
                described["partitions"] = [self._partition_as_shown(name) for name in shown]
                for name in shown or [disk.name]:
                    self._volume(name, disk.name, self._tree.number(name, "partition"), None, found)

    def _layout(self, disk: Disk, source: Optional[BlockSource]) -> Optional[DiskLayout]:
        if source is None:
            return None
        try:
            source.sector_bytes = detect_sector_bytes(source) or disk.sector_bytes
            return read_layout(source)
        except DiskError as error:
            self._note(disk.path, str(error))
            return None

    def _partition(self, partition: Partition, shown: List[str]) -> Dict[str, Any]:
        name = self._shown_as(partition, shown)
        return dict(partition._asdict(), path=self._tree.path(name) if name else "")

    def _partition_as_shown(self, name: str) -> Dict[str, Any]:
        start = self._tree.number(name, "start") * SYSFS_SECTOR_BYTES
        number = self._tree.number(name, "partition")
        known = Partition(number, start, self._tree.size_bytes(name), "", "", "", "", False)
        return dict(known._asdict(), path=self._tree.path(name))

    def _shown_as(self, partition: Partition, shown: List[str]) -> str:
        """The kernel's name of a partition: that with its number and its start, "" where the kernel does not show it."""
        for name in shown:
            start = self._tree.number(name, "start") * SYSFS_SECTOR_BYTES
            if self._tree.number(name, "partition") == partition.number and start == partition.start_bytes:
                return name
        return ""

    # -- volumes --------------------------------------------------------------------------------------------------

    def _volumes_of(
        self, disk: Disk, source: BlockSource, layout: DiskLayout, shown: List[str], found: Dict[str, Any]
    ) -> None:
        for partition in layout.partitions:
            if partition.role == "extended":
                continue
            name = self._shown_as(partition, shown) if partition.number else disk.name
            try:
                window = WindowSource(source, partition.start_bytes, partition.length_bytes)
            except DiskError as error:
                self._note("%s, partition %d" % (disk.path, partition.number), str(error))
                continue
            self._volume(name, disk.name, partition.number, window, found)

    def _volume(self, name: str, disk: str, number: int, source: Optional[BlockSource], found: Dict[str, Any]) -> None:
        volume = self._volumes.describe(name, source)
        if number or any(volume[key] for key in ("kind", "uuid", "mount_points", "swap_in_use", "problem")):
            size = source.size_bytes if source is not None else self._tree.size_bytes(name)
            place = {"path": self._tree.path(name) if name else "", "disk": disk, "partition": number}
            found["volumes"].append(dict(place, size_bytes=size, **volume))

    def _layer(self, name: str, kind: str, found: Dict[str, Any]) -> None:
        file = self._tree.text(name, "loop/backing_file")
        if kind == "loop" and not file:
            return  # nothing is attached
        under = [self._tree.path(slave) for slave in self._tree.slaves(name)]
        found["layers"].append(
            {
                "path": self._tree.path(name),
                "name": name,
                "kind": kind,
                "uuid": self._tree.text(name, "dm/uuid") or self._tree.text(name, "md/uuid"),
                "size_bytes": self._tree.size_bytes(name),
                "on": [file] if kind == "loop" else under,
                "disks": sorted({self._tree.path(place.name) for place in self._tree.beneath(name)} if under else []),
            }
        )
        if kind != "multipath":
            with contextlib.ExitStack() as opened:
                self._volume(name, "", 0, self._open(name, opened), found)

    def _open(self, name: str, opened: contextlib.ExitStack) -> Optional[BlockSource]:
        path = self._tree.path(name)
        try:
            return opened.enter_context(FileSource(os.path.join(self._root, path.lstrip("/"))))
        except DiskError as error:
            self._note(path, str(error.fields.get("reason") or error))
            return None

    def _swaps(self) -> List[str]:
        try:
            with open(os.path.join(self._root, "proc/swaps"), "rb") as file:
                lines = file.read(_MAX_SWAPS_BYTES).decode("utf-8", "replace").splitlines()[1:]
        except OSError:
            return []
        return [self._tree.by_path(line.split()[0]) for line in lines if line.startswith("/dev/")]
