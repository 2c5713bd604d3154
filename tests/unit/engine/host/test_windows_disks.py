# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of Windows and the places of its volumes: what it tells, and what it does not."""

from __future__ import annotations

import pytest
from engine.host import windows_devices, windows_disks, windows_volumes
from engine.host.windows_disks import DEVICE, DEVICE_ID, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX
from support.windows import disk_bytes
from support.windows.disk_answers import DiskAnswers

GIB = 1 << 30


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> DiskAnswers:
    made = DiskAnswers()
    made.stand_in(monkeypatch)
    return made


def test_a_disk_that_tells_all(answers: DiskAnswers) -> None:
    answers.geometries[0] = disk_bytes.geometry(256 * GIB)
    answers.flags[0] = 2
    answers.described[0] = {
        DEVICE: disk_bytes.descriptor(disk_bytes.SATA, "ST1000", "Z4Y1", "SEAGATE", "CC43"),
        DEVICE_ID: disk_bytes.identifiers([(1, 3, 0, bytes.fromhex("5000c500a1b2c3d4"))]),
        windows_disks.ACCESS_ALIGNMENT: disk_bytes.alignment(512, 4096),
        windows_disks.SEEK_PENALTY: disk_bytes.seek_penalty(True),
    }
    found = windows_disks.facts_of(0)
    assert (found.size_bytes, found.sector_bytes, found.physical_sector_bytes) == (256 * GIB, 512, 4096)
    assert (found.vendor, found.model, found.revision, found.serial) == ("SEAGATE", "ST1000", "CC43", "Z4Y1")
    assert (found.bus, found.wwn, found.rotational) == ("sata", "5000c500a1b2c3d4", True)
    assert (found.is_read_only, found.is_offline, found.removable, found.problem) == (True, False, False, "")
    assert answers.open_handles == {}


def test_a_disk_that_tells_only_its_size(answers: DiskAnswers) -> None:
    answers.geometries[1] = disk_bytes.geometry(8 * GIB, 4096)
    found = windows_disks.facts_of(1)
    assert (found.size_bytes, found.physical_sector_bytes, found.wwn, found.serial) == (8 * GIB, 4096, "", "")
    assert found.problem == ""


@pytest.mark.parametrize("code", [21, 1110, 1112])
def test_a_card_reader_without_a_card_is_no_problem(answers: DiskAnswers, code: int) -> None:
    answers.errors[1, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX] = code
    found = windows_disks.facts_of(1)
    assert (found.size_bytes, found.problem, found.bus) == (0, "", "sata")


def test_a_disk_that_does_not_answer_says_why(answers: DiskAnswers) -> None:
    answers.errors[1, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX] = 1117
    assert "1117" in windows_disks.facts_of(1).problem
    answers.geometries[2] = bytes(7)
    assert "7 bytes" in windows_disks.facts_of(2).problem
    answers.closed.append(3)
    assert "error 5" in windows_disks.facts_of(3).problem
    assert answers.open_handles == {}


def test_names_of_disks() -> None:
    assert windows_disks.number_in(r"\\.\PhysicalDrive12") == 12
    assert windows_disks.number_in("//?/physicaldrive3") == 3
    for name in (r"\\.\C:", r"\\.\PhysicalDrive99999", "disk0", r"C:\PhysicalDrive0", ""):
        assert windows_disks.number_in(name) is None
    assert windows_disks.number_in(windows_disks.path_of(7)) == 7


def test_volumes_have_their_places_and_each_comes_once(answers: DiskAnswers) -> None:
    answers.mount("D:\\", [(1, 1 << 20, GIB)])
    found = windows_disks.volumes_of_disks()
    assert [one.points for one in found.placed] == [("C:\\",), ("D:\\",), ()]
    assert found.placed[2].name.endswith("HarddiskVolume1"), "a hidden one has its device alone"
    assert found.unknown == []
    at = found.at(1, 0, 2 << 20)
    assert at is not None
    assert at.points == ("D:\\",)
    assert at.size_bytes == GIB
    assert found.at(1, 0, 1 << 20) is None
    assert found.at(2, 0, GIB) is None


def test_volumes_whose_place_is_not_told_are_unknown(answers: DiskAnswers, monkeypatch: pytest.MonkeyPatch) -> None:
    answers.empty["HarddiskVolume9"] = 5
    answers.empty["HarddiskVolume8"] = 1
    answers.optical.append("\\\\?\\GLOBALROOT\\Device\\HarddiskVolume8")
    assert [one.rpartition("\\")[2] for one in windows_disks.volumes_of_disks().unknown] == ["HarddiskVolume9"]

    def refuse(dummy_volume: str) -> None:
        raise OSError(22, "of the test")

    monkeypatch.setattr(windows_volumes, "mount_points", refuse)
    assert "\\\\?\\Volume{c}" in windows_disks.volumes_of_disks().unknown, "a letter might be missing"


def test_where_windows_is_and_where_it_starts(answers: DiskAnswers) -> None:
    assert windows_disks.extents_of_windows() == [(0, 2 << 20, GIB)]
    assert windows_disks.extents_of_start() == [(0, 1 << 20, 1 << 20)]
    answers.starting = ""
    assert windows_disks.extents_of_start() == []
    answers.remote.append("X")
    assert windows_disks.extents_of_folder("X:\\images") == []


def test_the_disks_that_windows_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["PhysicalDrive10", "C:", "PhysicalDrive0", "PhysicalDriveX", "PhysicalDrive2"]
    monkeypatch.setattr(windows_devices, "dos_names", lambda: names)
    assert windows_disks.numbers() == [0, 2, 10]
