# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan and the result of a restore report whether the disks start, with what to do where they may not."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, List, Sequence, Tuple

import pytest
from engine.image.reader import ImageReader
from engine.restore import boot_report as module
from engine.restore.boot_entry import Machine
from engine.restore.boot_report import boot_report
from engine.restore.plan import PlannedDisk, plan
from engine.restore.rescue_system import System
from engine.storage.local.storage import DirectoryStorage
from support.imaging import PASSWORD, image, restore

from .test_boot_look import ESP, efi_volume, table

RESCUE = System(True, "this machine runs a system from memory")
GOOD = ("EFI/BOOT/BOOTX64.EFI", "EFI/debian/shimx64.efi")


def imaged(tmp_path: Path, files: Sequence[str], second: bytes = b"") -> Tuple[Path, Path]:
    disk = tmp_path / "disk.raw"
    table(disk, "gpt", "start=1MiB, size=40MiB, type=%s" % ESP, "size=10MiB")
    efi_volume(disk, files)
    with open(str(disk), "r+b") as file:
        file.seek(41 << 20)
        file.write(second)
    image(tmp_path / "storage", disk)
    return tmp_path / "storage", disk


def planned_on(storage: Path, target: Path, is_device: bool) -> Tuple[ImageReader, List[PlannedDisk]]:
    reader = ImageReader(DirectoryStorage(str(storage)), "pc", "latest", PASSWORD)
    planned = plan(reader, {"disk0": str(target)}, False)
    planned[0].target.is_device = is_device
    return reader, planned


@pytest.fixture(autouse=True)
def tools(need: Any) -> None:
    need("sfdisk", "mkfs.fat", "mcopy", "mmd")


def test_plan_and_result_name_the_firmware_and_the_missing_fallback(tmp_path: Path) -> None:
    storage, disk = imaged(tmp_path, ["EFI/debian/shimx64.efi"])
    target = tmp_path / "restored.raw"
    for done in (restore(storage, target, check=True), restore(storage, target)):
        (one,) = done["boot"]["disks"]
        assert (one["disk"], one["starts"], one["efi_partition"], one["efi_fallback"]) == ("disk0", "uefi", 1, False)
        assert one["entry"] == "not_needed"  # a file
        assert len(done["plan"]) == 4
        (warning,) = done["warnings"]
        assert "EFI/BOOT/BOOTX64.EFI" in warning
        assert "efibootmgr -c" in warning
    assert target.read_bytes() == disk.read_bytes()


def test_a_disk_with_its_fallback_warns_of_nothing(tmp_path: Path) -> None:
    storage, dummy_disk = imaged(tmp_path, GOOD)
    done = restore(storage, tmp_path / "restored.raw")
    assert done["boot"]["disks"][0]["efi_fallback"] is True
    assert done["warnings"] == []


def test_a_rescue_system_creates_the_entry_once(tmp_path: Path) -> None:
    storage, dummy_disk = imaged(tmp_path, GOOD)
    calls: List[List[str]] = []
    entries: List[str] = []

    def efibootmgr(arguments: List[str]) -> str:
        calls.append(arguments)
        if "-c" in arguments:
            entries.append("Boot0001* x HD(1,GPT,%s,0x800,0x14000)/File(x)" % identity)
        return "\n".join(entries)

    reader, planned = planned_on(storage, tmp_path / "restored.raw", is_device=True)
    identity = planned[0].scope.layout.partitions[0].unique_id
    machine = Machine(True, RESCUE, efibootmgr)
    before = boot_report(reader, planned, True, machine)
    assert before.lacks_entry
    assert not entries
    states = [boot_report(reader, planned, False, machine).document["disks"][0]["entry"] for dummy in range(2)]
    assert states == ["created", "exists"]
    (created,) = [one for one in calls if "-c" in one]
    assert created[created.index("-d") + 1] == planned[0].target.path
    assert created[created.index("-p") + 1] == "1"
    assert created[-1].lower() == "\\efi\\debian\\shimx64.efi"
    # A file is no disk of this machine.
    reader, planned = planned_on(storage, tmp_path / "restored.raw", is_device=False)
    assert boot_report(reader, planned, False, machine).document["disks"][0]["entry"] == "not_needed"


def test_another_firmware_mode_is_a_warning(tmp_path: Path) -> None:
    storage, dummy_disk = imaged(tmp_path, GOOD)
    reader, planned = planned_on(storage, tmp_path / "restored.raw", is_device=True)
    machine = Machine(False, RESCUE, lambda arguments: "")
    report = boot_report(reader, planned, True, machine)
    assert report.document["machine"] == "bios"
    assert any("UEFI" in text and "BIOS" in text for text in report.warnings)


