# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of Windows about disks and volumes: long ones, ones that contradict themselves, and the registry of a real PC."""

from __future__ import annotations

import struct
from typing import Any, Dict, List

import pytest
from engine.host import windows_devices, windows_volumes
from support.windows.disk_answers import DiskAnswers, error_of

# of a PC with Windows 8.1: the hive SYSTEM of the test data of dfwinreg
REAL: Dict[str, Dict[str, Any]] = {
    r"SYSTEM\Setup": {"OsLoaderPath": "\\", "SystemPartition": r"\Device\HarddiskVolume1"},
    r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management": {
        "PagingFiles": [r"?:\pagefile.sys"],
        "ExistingPageFiles": [r"\??\C:\pagefile.sys"],
    },
    r"SYSTEM\CurrentControlSet\Control\CrashControl": {"DumpFile": r"%SystemRoot%\MEMORY.DMP"},
}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Dict[str, Dict[str, Any]]:
    keys = {path: dict(values) for path, values in REAL.items()}

    class Registry:
        def values(self, path: str) -> Dict[str, Any]:
            return keys.get(path, {})

    monkeypatch.setattr(windows_volumes, "RunningRegistry", Registry)
    return keys


def test_the_registry_of_a_real_pc(registry: Dict[str, Dict[str, Any]]) -> None:
    assert windows_volumes.starting_device() == r"\\?\GLOBALROOT\Device\HarddiskVolume1"
    assert windows_volumes.paging_files() == [r"C:\pagefile.sys"]
    memory, crash = (path for path in registry if "Setup" not in path)
    registry[memory]["PagingFiles"] = [r"D:\pagefile.sys 0 0", r"E:\my pages.sys 4096 8192", "", r"C:\pagefile.sys 1 1"]
    registry[crash]["DedicatedDumpFile"] = r"F:\dump.sys"
    assert windows_volumes.paging_files() == [
        *(r"C:\pagefile.sys", r"D:\pagefile.sys", r"E:\my pages.sys", r"F:\dump.sys")
    ]
    registry.clear()
    assert (windows_volumes.starting_device(), windows_volumes.paging_files()) == ("", [])


def test_a_value_that_is_not_a_device_names_none(registry: Dict[str, Dict[str, Any]]) -> None:
    for value in (7, "", "C:", [r"\Device\HarddiskVolume1"]):
        registry[r"SYSTEM\Setup"]["SystemPartition"] = value
        assert windows_volumes.starting_device() == ""


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> DiskAnswers:
    made = DiskAnswers()
    made.stand_in(monkeypatch)
    return made


def test_a_volume_of_many_extents_is_asked_for_again_with_more_room(
    answers: DiskAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [(number % 7, number << 20, 1 << 20) for number in range(200)]
    answers.devices["HarddiskVolume7"] = many
    ask, sizes = windows_devices.ask, []

    def short(handle: int, code: int, size: int, given: bytes = b"") -> bytes:
        sizes.append(size)
        if size < 8 + 24 * len(many):
            raise error_of(234)
        return ask(handle, code, size, given)

    monkeypatch.setattr(windows_devices, "ask", short)
    found = windows_volumes.extents("\\\\?\\GLOBALROOT\\Device\\HarddiskVolume7")
    assert [tuple(one) for one in found] == many
    assert sizes == sorted(sizes)
    assert answers.open_handles == {}


def test_a_disk_of_many_partitions_is_asked_for_again_with_more_room(answers: DiskAnswers) -> None:
    answers.partitions[1] = [(number, number << 20, 1 << 20, "07") for number in range(1, 300)]
    found = windows_volumes.partitions(windows_devices.open_device(r"\\.\PhysicalDrive1"))
    assert [tuple(one) for one in found] == answers.partitions[1]


@pytest.mark.parametrize(
    "answer", [struct.pack("<II", 1, 4), struct.pack("<I4x", 3) + bytes(24), struct.pack("<II40x", 0, 1 << 31), b""]
)
def test_answers_that_contradict_themselves_are_none(
    answers: DiskAnswers, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    handle = windows_devices.open_device(r"\\.\PhysicalDrive1")
    monkeypatch.setattr(windows_devices, "ask", lambda *dummy: answer)
    refused: List[str] = []
    for ask in (lambda: windows_volumes.partitions(handle), lambda: windows_volumes.extents("v")):
        try:
            assert ask() == []
        except (ValueError, struct.error) as error:
            refused.append(str(error))
    assert refused
    windows_devices.close_device(handle)
    assert answers.open_handles == {}
