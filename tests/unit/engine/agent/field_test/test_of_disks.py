# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions about disks and volumes, asked a Windows whose answers are bytes of its structures: a right one satisfies every rule."""

from __future__ import annotations

import subprocess
from typing import Any, Dict, Iterator, List

import pytest
from engine.agent.field_test import guard, powershell
from engine.agent.field_test.catalogue import BY_NAME
from engine.host import windows_devices, windows_disks, windows_volumes
from support.windows import disk_bytes
from support.windows.disk_answers import DiskAnswers, error_of

MIB = 1 << 20
SYSTEM = "\\\\?\\Volume{4c1b02c1-d990-11dc-99ae-806e6f6e6963}"
BASIC = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[DiskAnswers]:
    """A Windows on one disk with a system volume, which the field test may only ask."""
    told = DiskAnswers()
    told.volume_names = {SYSTEM: [(0, 2 * MIB, 4 * MIB)]}
    told.points = {"C:\\": SYSTEM}
    told.devices = {"HarddiskVolume1": [(0, MIB, MIB)], "HarddiskVolume2": [(0, 2 * MIB, 4 * MIB)]}
    told.partitions = {0: [(1, MIB, MIB, BASIC), (2, 2 * MIB, 4 * MIB, BASIC)]}
    told.described = {0: {0: disk_bytes.descriptor(disk_bytes.SATA, model="Disk 500", serial="S1")}}
    told.stand_in(monkeypatch)
    content = bytearray(bytes(range(256)) * (8 * MIB // 256))
    told.give(monkeypatch, 0, content)

    def read_at(handle: int, offset_bytes: int, buffer: memoryview) -> int:
        if offset_bytes % 512 or len(buffer) % 512:
            raise error_of(87)
        name = told.open_handles[handle]
        start, length = (2 * MIB, 4 * MIB) if name.endswith("C:") else (0, len(content))
        piece = content[start : start + length][offset_bytes : offset_bytes + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    monkeypatch.setattr(windows_devices, "read_at", read_at)
    lengths = {True: 4 * MIB, False: len(content)}
    monkeypatch.setattr(
        windows_devices, "length_bytes", lambda handle: lengths[told.open_handles[handle].endswith("C:")]
    )
    for module, name in guard.FORBIDDEN:
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(windows_devices, "ask", windows_devices.ask)
    guard.forbid_writes()
    yield told
    assert told.open_handles == {}, "a handle is left open"
    assert told.events == []


def broken(name: str) -> List[str]:
    check = BY_NAME[name]
    found = check.ask()
    return [rule.field for rule in check.rules if not rule.holds(found)]


ASKED = (
    *("disk_names", "disk_numbers", "disk_bus", "disk_state", "partitions", "volumes", "extents"),
    *("starting_device", "paging_files", "claims", "disk_facts", "disk_lengths", "raw_reads", "last_sectors"),
)


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("name", ASKED)
def test_a_windows_that_answers_as_documented_satisfies_every_rule(name: str) -> None:
    assert broken(name) == []


WRONG: Dict[str, Any] = {
    "disk_names": lambda told: told.devices.clear(),
    "disk_numbers": lambda told: told.errors.update({(0, windows_volumes.IOCTL_STORAGE_GET_DEVICE_NUMBER): 50}),
    "disk_bus": lambda told: told.errors.update({(0, windows_volumes.IOCTL_STORAGE_QUERY_PROPERTY): 50}),
    "disk_state": lambda told: told.errors.update({(0, windows_volumes.IOCTL_DISK_GET_DISK_ATTRIBUTES): 5}),
    "partitions": lambda told: told.partitions.clear(),
    "volumes": lambda told: told.optical.append(SYSTEM),
    "extents": lambda told: told.partitions.update({0: [(1, 3 * MIB, MIB, BASIC)]}),
    "starting_device": lambda told: setattr(told, "starting", ""),
    "paging_files": lambda told: setattr(told, "paging", ["pagefile.sys"]),
    "disk_facts": lambda told: told.described.clear(),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_answer_breaks_a_rule(name: str, answers: DiskAnswers) -> None:
    WRONG[name](answers)
    assert broken(name) != []


@pytest.mark.usefixtures("answers")
def test_unaligned_reads_that_succeed_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Wine answers them."""
    monkeypatch.setattr(windows_devices, "read_at", lambda handle, offset_bytes, buffer: len(buffer))
    assert {"unaligned_place", "unaligned_length"} <= set(broken("raw_reads"))


def test_a_disk_without_a_medium_is_not_an_error(answers: DiskAnswers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card reader: error 21."""

    def names() -> List[str]:
        return ["\\\\.\\PhysicalDrive0", "\\\\.\\PhysicalDrive1"]

    monkeypatch.setattr(windows_devices, "disk_names", names)
    monkeypatch.setattr(windows_disks.devices, "disk_names", names)
    for code in (windows_volumes.IOCTL_STORAGE_GET_DEVICE_NUMBER, windows_volumes.IOCTL_DISK_GET_DRIVE_LAYOUT_EX):
        answers.errors[1, code] = 21
    assert broken("disk_numbers") == []
    assert broken("partitions") == []


@pytest.mark.parametrize(
    ("is_encrypted", "text", "agrees"),
    [
        (False, "0\r\n", True),
        (True, " 1 \r\n", True),
        (True, "0\r\n", False),
        (False, "1\r\n", False),
        (True, "", True),
        (False, "Get-WmiObject : Invalid namespace\r\n", True),
    ],
)
def test_the_header_of_bitlocker_is_compared_with_what_windows_says(
    is_encrypted: bool, text: str, agrees: bool, answers: DiskAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.devices["\\\\.\\C:"] = answers.volume_names[SYSTEM]
    if is_encrypted:
        answers.contents[0][2 * MIB + 3 : 2 * MIB + 11] = b"-FVE-FS-"
    done = subprocess.CompletedProcess([], 0, text.encode("ascii"), b"")
    monkeypatch.setattr(powershell.subprocess, "run", lambda *dummy, **dummy_named: done)
    monkeypatch.setattr(powershell.windows_calls, "system_folder", lambda: r"C:\Windows\System32")
    found = BY_NAME["bitlocker"].ask()
    assert (found["by_header"], found["agrees"]) == (is_encrypted, agrees)


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("0|512|8388608|S1\r\n", []),
        ("\xff\r\n0|512|8388608|  S1  \r\nnoise\r\n", []),
        ("0|4096|8388608|S1\r\n", ["sizes_differ"]),
        ("0|512|9388608|S1\r\n", ["sizes_differ"]),
        ("0|512|8388608|S2\r\n", ["serials_differ"]),
        ("", ["disks"]),
    ],
)
def test_the_answer_of_wmi_is_compared(text: str, fields: List[str], monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess([], 0, text.encode("latin-1"), b"")
    monkeypatch.setattr(powershell.subprocess, "run", lambda *dummy, **dummy_named: done)
    monkeypatch.setattr(powershell.windows_calls, "system_folder", lambda: r"C:\Windows\System32")
    assert broken("disks_by_wmi") == fields
