# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Windows about its disks, and where its volumes are on them: which of them Windows runs from and starts from.

A test replaces :func:`windows_devices.ask` and the functions of windows_volumes.py that return names.
"""

from __future__ import annotations

import re
import struct
from typing import Callable, List, NamedTuple, Optional, Tuple, TypeVar

from . import windows_devices as devices
from . import windows_disk_facts as facts
from . import windows_volumes as volumes
from .windows_volumes import Extent

IOCTL_DISK_GET_DRIVE_GEOMETRY_EX = 0x700A0
DEVICE, DEVICE_ID, ACCESS_ALIGNMENT, SEEK_PENALTY = 0, 2, 6, 7  # STORAGE_PROPERTY_ID
_MOST_BYTES = 4096
_RAW_DISK = re.compile(r"[\\/]{2}[.?][\\/]PhysicalDrive(\d{1,4})", re.IGNORECASE)
_NO_GEOMETRY = facts.Geometry(0, 512, False)
_NO_DESCRIPTION = facts.Descriptor("", "", "", "", "", False)
_Answer = TypeVar("_Answer")


class DiskFacts(NamedTuple):
    """A disk as Windows describes it. ``size_bytes`` is 0 without a medium; ``problem`` says what Windows did not tell."""

    number: int
    size_bytes: int
    sector_bytes: int
    physical_sector_bytes: int
    vendor: str
    model: str
    revision: str
    serial: str
    wwn: str
    bus: str
    removable: bool
    rotational: bool
    is_read_only: bool
    is_offline: bool
    problem: str


class VolumeOfDisks(NamedTuple):
    """A volume of Windows, its places on disks, and the letters and folders where it is mounted."""

    name: str
    extents: Tuple[Extent, ...]
    points: Tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        return sum(one.length_bytes for one in self.extents)


class Volumes(NamedTuple):
    """All volumes of disks. ``unknown``: those whose place Windows does not tell."""

    placed: List[VolumeOfDisks]
    unknown: List[str]

    def at(self, disk: int, start_bytes: int, length_bytes: int) -> Optional[VolumeOfDisks]:
        """The volume that has bytes in this part of a disk."""
        for volume in self.placed:
            if any(
                one.disk == disk
                and one.start_bytes < start_bytes + length_bytes
                and start_bytes < one.start_bytes + one.length_bytes
                for one in volume.extents
            ):
                return volume
        return None


def path_of(number: int) -> str:
    return "\\\\.\\PhysicalDrive%d" % number


def number_in(path: str) -> Optional[int]:
    """The number in the raw name of a disk, None in any other name."""
    match = _RAW_DISK.fullmatch(path)
    return int(match.group(1)) if match else None


def numbers() -> List[int]:
    """The numbers of the disks that Windows knows."""
    found = [number_in(name) for name in devices.disk_names()]
    return [number for number in found if number is not None]


def facts_of(number: int) -> DiskFacts:
    """Ask a disk. It always answers: what Windows does not tell is 0, "" or False, and ``problem`` the first reason."""
    problems: List[str] = []
    try:
        handle = devices.open_to_ask(path_of(number))
    except OSError as error:
        return _facts(number, _NO_GEOMETRY, _NO_DESCRIPTION, volumes.words_of(error))
    try:
        geometry = _asked(lambda: facts.geometry(devices.ask(handle, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, 256)), problems)
        told = _asked(lambda: facts.descriptor(_property(handle, DEVICE)), problems)
        physical = _asked(lambda: facts.physical_sector_bytes(_property(handle, ACCESS_ALIGNMENT)))
        flags = _asked(lambda: volumes.disk_flags(handle))
        found = _facts(number, geometry or _NO_GEOMETRY, told or _NO_DESCRIPTION, "; ".join(problems[:1]))
        return found._replace(
            wwn=_asked(lambda: facts.world_wide_name(_property(handle, DEVICE_ID))) or "",
            rotational=bool(_asked(lambda: facts.is_rotating(_property(handle, SEEK_PENALTY)))),
            physical_sector_bytes=max(physical or 0, found.sector_bytes),
            is_read_only=flags is not None and flags.is_read_only,
            is_offline=flags is not None and flags.is_offline,
        )
    finally:
        devices.close_device(handle)


def _asked(ask: Callable[[], _Answer], problems: Optional[List[str]] = None) -> Optional[_Answer]:
    """The answer, or None. Many drivers do not know a question; where they should, the reason is a problem.

    A disk without a medium is not one.
    """
    try:
        return ask()
    except (OSError, ValueError, struct.error) as error:
        is_empty = isinstance(error, OSError) and volumes.number_of(error) in volumes.NO_MEDIUM
        if problems is not None and not is_empty:
            problems.append(volumes.words_of(error))
        return None


def _facts(number: int, geometry: facts.Geometry, told: facts.Descriptor, problem: str) -> DiskFacts:
    return DiskFacts(
        number=number,
        size_bytes=geometry.size_bytes,
        sector_bytes=geometry.sector_bytes,
        physical_sector_bytes=geometry.sector_bytes,
        vendor=told.vendor,
        model=told.model,
        revision=told.revision,
        serial=told.serial,
        wwn="",
        bus=told.bus,
        removable=told.removable or geometry.removable,
        rotational=False,
        is_read_only=False,
        is_offline=False,
        problem=problem,
    )


def _property(handle: int, number: int) -> bytes:
    """[STORAGE_PROPERTY_QUERY, PropertyStandardQuery]"""
    question = number.to_bytes(4, "little") + bytes(8)
    return devices.ask(handle, volumes.IOCTL_STORAGE_QUERY_PROPERTY, _MOST_BYTES, question)


def volumes_of_disks() -> Volumes:
    """Ask for all volumes once. :raises OSError: when Windows does not list them."""
    found = Volumes([], [])
    places = set()
    # Hidden volumes have a device but no name; most volumes have both.
    for name in [*volumes.volumes(), *volumes.volume_devices()]:
        try:
            extents = tuple(volumes.extents(name))
            points = tuple(volumes.mount_points(name)) if extents and "Volume{" in name else ()
            is_known = bool(extents) or not volumes.is_for_disks(name)
        except (OSError, ValueError, struct.error):
            is_known = False
        if not is_known:
            found.unknown.append(name)
        elif extents and extents not in places:
            places.add(extents)
            found.placed.append(VolumeOfDisks(name, extents, points))
    return found


def extents_of_windows() -> List[Extent]:
    """Where the volume lies that Windows runs from. :raises OSError: :raises ValueError: when Windows does not tell."""
    return extents_of_folder(volumes.windows_folder())


def extents_of_start() -> List[Extent]:
    """Where the partition lies that Windows was started from; none where it does not tell. :raises OSError: :raises ValueError:"""
    device = volumes.starting_device()
    return volumes.extents(device) if device else []


def extents_of_folder(path: str) -> List[Extent]:
    """Where the volume lies that contains a file or folder; none for one on a server. :raises OSError: :raises ValueError:"""
    volume = volumes.volume_of(path)
    return volumes.extents(volume) if volume else []
