# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a running Windows: what they are called today and what they are for good, and which of them are in ``all``.

``disk0`` is ``\\\\.\\PhysicalDrive0``, which Windows itself shows as disk 0.
"""

from __future__ import annotations

import ntpath
import os
import struct
from typing import Callable, Dict, List, NamedTuple, Optional, Set

from ..disk.layout import DiskLayout
from ..disk.open import open_source
from ..disk.partition_types import DYNAMIC, POOL
from ..disk.sector_size import read_layout_of_device
from ..errors import DiskError, WindowsSilent
from ..host import windows_disks as windows
from ..host.windows_disk_facts import FILE_BACKED, SPACES
from ..host.windows_disks import DiskFacts, Volumes
from ..host.windows_volumes import Extent, words_of
from .disks import Disk, tells

_WINDOWS, _START, _STORAGE = (
    "the place of Windows",
    "the partition that Windows was started from",
    "the place of the storage",
)
_HOT_PLUGGED = frozenset(["usb", "firewire"])
_SCSI_OF_ATA = "ATA"  # the vendor that a driver invents for a disk without one


class KnownDisk(NamedTuple):
    """A disk of Windows. ``problem``: what it did not tell."""

    number: int
    disk: Disk
    is_offline: bool
    problem: str


def disk_of(facts: DiskFacts) -> Disk:
    """The disk in the words that Linux' disks are described with."""
    serial, wwn = facts.serial, facts.wwn
    return Disk(
        name="disk%d" % facts.number,
        path=windows.path_of(facts.number),
        vendor="" if facts.vendor == _SCSI_OF_ATA else facts.vendor,
        model=facts.model,
        revision=facts.revision,
        serial=serial if tells(serial) else "",
        wwn=wwn if tells(wwn) else "",
        size_bytes=facts.size_bytes,
        sector_bytes=facts.sector_bytes,
        physical_sector_bytes=facts.physical_sector_bytes,
        transport=facts.bus,
        removable=facts.removable or facts.bus in _HOT_PLUGGED,
        rotational=facts.rotational,
        read_only=facts.is_read_only,
        path_of="",
    )


