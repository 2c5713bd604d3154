# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device of the double whose Windows shows disks: their discovery, choice and shadow copies work in every program of the agent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

from support.filled import contents, fat_contents, mounted
from support.paths import SUPPORT
from support.whole_disks import WholeDisk
from support.windows import disk_bytes
from support.windows.device import WindowsDevice, environment_of
from support.windows.shadow_copies import build_stand_in

_FILES = ("disk_bytes.py", "shown_disks.py")
_LINE = r"""

import sys  # the double's

sys.path.insert(0, r"C:\double")
import support.windows.shown_disks
"""
_LINKS = "qrstuvwx"


def files_of(kind: str, volume: Path, folder: Path) -> Dict[str, str]:
    """The files of a volume, but those of the shadow copies themselves, whose content images leave out."""
    if kind == "fat":
        return fat_contents(volume, folder)
    with mounted(volume, folder / "mounted", "ntfs", read_only=True) as place:
        found = contents(place)
    return {name: one for name, one in found.items() if not name.startswith("System Volume Information/")}


class Shown(NamedTuple):
    """A disk that Windows shows. ``points``: where each partition is mounted; None for one without a volume. ``frozen``: the content
    of shadow copies by the place of the partition, where it is not that of the disk."""

    number: int
    disk: WholeDisk
    points: List[Any]
    model: str
    serial: str
    bus: int = disk_bytes.SATA
    frozen: Mapping[int, Path] = MappingProxyType({})


class ShownDisks:
    """The live disks hold other bytes in their volumes of Windows than the shadow copies: an image must not hold those."""

    def __init__(self, folder: Path, shown: List[Shown]) -> None:
        self.links: Dict[str, Path] = {}
        self._frozen: Dict[Tuple[int, int], Path] = {}
        self._document: Dict[str, Any] = {"disks": [], "volumes": []}
        for one in shown:
            live = folder / ("live-%d.raw" % one.number)
            shutil.copy(one.disk.path, live)
            self.links["PhysicalDrive%d" % one.number] = live
            told = {"number": one.number, "size_bytes": live.stat().st_size, "bus": one.bus}
            self._document["disks"].append(dict(told, model=one.model, serial=one.serial))
            for place, points in enumerate(one.points):
                if points is not None:
                    self._add(one, live, place, points, folder)

    def frozen(self, disk: int, place: int) -> Path:
        """The content of a partition's shadow copies."""
        return self._frozen[disk, place]

    def _add(self, one: Shown, live: Path, place: int, points: List[str], folder: Path) -> None:
        number, placed = len(self._document["volumes"]), one.disk.parts[place]
        frozen = folder / ("frozen-%d" % number)
        if place in one.frozen:
            shutil.copy(one.frozen[place], frozen)
            os.truncate(frozen, placed.size_bytes)
        else:
            one.disk.volume(placed, one.disk.path, folder).rename(frozen)
        self.links[_LINKS[number] + ":"] = self._frozen[one.number, place] = frozen
        if points and place not in one.frozen:
            with open(live, "r+b") as stream:  # in the middle of a change
                stream.seek(placed.start_bytes + placed.size_bytes // 2)
                stream.write(os.urandom(1 << 20))
        self._document["volumes"].append(
            {
                "name": "\\\\?\\Volume{00000000-0000-0000-0000-%012d}" % number,
                "points": points,
                "disk": one.number,
                "start_bytes": placed.start_bytes,
                "length_bytes": placed.size_bytes,
                "link": _LINKS[number],
            }
        )

    def give_to(self, device: WindowsDevice) -> None:
        """Let the engine of the device, and each that is installed there later, find the disks and the service."""
        target = device.drive / "double" / "support" / "windows"
        target.mkdir(parents=True)
        for name in _FILES:
            shutil.copy(SUPPORT / "windows" / name, target / name)
        (device.drive / "double" / "disks.json").write_text(json.dumps(self._document), encoding="utf-8")
        (device.drive / "vss").mkdir()
        build_stand_in(device.host_path(r"C:\windows\system32\vssapi.dll"))
        key = r"HKEY_CURRENT_USER\Software\Wine\DllOverrides"
        command = ["wine", "reg", "add", key, "/v", "vssapi", "/d", "native", "/f"]
        subprocess.run(
            command, env=environment_of(device.prefix), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
        )
        self.correct(device.drive)

    @staticmethod
    def correct(drive: Path) -> None:
        """Let the engines that are there now find the disks."""
        name = "code/engine/host/windows_disks.py"
        for path in [drive / "agent" / name, *drive.glob("Program Files/plantops-imaging/*/" + name)]:
            text = path.read_text(encoding="utf-8")
            if _LINE not in text:
                path.write_text(text + _LINE, encoding="utf-8")

    def check(self, disk: int, disks: WholeDisk, restored: Path, folder: Path) -> None:
        """Compare every file of each restored volume with those of its shadow copy; that of a partition without one is the disk's."""
        folder.mkdir()
        for place, placed in enumerate(disks.parts):
            original, copied = self.frozen(disk, place), disks.volume(placed, restored, folder)
            kind = "fat" if placed.part.kind == "fat" else "ntfs"
            files = files_of(kind, original, folder)
            assert len(files) > 3
            assert files_of(kind, copied, folder) == files

    @staticmethod
    def left(device: WindowsDevice) -> List[str]:
        """The shadow copies that are left in the service."""
        return sorted(one.name for one in (device.drive / "vss").glob("*.txt") if one.name != "log.txt")
