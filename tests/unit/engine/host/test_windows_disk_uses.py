# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks of a running Windows are free: every use of one is a reason, and so is every question without an answer."""

from __future__ import annotations

from typing import Any, Callable, List, Sequence, Tuple

import pytest
from engine.host import windows_volumes
from engine.host.windows_disk_uses import uses_of_disk, volumes_on
from support.windows.disk_answers import DiskAnswers

FREE = r"\\.\PhysicalDrive1"
GUID = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"
LDM = "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"
POOL = "e75caf8f-f680-4cee-afa3-b001e56efc2d"


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> DiskAnswers:
    """A Windows on disk 0, with a paging file, and a disk 1 that nothing uses."""
    made = DiskAnswers()
    made.stand_in(monkeypatch)
    return made


def words(windows: DiskAnswers, path: str = FREE, folders: Sequence[Tuple[str, str]] = ()) -> str:
    found = "; ".join(uses_of_disk(path, folders))
    assert windows.open_handles == {}, "a handle stayed open"
    return found


def test_a_disk_that_nothing_uses_is_free(windows: DiskAnswers) -> None:
    assert uses_of_disk(FREE) == []
    windows.partitions[1] = [(1, 1 << 20, 8 << 20, GUID), (2, 9 << 20, 1 << 20, "7")]
    windows.devices["HarddiskVolume7"] = [(1, 1 << 20, 8 << 20)]
    assert uses_of_disk(FREE) == [], "a volume without a letter that no program has open"
    assert windows.open_handles == {}
    assert volumes_on(1) == ["\\\\?\\GLOBALROOT\\Device\\HarddiskVolume7"]


def test_the_disk_of_the_system_has_every_reason(windows: DiskAnswers) -> None:
    found = words(windows, r"\\.\PhysicalDrive0")
    for reason in ("Windows runs from it", "Windows starts from it", r"C:\pagefile.sys", "the volume C:\\ is on it"):
        assert reason in found


def start_elsewhere(windows: DiskAnswers) -> None:
    windows.devices["HarddiskVolume1"] = [(1, 1 << 20, 1 << 20)]


def page_there(windows: DiskAnswers) -> None:
    windows.mount("D:\\", [(1, 1 << 20, 8 << 20)])
    windows.paging.append("D:\\pagefile.sys")


def span(windows: DiskAnswers) -> None:
    windows.volume_names["\\\\?\\Volume{s}"] = [(0, 1 << 30, 8 << 20), (1, 1 << 20, 8 << 20)]


def open_volume(windows: DiskAnswers) -> None:
    windows.devices["HarddiskVolume7"] = [(1, 1 << 20, 8 << 20)]
    windows.in_use.append("HarddiskVolume7")


def encrypt(windows: DiskAnswers) -> None:
    windows.partitions[1] = [(2, 1 << 20, 8 << 20, GUID)]
    windows.begin[1, 1 << 20] = b"\xeb\x58\x90-FVE-FS-"


ATTACKS: List[Tuple[Callable[[DiskAnswers], Any], str]] = [
    (lambda windows: windows.mount("E:\\", [(1, 1 << 20, 8 << 20)]), "the volume E:\\ is on it"),
    (lambda windows: windows.mount("C:\\data\\", [(1, 1 << 20, 8 << 20)]), "the volume C:\\data\\ is on it"),
    (start_elsewhere, "Windows starts from it"),
    (page_there, "the paging file D:\\pagefile.sys"),
    (span, "and on other disks"),
    (open_volume, "HarddiskVolume7 on it open"),
    (encrypt, "partition 2 is encrypted by BitLocker"),
    (lambda windows: windows.begin.update({(1, 0): b"\xeb\x58\x90-FVE-FS-"}), "BitLocker as a whole"),
    (lambda windows: windows.partitions.update({1: [(1, 1 << 20, 1 << 20, LDM)]}), "dynamic disk"),
    (lambda windows: windows.partitions.update({1: [(1, 32256, 1 << 20, "42")]}), "dynamic disk"),
    (lambda windows: windows.partitions.update({1: [(1, 1 << 20, 1 << 20, POOL)]}), "member of a pool"),
    (lambda windows: windows.buses.update({1: 16}), "virtual disk of Storage Spaces"),
    (lambda windows: windows.flags.update({1: 1}), "it is offline"),
    (lambda windows: windows.flags.update({1: 2}), "read-only"),
    (lambda windows: windows.protected.append(1), "write-protected"),
    (lambda windows: windows.clustered.append(1), "failover cluster"),
    (lambda windows: windows.not_disks.append(1), "it is not a disk"),
]


@pytest.mark.parametrize(("attack", "reason"), ATTACKS)
def test_each_use_is_a_reason(windows: DiskAnswers, attack: Callable[[DiskAnswers], Any], reason: str) -> None:
    attack(windows)
    assert reason in words(windows)


@pytest.mark.parametrize("number", range(len(ATTACKS) - 1))
def test_two_uses_are_two_reasons(windows: DiskAnswers, number: int) -> None:
    """Each use beside another one: nothing that was found ends the search. The last one leaves nothing to look at."""
    (attack, reason), (beside, other) = ATTACKS[number], ATTACKS[(number + 5) % (len(ATTACKS) - 1)]
    attack(windows)
    windows.partitions_of_first = windows.partitions.get(1, [])
    beside(windows)
    if windows.partitions.get(1) is not windows.partitions_of_first:
        windows.partitions[1] = windows.partitions_of_first + windows.partitions.get(1, [])
    found = words(windows)
    if "open" in (reason + other) and windows.mounts:
        reason = other = "is on it"  # a letter says it already
    assert reason in found
    assert other in found


@pytest.mark.parametrize(
    "question",
    [
        *("disk_number", "disk_flags", "is_clustered", "is_writable", "bus", "partitions", "extents", "volumes"),
        *("volume_devices", "volume_of", "starting_device", "paging_files"),
    ],
)
def test_a_question_without_an_answer_is_a_reason(
    windows: DiskAnswers, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*dummy: Any) -> Any:
        raise PermissionError(13, "Access is denied", None, 5)

    monkeypatch.setattr(windows_volumes, question, refuse)
    assert "Windows does not tell" in words(windows)


def test_a_windows_that_does_not_say_what_it_started_from_keeps_every_disk(windows: DiskAnswers) -> None:
    windows.starting = ""
    assert "what it was started from" in words(windows)


def test_a_disk_that_is_not_opened_is_not_free(windows: DiskAnswers) -> None:
    windows.closed.append(1)
    assert "does not open it" in words(windows)


def test_storage_and_agent_are_named(windows: DiskAnswers) -> None:
    windows.mount("E:\\", [(1, 1 << 20, 8 << 20)])
    folders = [(r"E:\backup", "the storage"), (r"E:\agent", "the agent"), (r"C:\other", "something else")]
    found = words(windows, FREE, folders)
    assert r"the storage is on it (E:\backup)" in found
    assert r"the agent is on it (E:\agent)" in found
    assert "something else" not in found
    windows.remote.append("Z")
    assert words(windows, r"\\.\PhysicalDrive2", [("Z:\\backup", "the storage")]) == "", "on a server"


def test_drives_without_a_medium_and_of_other_kinds_say_nothing(windows: DiskAnswers) -> None:
    windows.empty.update({"HarddiskVolume8": 21, "HarddiskVolume9": 1})
    assert words(windows) == ""
    windows.empty["HarddiskVolume9"] = 5
    assert "HarddiskVolume9" in words(windows)
