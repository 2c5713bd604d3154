# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of a device and its disks, from system calls, the registry and our own parsers (Windows)."""

from __future__ import annotations

import shutil
from typing import Any, Dict, List, Optional

from ..disk.layout import DiskLayout, Partition
from ..disk.open import open_source
from ..disk.source import BlockSource, WindowSource
from ..errors import DiskError
from ..host.windows_disks import VolumeOfDisks, Volumes, path_of
from .document.windows.system import WindowsSystem, running_system
from .volumes import look_into
from .windows_disks import KnownDisk, WindowsDisks
from .windows_machine import describe_machine

VERSION = 1
_BITLOCKER = "BitLocker"
_DYNAMIC_KIND = "dynamic"


def discover(system: Optional[WindowsSystem] = None) -> Dict[str, Any]:
    """Return the description of this machine as :func:`discovery.discover` does; no part of it ever makes it fail."""
    return _Discovery().run(system or running_system())


class _Discovery:
    def __init__(self) -> None:
        self._known = WindowsDisks()
        self._volumes = self._known.volumes or Volumes([], [])

    def run(self, system: WindowsSystem) -> Dict[str, Any]:
        found: Dict[str, Any] = {"version": VERSION, **describe_machine(system, self._note)}
        found.update(disks=[], volumes=[], layers=[])
        for one in self._known.disks:
            self._disk(one, found)
        for volume in self._volumes.placed:
            if len(volume.extents) > 1:
                self._spread(volume, found)
        unreadable = self._known.unreadable
        found["unreadable"] = [{"what": what, "reason": reason} for what, reason in sorted(unreadable.items())]
        return found

    def _note(self, what: str, reason: str) -> None:
        self._known.unreadable[what] = reason

    def _disk(self, one: KnownDisk, found: Dict[str, Any]) -> None:
        disk, layout = one.disk, self._known.layout(one) if one.disk.size_bytes else None
        described: Dict[str, Any] = dict(
            disk._asdict(),
            is_network=disk.is_network,
            why_not_in_all=self._known.why_not_in_all(one),
            stable_id=disk.stable_id or (layout.table_id if layout else ""),
            scheme=layout.scheme if layout else "",
            disk_id=layout.disk_id if layout else "",
            partitions=[],
            warnings=[*(layout.warnings if layout else ()), *self._known.warnings_of(one)],
        )
        found["disks"].append(described)
        if layout is None:
            for volume in self._volumes.placed:
                if any(place.disk == one.number for place in volume.extents):
                    found["volumes"].append(self._volume(disk.name, 0, volume.size_bytes, volume, None))
            return
        described["partitions"] = [self._partition(one, part) for part in layout.partitions if part.number]
        try:
            with open_source(disk.path) as source:
                self._volumes_of(one, source, layout, found)
        except DiskError as error:
            self._note(disk.path, str(error.fields.get("reason") or error))

    def _partition(self, one: KnownDisk, partition: Partition) -> Dict[str, Any]:
        volume = self._placed(one, partition)
        return dict(partition._asdict(), path=volume.name if volume else "")

    def _placed(self, one: KnownDisk, partition: Partition) -> Optional[VolumeOfDisks]:
        """The volume of a partition; one that is spread over several places is not."""
        if partition.role == "extended":
            return None
        volume = self._volumes.at(one.number, partition.start_bytes, partition.length_bytes)
        return volume if volume is not None and len(volume.extents) == 1 else None

    def _volumes_of(self, one: KnownDisk, source: BlockSource, layout: DiskLayout, found: Dict[str, Any]) -> None:
        for partition in layout.partitions:
            if partition.role == "extended":
                continue
            try:
                window = WindowSource(source, partition.start_bytes, partition.length_bytes)
            except DiskError as error:
                self._note("%s, partition %d" % (one.disk.path, partition.number), str(error))
                continue
            volume = self._placed(one, partition)
            told = self._volume(one.disk.name, partition.number, partition.length_bytes, volume, window)
            if partition.number or any(told[key] for key in ("kind", "uuid", "mount_points", "problem")):
                found["volumes"].append(told)

    def _spread(self, volume: VolumeOfDisks, found: Dict[str, Any]) -> None:
        """Describe a volume of dynamic disks, which has several places."""
        disks = [path_of(number) for number in sorted({one.disk for one in volume.extents})]
        layer = {"path": volume.name, "name": volume.name, "kind": _DYNAMIC_KIND, "uuid": ""}
        found["layers"].append(dict(layer, size_bytes=volume.size_bytes, on=disks, disks=disks))
        found["volumes"].append(self._volume("", 0, volume.size_bytes, volume, None))

    @staticmethod
    def _volume(
        disk: str, number: int, size_bytes: int, volume: Optional[VolumeOfDisks], source: Optional[BlockSource]
    ) -> Dict[str, Any]:
        """A volume in the form of :mod:`discovery`. Windows mounts what it knows, so that only a part without a volume is offline."""
        points = list(volume.points) if volume else []
        told: Dict[str, Any] = {
            "path": volume.name if volume else "",
            "disk": disk,
            "partition": number,
            "size_bytes": size_bytes,
            "kind": "",
            "label": "",
            "uuid": "",
            "mount_points": points,
            "mounted_read_only": False if points else None,
            "swap_in_use": False,
            "used_bytes": None,
            "problem": "",
        }
        if source is not None:
            told.update(look_into(source, volume is None))
        if told["used_bytes"] is None and points:
            told["used_bytes"] = _used_as_mounted(points)
            if told["kind"] == _BITLOCKER and told["used_bytes"] is None:
                told["problem"] = "BitLocker has not unlocked it"
        return told


def _used_as_mounted(points: List[str]) -> Optional[int]:
    """Return the bytes in use, if the volume is not locked by BitLocker."""
    try:
        return shutil.disk_usage(points[0]).used
    except OSError:
        return None
