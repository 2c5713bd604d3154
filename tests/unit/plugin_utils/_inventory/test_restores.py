# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two imaged disks on one target are an error by whatever names, and a target that no restore takes is one, too."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine import errors
from support.inventories import HOST, Broken, assert_told, checked, of_host, written

BY_ID = "/dev/disk/by-id/"
SAME = [
    ("/dev/sdb", "/dev/sdb"),
    ("/dev/sdb", "/dev//sdb"),
    ("/dev/sdb", "//dev/./sdb"),
    ("/dev/sdb", "/dev/disk/../sdb"),
    ("/dev/sdb", "/dev/sdb1"),
    ("/dev/nvme0n1p2", "/dev/nvme0n1"),
    ("/dev/mmcblk0", "/dev/mmcblk0p1"),
    (BY_ID + "ata-Disk_1_SER1", BY_ID + "scsi-SATA_Disk_1_SER1"),
    (BY_ID + "ata-Disk_1_SER1", BY_ID + "scsi-0ATA_Disk_1_SER1"),
    (BY_ID + "ata-Disk_1_SER1", BY_ID + "ata-Disk_1_SER1-part3"),
    ("/srv/a.raw", "/srv/x/../a.raw"),
    ("D:/restored/a.raw", "d:\\\\RESTORED\\\\a.raw"),
    ("\\\\\\\\.\\\\PhysicalDrive1", "//?/physicaldrive01"),
    ("{{ spare }}", "/dev/sdb"),
]
UNKNOWN = [
    ("/dev/sdb", BY_ID + "ata-Disk_1_SER1"),
    (BY_ID + "wwn-0x5000", BY_ID + "ata-Disk_1_SER1"),
    ("/dev/disk/by-path/pci-0000:00:1f.2-ata-1", "/dev/sdb"),
    ("/dev/mapper/data", "/dev/sdb"),
]
DIFFERENT = [
    ("/dev/sdb", "/dev/sdc"),
    ("/dev/sdb1", "/dev/sdb2"),
    ("/dev/sdb", "/dev/sdbb"),
    ("/dev/sdb", "/srv/a.raw"),
    (BY_ID + "ata-Disk_1_SER1", BY_ID + "ata-Disk_1_SER2"),
    ("/dev/nvme0n1", "/dev/nvme0n2"),
    ("/srv/a.raw", "/srv/A.raw"),
    ("\\\\\\\\.\\\\PhysicalDrive1", "\\\\\\\\.\\\\PhysicalDrive2"),
    ("{{ of_the_play }}", "/dev/sdb"),
]


def line(first: str, second: str) -> str:
    return 'imaging_restore_map: {disk0: "%s", disk1: "%s"}\nspare: /dev/sdb' % (first, second)


@pytest.mark.parametrize(("first", "second"), SAME)
def test_two_disks_on_one_target_are_an_error(first: str, second: str, tmp_path: Path) -> None:
    assert_told(of_host(errors.RestoreTargetsSame, "imaging_restore_map.disk1", line(first, second)), tmp_path)


@pytest.mark.parametrize(("first", "second"), UNKNOWN)
def test_names_that_only_the_device_can_compare_are_a_warning(first: str, second: str, tmp_path: Path) -> None:
    (one,) = checked(written(tmp_path, **{HOST: line(first, second) + "\n"}))
    assert (one.level, one.code) == ("warning", errors.RestoreTargetsUnchecked.code)


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_two_targets_are_fine(first: str, second: str, tmp_path: Path) -> None:
    assert checked(written(tmp_path, **{HOST: line(first, second) + "\n"})) == []


@pytest.mark.parametrize(
    "target",
    ["sdb", "./a.raw", "/srv/", "D:", "D:\\\\", "\\\\\\\\.\\\\PhysicalDrive", "\\\\\\\\?\\\\C:", "/srv/a\\tb"],
)
def test_a_target_that_no_restore_takes_is_an_error(target: str, tmp_path: Path) -> None:
    new = 'imaging_restore_map: {disk0: "%s"}' % target
    assert_told(Broken(errors.SettingRefused, "imaging_restore_map.disk0", HOST, new), tmp_path)
