# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine under Windows Python: a disk file is imaged there, and the image is whole for Linux."""

from __future__ import annotations

from pathlib import Path

from support.filled import check_volume
from support.imaging import restore, verify
from support.whole_disks import WholeDisk
from support.windows.device import WindowsDevice


def test_an_image_made_there_is_restored_here(one_device: WindowsDevice, disk: WholeDisk, tmp_path: Path) -> None:
    device = one_device
    device.host_path(r"C:\disk.raw").write_bytes(disk.path.read_bytes())
    device.host_path(r"C:\storage").mkdir(exist_ok=True)
    made = device.image()
    assert made["event"] == "result", made
    assert made["bytes_in_use"] < made["disks"][0]["layout"]["size_bytes"], "unused clusters were stored"
    assert [volume["kind"] for volume in made["disks"][0]["volumes"]] == ["fat16", "ntfs"]
    second = device.image(timestamp="2026-11-29_19-00-00")
    assert second["bytes_stored"] < made["bytes_stored"] / 4, "the second image sent what was there"

    storage = device.host_path(r"C:\storage")
    assert verify(storage, device="pc")["ok"]
    restored = tmp_path / "restored.raw"
    restore(storage, restored, device="pc")
    for placed in disk.parts:
        check_volume(placed.part.kind, disk.volume(placed, restored, tmp_path))
