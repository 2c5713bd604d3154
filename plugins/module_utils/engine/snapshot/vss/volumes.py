# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The volumes of Windows on the partitions of a disk."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

from ...disk.layout import Partition
from ...host import windows_devices as devices
from ...host import windows_volumes as windows
from ...host.windows_names import NameKind, kind_of_name
from ..contract import DiskToFreeze

_BITLOCKER = (
    b"-FVE-FS-"  # libbde, "BitLocker Drive Encryption format"; also the header of a volume that is being encrypted
)
_LOOK_BYTES = 4096  # a whole sector of any disk


class PlacedVolume(NamedTuple):
    """The volume of a partition. ``why_not`` says why no shadow copy of it can stand for the partition."""

    name: str  # with a backslash at its end, as shadow copies want it
    points: Tuple[str, ...]
    why_not: str
    is_encrypted: bool = False  # by BitLocker, which Windows has unlocked or not


class KnownVolumes:
    """All volumes of this Windows with their places, asked once. ``unknown`` are those that it does not tell of."""

    def __init__(self) -> None:
        """:raises OSError: when Windows does not list its volumes."""
        self._places: Dict[str, List[windows.Extent]] = {}
        self.unknown: List[str] = []
        # Hidden volumes have a device but no name; a shadow copy needs the name, so that one comes first.
        for name in [*windows.volumes(), *windows.volume_devices()]:
            try:
                self._places[name] = windows.extents(name)
                is_known = bool(self._places[name]) or not windows.is_for_disks(name)
            except (OSError, ValueError):
                is_known = False
            if not is_known:
                self.unknown.append(name)

    def on(self, disk: DiskToFreeze, partition: Partition) -> Optional[PlacedVolume]:
        """The volume on a partition, None where Windows has none there. :raises OSError:"""
        if kind_of_name(disk.path) is NameKind.VOLUME:
            return self._itself(disk.path)
        number = _number_of(disk.path)
        end = partition.start_bytes + partition.length_bytes
        for name, extents in self._places.items():
            for one in extents:
                if (
                    one.disk == number
                    and one.start_bytes < end
                    and partition.start_bytes < one.start_bytes + one.length_bytes
                ):
                    return _placed(name, extents, _why_not(extents, partition))
        return None

    def _itself(self, path: str) -> PlacedVolume:
        """A volume that was named to be imaged in place of a disk."""
        places = windows.extents(path)
        for name, extents in self._places.items():
            if extents and extents == places:
                return _placed(name, extents, "")
        return PlacedVolume(path + "\\", (), "Windows has no name for it")


def _placed(name: str, extents: List[windows.Extent], why_not: str) -> PlacedVolume:
    points = tuple(windows.mount_points(name)) if "Volume{" in name else ()
    return PlacedVolume(name + "\\", points, why_not, _is_encrypted(extents[0]))


def _is_encrypted(place: windows.Extent) -> bool:
    """Whether the disk holds a header of BitLocker where the volume begins. :raises OSError:"""
    buffer = bytearray(_LOOK_BYTES)
    handle = devices.open_device("\\\\.\\PhysicalDrive%d" % place.disk)
    try:
        start_bytes = place.start_bytes - place.start_bytes % _LOOK_BYTES
        devices.read_at(handle, start_bytes, memoryview(buffer))
    finally:
        devices.close_device(handle)
    at = place.start_bytes - start_bytes
    return bytes(buffer[at + 3 : at + 11]) == _BITLOCKER


def _why_not(extents: List[windows.Extent], partition: Partition) -> str:
    if len(extents) > 1:
        return "Windows spreads the volume over several places of its disks"
    one = extents[0]
    if one.start_bytes != partition.start_bytes or one.length_bytes > partition.length_bytes:
        return "the volume and the partition begin or end at different places"
    return ""


def _number_of(path: str) -> int:
    handle = devices.open_to_ask(path)
    try:
        number = windows.disk_number(handle)
    finally:
        devices.close_device(handle)
    return -1 if number is None else number
