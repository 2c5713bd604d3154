# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service for shadow copies of a device of the double: a vssapi.dll that is compiled here against the real headers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from support.filled import check_volume, detach
from support.imaging import restore, verify
from support.paths import SUPPORT
from support.whole_disks import Placed, WholeDisk
from support.windows.device import WindowsDevice
from support.windows.kinds import WINDOWS_7

DISK = r"\\.\PhysicalDrive1"
_SOURCES = SUPPORT / "windows" / "vss"
COMPILERS = {64: "x86_64-w64-mingw32-gcc", 32: "i686-w64-mingw32-gcc"}


def build_stand_in(target: Path, bits: int = 64) -> None:
    """Compile the library. A call whose arguments are not those of the headers is an error of the compiler."""
    command = [COMPILERS[bits], "-Wall", "-Werror", "-Wno-unused-function", "-O1", "-shared", "-o", str(target)]
    sources = [str(_SOURCES / "stand_in.c"), str(_SOURCES / "vssapi.def")]
    links = ["-lole32", "-loleaut32", "-static-libgcc", "-Wl,--enable-stdcall-fixup"]
    subprocess.run([*command, *sources, *links], check=True)


def build_powershell(device: WindowsDevice) -> None:
    """Compile what answers for PowerShell."""
    target = device.host_path(r"C:\windows\system32\WindowsPowerShell\v1.0\powershell.exe")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # Wine's own may be a link to what all devices share
    source = str(_SOURCES / "powershell.c")
    command = [COMPILERS[64], "-Wall", "-Werror", "-O1", "-static-libgcc", "-o", str(target), source]
    subprocess.run([*command, "-lshell32", "-ladvapi32"], check=True)


_ASK = """
import winreg
found = "none"
for name in ("plantops-imaging-shadow-copies", "plantops-imaging-lasting-shadow-copies"):
    try:
        winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, "SOFTWARE\\\\" + name, 0, 0x20119)
    except FileNotFoundError:
        continue
    found = "some"
print(found)
"""
_MARK = """
import winreg
place = "SOFTWARE\\\\plantops-imaging-lasting-shadow-copies"
key = winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, place, 0, 0x20106)
winreg.SetValueEx(key, %r, 0, winreg.REG_SZ, %r)
"""


class Volume(NamedTuple):
    """A volume of the device. ``frozen``: the content of its shadow copies; ``link``: the drive that stands for it."""

    number: int
    placed: Placed
    point: str
    link: str
    frozen: Optional[Path]

    @property
    def name(self) -> str:
        return "\\\\?\\Volume{00000000-0000-0000-0000-%012d}" % self.number


class ShadowedDevice:
    """A device whose disk 1 is a file of the host, with volumes that the service freezes."""

    def __init__(self, device: WindowsDevice, disk: WholeDisk, volumes: List[Volume], live: Path) -> None:
        self.device = device
        self.disk = disk
        self.volumes = volumes
        self.live = live  # the content of disk 1 while Windows runs
        self.folder = device.host_path(r"C:\vss")
        self.folder.mkdir(exist_ok=True)
        build_stand_in(device.host_path(r"C:\windows\system32\vssapi.dll"))
        build_powershell(device)
        for name in ("shadowed_disk.py", "requests.py"):
            device.host_path("C:\\" + name).write_bytes((SUPPORT / "windows" / name).read_bytes())
        device.host_path(r"C:\storage").mkdir(exist_ok=True)

    def environment(self, **wrong: str) -> Dict[str, str]:
        """The variables of a run. ``wrong``: what the stand-in is told to do: ``fail``, ``kill``, ``pending``..."""
        document = {
            "size_bytes": self.disk.path.stat().st_size,
            "volumes": [
                {
                    "name": one.name,
                    "points": [one.point] if one.point else [],
                    "link": one.link,
                    "start_bytes": one.placed.start_bytes,
                    "length_bytes": one.placed.size_bytes,
                }
                for one in self.volumes
            ],
        }
        # Without the override Wine's own library answers.
        overrides = {"WINEDLLOVERRIDES": "mscoree=;mshtml=;vssapi=n", "PLANTOPS_SHADOWED": json.dumps(document)}
        lose = {
            "PLANTOPS_" + name.upper(): wrong.pop(name)
            for name in ("lose_after", "lose_sent", "change")
            if name in wrong
        }
        return dict(overrides, **lose, **{"PLANTOPS_VSS_" + name.upper(): value for name, value in wrong.items()})

    def image(self, wrong: Optional[Dict[str, str]] = None, **more: Any) -> Dict[str, Any]:
        """Make an image of the disk and return its last event."""
        return self.device.image(
            DISK, stands_in=r"C:\shadowed_disk.py", environment=self.environment(**(wrong or {})), **more
        )

    def calls(self) -> List[str]:
        """The calls since the last question, in order."""
        log = self.folder / "log.txt"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def forget(self) -> None:
        """Begin anew: no call, no shadow copy, and no answer that PowerShell was told to give."""
        for left in [*self.folder.glob("*.txt"), *self.folder.glob("codes")]:
            left.unlink()

    def left(self) -> List[str]:
        """What is left in the service: shadow copies, and a set that blocks all others."""
        return sorted(one.name for one in self.folder.glob("*.txt") if one.name != "log.txt")

    def marks(self) -> str:
        """Whether the record of sets is still in the registry."""
        self.device.host_path(r"C:\ask.py").write_text(_ASK)
        return self.device.python(r"C:\ask.py").output.strip()

    def mark_lasting(self, name: str, value: str) -> None:
        """Write down a shadow copy without writers, as a run does that is killed then."""
        self.device.host_path(r"C:\mark.py").write_text(_MARK % (name, value))
        assert self.device.python(r"C:\mark.py").status == 0


