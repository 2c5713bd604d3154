# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Windows whose disks are in memory: its tables are read by the engine's parsers, its answers are bytes of its structures."""

from __future__ import annotations

from typing import List

import pytest
from engine.device import windows_discovery, windows_disks
from engine.disk.raw_source import RawSource
from engine.host import windows_devices
from support.windows import disk_bytes
from support.windows.disk_answers import DiskAnswers
from support.windows.tables import BASIC, EFI, MIB, MSR, RECOVERY, Part, gpt, mbr

NAA = bytes.fromhex("5000c500a1b2c3d4")


class Pc(DiskAnswers):
    """Disk 0: EFI, MSR, Windows and recovery on an NVMe disk. Disk 1: data with the letter D: and the folder C:\\data. A test adds disks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._monkeypatch = monkeypatch
        self.stand_in(monkeypatch)
        monkeypatch.setattr(windows_devices, "dos_names", self._names)
        for module in (windows_disks, windows_discovery):
            monkeypatch.setattr(module, "open_source", RawSource)
        self.volume_names.clear()
        self.points.clear()
        self.devices.clear()
        parts = [Part(EFI, 1, 2), Part(MSR, 3, 1), Part(BASIC, 4, 8), Part(RECOVERY, 12, 2)]
        self.add(0, gpt(16, parts), disk_bytes.NVME, "SAMSUNG MZVLB256", "S4GGNX0R123456")
        self.described[0][2] = disk_bytes.identifiers([(1, 3, 0, NAA)])
        self.place("{efi}", 0, 1, 2)
        self.place("{win}", 0, 4, 8, "C:\\")
        self.starting = "\\\\?\\GLOBALROOT\\Device\\HarddiskVolume1"
        self.add(1, mbr(8, [Part("07", 1, 4), Part("07", 5, 2)]), disk_bytes.SATA, "ST1000", "Z4Y1ABCD")
        self.place("{data}", 1, 1, 4, "D:\\", "C:\\data\\")
        self.place("{more}", 1, 5, 2)

    def add(
        self, number: int, data: bytearray, bus: int, model: str = "", serial: str = "", removable: bool = False
    ) -> None:
        """A disk; ``data`` are its bytes."""
        self.give(self._monkeypatch, number, data)
        self.geometries[number] = disk_bytes.geometry(
            len(data), media=disk_bytes.REMOVABLE_MEDIA if removable else disk_bytes.FIXED_MEDIA
        )
        self.described[number] = {0: disk_bytes.descriptor(bus, model, serial, removable=removable)}

    def place(self, name: str, disk: int, start: int, size: int, *points: str) -> None:
        """A volume, in MiB, and where it is mounted."""
        extents = [(disk, start * MIB, size * MIB)]
        self.volume_names["\\\\?\\Volume" + name] = extents
        self.devices["HarddiskVolume%d" % (len(self.devices) + 1)] = extents
        self.points.update((point, "\\\\?\\Volume" + name) for point in points)

    def _names(self) -> List[str]:
        return ["C:", *self.devices, *self.empty, *("PhysicalDrive%d" % number for number in self.contents)]