@pytest.mark.parametrize(("is_same", "count"), [(False, 1), (True, 0)])
def test_encryption_that_a_tpm_opens_is_a_warning_on_another_machine(
    is_same: bool, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, dummy_disk = imaged(tmp_path, GOOD, b"\xeb\x58\x90-FVE-FS-")
    monkeypatch.setattr(module, "_is_same_machine", lambda reader: is_same)
    reader, planned = planned_on(storage, tmp_path / "restored.raw", is_device=False)
    report = boot_report(reader, planned, True, Machine(True, RESCUE, lambda arguments: ""))
    assert len([text for text in report.warnings if "BitLocker" in text]) == count


@pytest.mark.parametrize(
    ("transport", "is_same", "count"), [("nvme", False, 1), ("sata", False, 0), ("nvme", True, 0), ("virtio", False, 1)]
)
def test_windows_on_another_storage_controller_is_a_warning(
    transport: str, is_same: bool, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, dummy_disk = imaged(tmp_path, ["EFI/Boot/bootx64.efi", "EFI/Microsoft/Boot/bootmgfw.efi"])
    monkeypatch.setattr(module, "_is_same_machine", lambda reader: is_same)
    monkeypatch.setattr(module, "_transport", lambda disk: transport)
    reader, planned = planned_on(storage, tmp_path / "restored.raw", is_device=False)
    report = boot_report(reader, planned, True, Machine(True, RESCUE, lambda arguments: ""))
    assert report.document["disks"][0]["is_windows"]
    assert len([text for text in report.warnings if transport in text]) == count


@pytest.mark.parametrize(("is_doubtful", "count"), [(True, 1), (False, 0)])
def test_a_machine_that_may_be_a_rescue_system_gets_the_command(is_doubtful: bool, count: int, tmp_path: Path) -> None:
    """No entry is made for a guess, and an installed system that writes a clone gets no advice to start it."""
    storage, dummy_disk = imaged(tmp_path, GOOD)
    calls: List[List[str]] = []
    reader, planned = planned_on(storage, tmp_path / "restored.raw", is_device=True)
    machine = Machine(True, System(False, "the reason", is_doubtful), lambda arguments: str(calls.append(arguments)))
    report = boot_report(reader, planned, False, machine)
    assert report.document["disks"][0]["entry"] == "skipped"
    assert calls == []
    assert len([text for text in report.warnings if "efibootmgr -c -d" in text and "the reason" in text]) == count


def test_an_entry_that_is_made_is_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk holds the image already; only the firmware lacks the entry, as after a change of the mainboard."""
    storage, dummy_disk = imaged(tmp_path, GOOD)
    target = tmp_path / "restored.raw"
    restore(storage, target)
    made: List[str] = []

    def efibootmgr(arguments: List[str]) -> str:
        if "-c" in arguments:
            made.append("Boot0001* x HD(1,GPT,%s,0x800,0x14000)/File(x)" % identity)
        return "\n".join(made)

    identity = planned_on(storage, target, is_device=False)[1][0].scope.layout.partitions[0].unique_id
    monkeypatch.setattr(module, "this_machine", lambda: Machine(True, RESCUE, efibootmgr))
    monkeypatch.setattr(module, "_is_disk_of_this_machine", lambda disk: True)
    said = [restore(storage, target, check=True), restore(storage, target), restore(storage, target)]
    assert [one["boot"]["disks"][0]["entry"] for one in said] == ["to_create", "created", "exists"]
    assert [(one["changed"], one["already_restored"]) for one in said] == [(True, True), (True, True), (False, True)]
    assert len(made) == 1
    assert any("boot entry" in text for text in said[1]["plan"])


@pytest.mark.parametrize("vendor", ["a'; touch x; '", "$(id)", "a b", "caf\u00e9", "-x;y", "a`id`"])
def test_no_command_has_a_hostile_name_of_the_disk(vendor: str) -> None:
    """Names on an imaged FAT may have whatever a shell acts on."""
    loader = "EFI/%s/shimx64.efi" % vendor
    said = module._remedy(loader, "/dev/sdx", 1)
    assert said
    assert vendor not in said
    assert "efibootmgr" not in said
    assert module._or_run(loader, "/dev/sdx", 1) == ""


@pytest.mark.parametrize("target", ["/dev/sdx", "/dev/disk/by-id/a b;id"])
def test_the_command_is_words_of_a_shell(target: str) -> None:
    words = shlex.split(module._or_run("EFI/debian/shimx64.efi", target, 2).replace(", or run ", ""))
    assert words == ["efibootmgr", "-c", "-d", target, "-p", "2", "-l", "\\EFI\\debian\\shimx64.efi"]