@contextlib.contextmanager
def linked(device: WindowsDevice, links: Dict[str, Path]) -> Iterator[None]:
    """Let raw devices of the double be files of the host."""
    loops: List[str] = []
    try:
        for name, path in links.items():
            command = ["losetup", "-f", "--show", "-r", str(path)]
            loops.append(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
            device.link_disk(name, loops[-1])
        yield
    finally:
        for loop in loops:
            detach(loop)


@contextlib.contextmanager
def shadowed_device(disk: WholeDisk, folder: Path) -> Iterator[ShadowedDevice]:
    """The live disk has other bytes in its volumes of Windows than their shadow copies: an image must not hold them."""
    live = folder / "live.raw"
    live.write_bytes(disk.path.read_bytes())
    volumes = []
    links: Dict[str, Path] = {"PhysicalDrive1": live}
    for number, placed in enumerate(disk.parts):
        frozen = None
        if number:
            frozen = disk.volume(placed, disk.path, folder)
            with open(live, "r+b") as stream:  # a live volume, in the middle of a change
                stream.seek(placed.start_bytes + placed.size_bytes // 2)
                stream.write(os.urandom(1 << 20))
                stream.seek(placed.start_bytes)
                stream.write(bytes(512))
            links["%s:" % "qrs"[number]] = frozen
        volumes.append(Volume(number, placed, ["", "C:\\", "D:\\"][number], "qrs"[number], frozen))
    with WindowsDevice(folder / "device", WINDOWS_7) as device, linked(device, links):
        yield ShadowedDevice(device, disk, volumes, live)


def refuse_without_writers(shadowed: ShadowedDevice) -> None:
    """Let the other way fail as well."""
    (shadowed.folder / "codes").write_text("1\n" * 99, encoding="ascii")


def request(number: int, **more: Any) -> Dict[str, Any]:
    asked = {"verb": "image", "device": "pc", "drives": [DISK], "storage": {"url": r"C:\storage"}, "limit_read_rate": 0}
    return dict(dict(asked, timestamp="2026-11-30_%02d-00-00" % number, device="clear"), **more)


def ask_all(shadowed: ShadowedDevice, requests: List[Dict[str, Any]], **wrong: str) -> List[Dict[str, Any]]:
    ran = shadowed.device.python(
        *(r"C:\shadowed_disk.py", "requests"), given=json.dumps(requests), more=shadowed.environment(**wrong)
    )
    assert ran.status == 0, ran.errors
    return [json.loads(line) for line in ran.output.splitlines()]


def check_restored(shadowed: ShadowedDevice, tmp_path: Path) -> None:
    storage = shadowed.device.host_path(r"C:\storage")
    assert verify(storage)["ok"]
    restored = tmp_path / "restored.raw"
    restore(storage, restored)
    for placed in shadowed.disk.parts[1:]:
        check_volume(placed.part.kind, shadowed.disk.volume(placed, restored, tmp_path))
