# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores on a Windows device: into a plain file, and never onto a disk of the Windows that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

from support.filled import check_volume, fat_contents
from support.imaging import PASSWORD
from support.paths import SUPPORT
from support.whole_disks import WholeDisk
from support.windows.device import WindowsDevice

REFUSED = {
    r"\\.\PhysicalDrive0": "R160",
    r"\\?\physicaldrive1": "R160",
    r"\\.\C:": "R160",
    "C:": "R160",
    "D:\\": "R160",
    r"\\.\PhysicalDrive2": "R160",
    r"\\?\GLOBALROOT\Device\HarddiskVolume3": "R160",
    "E:": "R160",
    r"C:\restored.raw:hidden": "R120",
    r"C:\nul": "R120",
    r"C:\windows\com1.raw": "R120",
    r"\\?\C:\restored.raw": "R120",
    "disk.raw": "R120",
    "/dev/sda": "R120",
    r"\\server\share\disk.raw": "R120",
    r"C:\no folder\disk.raw": "D100",
    r"C:\windows": "D100",
    r"C:\storage\pc\restored.raw": "R113",
    r"c:\STORAGE\restored.raw": "R113",
}


def restore_to(target: str) -> Dict[str, Any]:
    asked = {"verb": "restore", "device": "pc", "storage": {"url": r"C:\storage"}, "map": {"disk0": target}}
    return dict(asked, secrets={"password": PASSWORD})


def ask_all(device: WindowsDevice, requests: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    device.host_path(r"C:\requests.py").write_bytes((SUPPORT / "windows" / "requests.py").read_bytes())
    ran = device.python(r"C:\requests.py", given=json.dumps(requests))
    assert ran.status == 0, ran.errors
    assert "a file of the host" not in ran.errors, ran.errors
    return [json.loads(line) for line in ran.output.splitlines()]


def test_into_a_file_and_onto_no_disk(old_device: WindowsDevice, disk: WholeDisk, tmp_path: Path) -> None:
    original = old_device.host_path(r"C:\disk.raw")
    original.write_bytes(disk.path.read_bytes())
    old_device.host_path(r"C:\storage").mkdir()
    assert old_device.image()["event"] == "result"
    before = sorted(str(path) for path in old_device.drive.rglob("*.raw"))

    answers = ask_all(old_device, [restore_to(name) for name in REFUSED])
    refused = [answer.get("code", "none") for answer in answers]
    assert dict(zip(REFUSED, refused)) == REFUSED
    hints = [answer["hint"] for answer in answers if answer["code"] == "R160"]
    assert all("rescue medium" in hint and "plantops-recovery.pyz" in hint for hint in hints)
    assert sorted(str(path) for path in old_device.drive.rglob("*.raw")) == before, "a refused restore made a file"

    first, second = ask_all(old_device, [restore_to(r"C:\restored.raw"), restore_to(r"C:\restored.raw")])
    assert first["image"] == "2026-11-29_18-00-00", first
    assert second["already_restored"] is True, second
    restored = old_device.host_path(r"C:\restored.raw")
    for placed in disk.parts:
        check_volume(placed.part.kind, disk.volume(placed, restored, tmp_path))
    esp = disk.parts[0]
    assert fat_contents(disk.volume(esp, restored, tmp_path), tmp_path) == fat_contents(
        disk.volume(esp, original, tmp_path), tmp_path
    )
