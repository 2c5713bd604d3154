# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The volumes of Windows on the partitions of a disk."""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence, Tuple

from ...disk.layout import Partition
from ...host import windows_devices as devices
from ...host import windows_volumes as windows
from ...host.windows_disks import VolumeOfDisks, path_of, volumes_of_disks
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
        self._found = volumes_of_disks()
        self.unknown = self._found.unknown

    def on(self, disk: DiskToFreeze, partition: Partition) -> Optional[PlacedVolume]:
        """The volume on a partition, None where Windows has none there. :raises OSError:"""
        if kind_of_name(disk.path) is NameKind.VOLUME:
            return self._itself(disk.path)
        found = self._found.at(_number_of(disk.path), partition.start_bytes, partition.length_bytes)
        return _placed(found, _why_not(found.extents, partition)) if found is not None else None

    def _itself(self, path: str) -> PlacedVolume:
        """A volume that was named to be imaged in place of a disk."""
        places = tuple(windows.extents(path))
        for one in self._found.placed:
            if one.extents == places:
                return _placed(one, "")
        return PlacedVolume(path + "\\", (), "Windows has no name for it")


def _placed(found: VolumeOfDisks, why_not: str) -> PlacedVolume:
    return PlacedVolume(found.name + "\\", found.points, why_not, _is_encrypted(found.extents[0]))


def _is_encrypted(place: windows.Extent) -> bool:
    """Whether the disk holds a header of BitLocker where the volume begins. :raises OSError:"""
    buffer = bytearray(_LOOK_BYTES)
    handle = devices.open_device(path_of(place.disk))
    try:
        start_bytes = place.start_bytes - place.start_bytes % _LOOK_BYTES
        devices.read_at(handle, start_bytes, memoryview(buffer))
    finally:
        devices.close_device(handle)
    at = place.start_bytes - start_bytes
    return bytes(buffer[at + 3 : at + 11]) == _BITLOCKER


def _why_not(extents: Sequence[windows.Extent], partition: Partition) -> str:
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