class WindowsDisks:
    """The disks and volumes of this Windows, asked once. ``unreadable``: what it does not tell, and why."""

    def __init__(self, storage_folder: str = "") -> None:
        """:param storage_folder: where the images go when that is a folder of this machine: its disk is not in ``all``."""
        self.unreadable: Dict[str, str] = {}
        self.volumes = self._volumes()
        self._of_windows = self._extents(_WINDOWS, windows.extents_of_windows)
        self._of_start = self._extents(_START, windows.extents_of_start)
        self._of_storage: Optional[List[Extent]] = []
        folder = _existing(storage_folder)
        if folder:
            self._of_storage = self._extents(_STORAGE, lambda: windows.extents_of_folder(folder))
        self._system = {one.disk for one in [*(self._of_windows or ()), *(self._of_start or ())]}
        self.disks = [_known(windows.facts_of(number)) for number in windows.numbers()]
        for one in self.disks:
            if one.problem:
                self.unreadable[one.disk.path] = one.problem
        self._layouts: Dict[int, Optional[DiskLayout]] = {}

    def number(self, number: int) -> Optional[KnownDisk]:
        return next((one for one in self.disks if one.number == number), None)

    def layout(self, one: KnownDisk) -> Optional[DiskLayout]:
        """The disk's table, None where it can't be read."""
        if one.number not in self._layouts:
            self._layouts[one.number] = self._read_layout(one)
        return self._layouts[one.number]

    def why_not_in_all(self, one: KnownDisk) -> str:
        """Why the disk is not part of ``all``, "" when it is. A disk that fails is: opening it says why."""
        if one.disk.transport == FILE_BACKED:
            return "it is a virtual disk, whose content is a file on another disk"
        layout = self.layout(one) if one.disk.size_bytes else None
        if layout is not None and any(partition.type_id == POOL for partition in layout.partitions):
            return "it is a member of a pool of Storage Spaces, which Windows shows as other disks"
        stays = one.number in self._system and not one.disk.is_network  # a module that Windows runs from
        if one.disk.why_not and not stays and not (one.problem and not one.disk.size_bytes):
            return one.disk.why_not
        if one.number in self.storage_numbers():
            return "the images are stored on it"
        return ""

    def warnings_of(self, one: KnownDisk) -> List[str]:
        """Return the sentences that a person has to know before an image of the disk is made."""
        found = []
        if one.is_offline:
            found.append("%s is offline, so that Windows does not show its volumes." % one.disk.path)
        if one.disk.transport == SPACES:
            found.append(
                "%s is a virtual disk of Storage Spaces: its image is restored to a plain disk, not to its pool."
                % one.disk.path
            )
        layout = self.layout(one) if one.disk.size_bytes else None
        if layout is not None and layout.whole_because:
            found.append("%s is imaged whole: %s." % (one.disk.path, layout.whole_because))
        if layout is not None and any(part.type_id in DYNAMIC for part in layout.partitions):
            found.append("%s is a dynamic disk: its volumes are imaged whole." % one.disk.path)
        return found

    def storage_numbers(self) -> Set[int]:
        """The disks that hold the storage. :raises WindowsSilent:"""
        if self._of_storage is None:
            raise WindowsSilent(what="on which disk the storage is", reason=self.unreadable[_STORAGE])
        return {one.disk for one in self._of_storage}

    def system_numbers(self) -> List[int]:
        """The disks that Windows runs from and was started from. :raises WindowsSilent:"""
        if not self._of_windows:
            raise WindowsSilent(
                what="on which disk it is installed", reason=self.unreadable.get(_WINDOWS, "it has no place on a disk")
            )
        found = [one.disk for one in self._of_windows]
        if not self._of_start and not any(self._can_start(number) for number in found):
            reason = self.unreadable.get(_START, "the registry has no SystemPartition")
            raise WindowsSilent(what="which partition it was started from", reason=reason)
        return list(dict.fromkeys([*found, *(one.disk for one in self._of_start or ())]))

    def start_extents(self) -> List[Extent]:
        """The partition that Windows was started from; none where that is not known."""
        return self._of_start or []

    def known_volumes(self) -> Volumes:
        """:raises WindowsSilent: when Windows does not list its volumes."""
        if self.volumes is None:
            raise WindowsSilent(what="which volumes it has", reason=self.unreadable["volumes"])
        return self.volumes

    def _can_start(self, number: int) -> bool:
        one = self.number(number)
        layout = self.layout(one) if one is not None else None
        return layout is not None and any(part.role == "efi" or part.bootable for part in layout.partitions)

    def _volumes(self) -> Optional[Volumes]:
        try:
            found = windows.volumes_of_disks()
        except OSError as error:
            self.unreadable["volumes"] = words_of(error)
            return None
        self.unreadable.update((name, "Windows does not tell where the volume is") for name in found.unknown)
        return found

    def _extents(self, what: str, ask: Callable[[], List[Extent]]) -> Optional[List[Extent]]:
        try:
            return ask()
        except (OSError, ValueError, struct.error) as error:
            self.unreadable[what] = words_of(error)
            return None

    def _read_layout(self, one: KnownDisk) -> Optional[DiskLayout]:
        try:
            source = open_source(one.disk.path)
            with source:
                return read_layout_of_device(source)
        except DiskError as error:
            self.unreadable[one.disk.path] = str(error.fields.get("reason") or error)
            return None


def _known(facts: DiskFacts) -> KnownDisk:
    return KnownDisk(facts.number, disk_of(facts), facts.is_offline, facts.problem)


def _existing(folder: str) -> str:
    """The nearest folder above that is there, with a backslash at its end, as a mount folder has it; "" for none.

    The parent of ``C:\\`` is itself.
    """
    while folder and not os.path.exists(folder):
        parent = ntpath.dirname(folder.rstrip("\\/"))
        folder = parent if parent != folder else ""
    return folder.rstrip("\\/") + "\\" if folder else ""
