# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of Windows by its raw name: aligned reads, its length, and the rule that a volume in use is not read unfrozen."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from support.filled import check_volume, detach
from support.imaging import restore, verify
from support.paths import SUPPORT
from support.whole_disks import WholeDisk
from support.windows.device import WindowsDevice
from support.windows.kinds import WINDOWS_7

RAW = r"\\.\PhysicalDrive1"


@contextlib.contextmanager
def as_loop(path: Path) -> Iterator[str]:
    loop = subprocess.run(["losetup", "-f", "--show", "-r", str(path)], stdout=subprocess.PIPE, text=True, check=True)
    try:
        yield loop.stdout.strip()
    finally:
        detach(loop.stdout.strip())


@pytest.fixture(scope="module")
def device(disk: WholeDisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsDevice]:
    with as_loop(disk.path) as loop, WindowsDevice(tmp_path_factory.mktemp("device") / "prefix", WINDOWS_7) as made:
        made.link_disk("PhysicalDrive1", loop)
        made.host_path(r"C:\raw_disks.py").write_bytes((SUPPORT / "windows" / "raw_disks.py").read_bytes())
        made.host_path(r"C:\storage").mkdir()
        yield made


@pytest.mark.root
def test_a_disk_that_windows_uses_is_not_read_unfrozen(device: WindowsDevice, disk: WholeDisk) -> None:
    environment = {"PLANTOPS_DISK_BYTES": str(disk.path.stat().st_size), "PLANTOPS_SECTOR_BYTES": "512"}
    error = device.image(RAW, stands_in=r"C:\raw_disks.py", environment=environment)
    assert (error["event"], error.get("code")) == ("error", "N100")


@pytest.mark.root
@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_an_image_of_a_raw_disk(device: WindowsDevice, disk: WholeDisk, tmp_path: Path, sector_bytes: int) -> None:
    size = disk.path.stat().st_size
    environment = {"PLANTOPS_DISK_BYTES": str(size), "PLANTOPS_SECTOR_BYTES": str(sector_bytes)}
    stamp = "2026-11-29_2%d-00-00" % (sector_bytes // 4096)
    made = device.image(RAW, stands_in=r"C:\raw_disks.py", environment=environment, snapshot="none", timestamp=stamp)
    assert made["event"] == "result", made
    assert made["disks"][0]["layout"]["size_bytes"] == size
    storage = device.host_path(r"C:\storage")
    assert verify(storage)["ok"]
    restored = tmp_path / "restored.raw"
    restore(storage, restored)
    for placed in disk.parts:
        check_volume(placed.part.kind, disk.volume(placed, restored, tmp_path))
