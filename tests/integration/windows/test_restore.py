# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores on a Windows device: into a plain file, onto a disk that nothing uses, and never onto one of the Windows that runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from support.filled import check_volume, detach, fat_contents
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


def ask_all(
    device: WindowsDevice,
    requests: List[Dict[str, Any]],
    stands_in: str = "requests.py",
    environment: Optional[Dict[str, str]] = None,
) -> List[Dict[str, Any]]:
    for name in ("requests.py", stands_in):
        device.host_path("C:\\" + name).write_bytes((SUPPORT / "windows" / name).read_bytes())
    ran = device.python("C:\\" + stands_in, given=json.dumps(requests), more=environment)
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


RAW = r"\\.\PhysicalDrive1"


@pytest.mark.root
def test_onto_a_disk_that_nothing_uses(old_device: WindowsDevice, disk: WholeDisk, tmp_path: Path) -> None:
    """A disk in a docking station, of which Windows says that nothing uses it."""
    storage = old_device.host_path(r"C:\storage")
    if not storage.exists():
        storage.mkdir()
        old_device.host_path(r"C:\disk.raw").write_bytes(disk.path.read_bytes())
        assert old_device.image()["event"] == "result"
    target = tmp_path / "target.raw"
    target.write_bytes(b"old content" * 1000)
    size_bytes = disk.path.stat().st_size
    subprocess.run(["truncate", "-s", str(size_bytes), str(target)], check=True)
    loop = subprocess.run(["losetup", "-f", "--show", str(target)], stdout=subprocess.PIPE, text=True, check=True)
    link = old_device.prefix / "dosdevices" / "physicaldrive1"
    link.symlink_to(loop.stdout.strip())
    sizes = {"PLANTOPS_DISK_BYTES": str(size_bytes), "PLANTOPS_SECTOR_BYTES": "512"}
    asked = restore_to(RAW)
    try:
        used = ask_all(old_device, [asked], "free_disk.py", dict(sizes, PLANTOPS_VOLUMES="E F"))[0]
        assert used["code"] == "R160", used
        assert "E:" in used["message"]
        assert "F:" in used["message"]
        full, made, again = ask_all(
            old_device, [asked, dict(asked, overwrite=True), dict(asked, overwrite=True)], "free_disk.py", sizes
        )
    finally:
        link.unlink()
        detach(loop.stdout.strip())
    assert full["code"] == "R102", full
    assert made["targets"], made
    assert again["already_restored"] is True, again
    for placed in disk.parts:
        check_volume(placed.part.kind, disk.volume(placed, target, tmp_path))
    esp = disk.parts[0]
    assert fat_contents(disk.volume(esp, target, tmp_path), tmp_path) == fat_contents(
        disk.volume(esp, disk.path, tmp_path), tmp_path
    )
