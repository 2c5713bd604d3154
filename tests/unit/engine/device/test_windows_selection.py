# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in imaging_drives on Windows: letters, folders, words, numbers and ids. What needs Windows itself is tested under Windows Python."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Tuple

import pytest
from engine.device import windows_disks
from engine.device.chosen import Chosen, can_move
from engine.device.windows_selection import WindowsSelection
from engine.errors import DiskNotFound, DriveAmbiguous, DriveUnknown, NoDriveChosen, WindowsSilent
from engine.host import windows_devices, windows_volumes
from support.windows import disk_bytes
from support.windows.disk_answers import error_of
from support.windows.pc import NAA, Pc
from support.windows.tables import BASIC, DYNAMIC, EFI, MIB, POOL, Part, gpt, mbr, plain

DISKS = [r"\\.\PhysicalDrive%d" % number for number in range(4)]
WINDOWS, START = (4 * MIB, 12 * MIB), (1 * MIB, 3 * MIB)


@pytest.fixture
def pc(monkeypatch: pytest.MonkeyPatch) -> Pc:
    return Pc(monkeypatch)


def choose(*entries: str, storage: str = "") -> List[Chosen]:
    return WindowsSelection(storage).choose(entries)


def paths(*entries: str, storage: str = "") -> List[str]:
    return [one.path for one in choose(*entries, storage=storage)]


def spans(*entries: str) -> List[Tuple[str, object]]:
    return [(one.path, one.spans) for one in choose(*entries)]


@pytest.mark.usefixtures("pc")
@pytest.mark.parametrize("name", ["C:", "c:", "C:\\", "C:/"])
def test_a_letter_is_its_volume_and_what_windows_starts_from(name: str) -> None:
    assert spans(name) == [(DISKS[0], frozenset([WINDOWS, START]))]


@pytest.mark.usefixtures("pc")
@pytest.mark.parametrize("name", ["D:", r"C:\data", "C:\\DATA\\", "c:/data"])
def test_a_mount_folder_is_its_volume(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: True)
    monkeypatch.setattr(os.path, "isdir", lambda path: True)
    assert spans(name) == [(DISKS[1], frozenset([(1 * MIB, 5 * MIB)]))]


@pytest.mark.usefixtures("pc")
def test_a_folder_that_is_not_mounted_is_told_of_with_its_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: True)
    monkeypatch.setattr(os.path, "isdir", lambda path: True)
    for name, holder in ((r"C:\data\deeper", "C:\\data\\"), (r"C:\database", "C:\\"), (r"Q:\x", "Q:\\")):
        with pytest.raises(DriveUnknown) as caught:
            choose(name)
        assert caught.value.fields["reason"] == "it is a folder in %s" % holder


def test_the_boot_volume_of_another_disk_is_not_part_of_this_one(pc: Pc) -> None:
    pc.volume_names["\\\\?\\Volume{efi}"] = pc.devices["HarddiskVolume1"] = [(1, 6 * MIB, MIB)]
    assert spans("C:") == [(DISKS[0], frozenset([WINDOWS]))]


def test_a_large_volume_that_windows_starts_from_is_not_part_of_every_image(pc: Pc) -> None:
    """Windows may start from the volume that it is installed in, or from one with data."""
    pc.devices["HarddiskVolume1"] = [(1, 1 * MIB, 2 << 30)]
    assert spans("D:") == [(DISKS[1], frozenset([(1 * MIB, 5 * MIB)]))]


@pytest.mark.usefixtures("pc")
def test_two_volumes_of_a_disk_and_the_disk_itself() -> None:
    assert spans("C:", "disk0") == [(DISKS[0], None)]
    chosen = choose("disk1", r"\\.\physicaldrive1", "//./PhysicalDrive1", "D:")
    assert [(one.path, one.spans, one.entries) for one in chosen] == [
        (DISKS[1], None, ("disk1", r"\\.\physicaldrive1", "//./PhysicalDrive1", "D:"))
    ]


@pytest.mark.usefixtures("pc")
def test_a_volume_by_its_raw_name_is_read_itself() -> None:
    assert [one.path for one in choose("\\\\.\\C:\\", r"\\.\PhysicalDrive0")] == [r"\\.\C:", DISKS[0]]


def test_a_letter_that_two_volumes_have_is_refused_with_both(pc: Pc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_volumes, "mount_points", lambda volume: ["D:\\"])
    with pytest.raises(DriveAmbiguous) as caught:
        choose("D:")
    told = str(caught.value.fields["disks"])
    for name in pc.volume_names:
        assert name in told
    assert DISKS[0] in told
    assert DISKS[1] in told


def test_a_letter_whose_volume_is_on_several_disks_chooses_all_of_them(pc: Pc) -> None:
    pc.volume_names["\\\\?\\Volume{data}"] = [(1, MIB, MIB), (0, 12 * MIB, MIB)]
    assert [path for path, dummy in spans("D:")] == [DISKS[1], DISKS[0]]


@pytest.mark.parametrize(
    "name", ["E:", r"\\server\share\x.raw", "disk.raw", "/", "/dev/sda", "serial:1", "", "disk7", "C", ".."]
)
def test_names_of_nothing_here(pc: Pc, name: str) -> None:
    with pytest.raises(DriveUnknown) as caught:
        choose(name)
    assert [one for one in DISKS[:2] if one not in str(caught.value.fields["disks"])] == []
    assert pc.open_handles == {}


def test_a_letter_that_may_be_of_a_volume_that_windows_does_not_tell_of(pc: Pc) -> None:
    pc.empty["HarddiskVolume9"] = 5
    with pytest.raises(DriveUnknown) as caught:
        choose("E:")
    assert "HarddiskVolume9" in str(caught.value.fields["reason"])


def test_without_a_list_of_volumes_letters_are_refused_and_disks_are_not(
    pc: Pc, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise error_of(5)

    monkeypatch.setattr(windows_volumes, "volumes", refuse)
    with pytest.raises(WindowsSilent) as caught:
        choose("C:")
    assert "error 5" in str(caught.value.fields["reason"])
    assert paths("disk0", "serial:Z4Y1ABCD", "all") == [DISKS[0], DISKS[1]]
    assert pc.open_handles == {}


def test_image_files_need_no_answer_of_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_devices, "dos_names", lambda: pytest.fail("Windows was asked for its disks"))
    with pytest.raises(DiskNotFound):
        choose(r"C:\none.raw")
    (tmp_path / "C:\\disk.raw").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert [one.entries for one in choose(r"C:\disk.raw")] == [(r"C:\disk.raw",)]


# -- ids --------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("pc")
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("serial:S4GGNX0R123456", 0),
        ("s4ggnx0r123456", 0),
        ("wwn:" + NAA.hex(), 0),
        ("wwn:0x" + NAA.hex(), 0),
        ("gpt:11111111-2222-3333-4444-555555555555", 0),
        ("mbr:1a2b3c4d", 1),
        ("1A2B3C4D", 1),
        ("disk1", 1),
    ],
)
def test_ids_mean_what_they_mean_on_linux(name: str, number: int) -> None:
    assert spans(name) == [(DISKS[number], None)]


def test_an_id_of_two_disks_is_refused_with_both(pc: Pc) -> None:
    pc.add(2, mbr(8, [Part("07", 1, 4)], 0x55667788), disk_bytes.SATA, "ST1000", "Z4Y1ABCD")
    with pytest.raises(DriveAmbiguous) as caught:
        choose("serial:Z4Y1ABCD")
    assert DISKS[1] in str(caught.value.fields["disks"])
    assert DISKS[2] in str(caught.value.fields["disks"])
    assert paths("mbr:55667788") == [DISKS[2]]


def test_a_serial_number_that_many_disks_share_is_no_id(pc: Pc) -> None:
    pc.add(2, plain(8), disk_bytes.SATA, "X", "0000000000")
    with pytest.raises(DriveUnknown):
        choose("serial:0000000000")


# -- all, system ------------------------------------------------------------------------------------------------------


def reasons(pc: Pc, storage: str = "") -> List[str]:
    del pc
    known = windows_disks.WindowsDisks(storage)
    return [known.why_not_in_all(one) for one in known.disks]


def test_all_is_every_internal_fixed_disk(pc: Pc) -> None:
    pc.add(2, plain(8), disk_bytes.USB, "Stick")
    pc.add(3, plain(8), disk_bytes.SATA, "Reader", removable=True)
    assert paths("all") == DISKS[:2]
    assert reasons(pc)[2:] == ["it is removable"] * 2


def test_a_card_reader_without_a_card_and_a_disk_on_the_network_are_not_in_all(pc: Pc) -> None:
    pc.add(2, plain(8), disk_bytes.SATA)
    pc.errors[2, 0x700A0] = 21
    pc.add(3, plain(8), 9)
    assert paths("all") == DISKS[:2]
    assert reasons(pc)[2:] == ["it has no medium", "it is on the network (iscsi)"]


def test_a_disk_that_does_not_answer_is_in_all_so_that_it_is_missed(pc: Pc) -> None:
    pc.add(2, plain(8), disk_bytes.SATA)
    pc.errors[2, 0x700A0] = 1117
    assert paths("all") == DISKS[:3]


def test_a_usb_module_that_windows_runs_from_is_in_all(pc: Pc) -> None:
    pc.described[0] = {0: disk_bytes.descriptor(disk_bytes.USB, "SuperDOM", removable=True)}
    assert paths("all") == DISKS[:2]


def test_pools_and_disks_in_files_are_not_in_all(pc: Pc) -> None:
    pc.add(2, gpt(8, [Part(POOL, 1, 4)], "aaaaaaaa-2222-3333-4444-555555555555"), disk_bytes.SATA)
    pc.add(3, plain(8), disk_bytes.FILE)
    pc.add(4, plain(8), disk_bytes.SPACES)
    assert paths("all") == [*DISKS[:2], r"\\.\PhysicalDrive4"]
    assert "Storage Spaces" in reasons(pc)[2]
    assert "file" in reasons(pc)[3]


def test_the_disk_of_the_storage_is_not_in_all(pc: Pc, monkeypatch: pytest.MonkeyPatch) -> None:
    there = ("D:\\", "C:\\", "C:\\data")
    monkeypatch.setattr(os.path, "exists", lambda path: path in there)
    for folder in (r"D:\images\new", r"C:\data\images", "D:\\"):
        assert paths("all", storage=folder) == DISKS[:1], folder
    assert reasons(pc, r"D:\images")[1] == "the images are stored on it"
    assert paths("all", storage=r"C:\images") == DISKS[1:2]
    assert paths("disk1", storage=r"D:\images") == DISKS[1:2], "who names it means it"
    assert paths("all", storage=r"Q:\gone") == DISKS[:2]


def test_a_storage_whose_disk_is_not_told_is_not_imaged_by_accident(pc: Pc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: True)
    pc.remote.append("S")
    assert paths("all", storage=r"S:\images") == DISKS[:2], "a letter of a server"

    def refuse(path: str) -> str:
        raise error_of(5 if path.startswith("D") else 2)

    monkeypatch.setattr(windows_volumes, "volume_of", refuse)
    with pytest.raises(WindowsSilent) as caught:
        choose("all", storage=r"D:\images")
    assert "error 5" in str(caught.value.fields["reason"])


def test_no_disk_for_all_names_each_reason(pc: Pc) -> None:
    for number in (0, 1):
        pc.described[number] = {0: disk_bytes.descriptor(9)}
    with pytest.raises(NoDriveChosen) as caught:
        choose("all")
    assert str(caught.value.fields["disks"]).count("on the network") == 2


@pytest.mark.usefixtures("pc")
def test_system_is_the_disk_of_windows() -> None:
    assert spans("system") == [(DISKS[0], None)]


def test_system_is_both_disks_where_windows_starts_from_another_one(pc: Pc) -> None:
    pc.devices["HarddiskVolume1"] = [(1, MIB, MIB)]
    assert spans("system") == [(DISKS[0], None), (DISKS[1], None)]


def test_without_a_word_on_the_start_the_disk_of_windows_has_to_be_able_to(pc: Pc) -> None:
    pc.starting = ""
    assert paths("system") == DISKS[:1], "it has an EFI partition"
    pc.contents[0] = gpt(16, [Part(BASIC, 4, 8)])
    with pytest.raises(WindowsSilent) as caught:
        choose("system")
    assert "SystemPartition" in str(caught.value.fields["reason"])
    pc.contents[0] = mbr(16, [Part("07", 4, 8, active=True)])
    assert paths("system") == DISKS[:1]


def test_without_a_word_on_windows_there_is_no_system(pc: Pc, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dummy_path: str) -> str:
        raise error_of(5)

    monkeypatch.setattr(windows_volumes, "volume_of", refuse)
    with pytest.raises(WindowsSilent) as caught:
        choose("system")
    assert "error 5" in str(caught.value.fields["reason"])
    assert pc.open_handles == {}


def test_a_dynamic_disk_is_in_all_and_told_of(pc: Pc) -> None:
    """Left out without a word it would be missed at the restore."""
    pc.add(2, mbr(8, [Part("42", 1, 4)], 5), disk_bytes.SATA)
    pc.add(3, gpt(8, [Part(EFI, 1, 1), Part(DYNAMIC, 2, 4)], "aaaaaaaa-2222-3333-4444-555555555555"), disk_bytes.SATA)
    assert paths("all") == DISKS
    known = windows_disks.WindowsDisks()
    for one in known.disks[2:]:
        assert ["dynamic disk" in text for text in known.warnings_of(one)] == [True]


@pytest.mark.parametrize("name", ["C:", r"C:\data", "disk0", r"\\.\PhysicalDrive0", "/dev/sda", r"C:\disk.raw"])
def test_names_and_places_may_stand_for_another_disk_later(name: str) -> None:
    assert can_move(name)


@pytest.mark.parametrize("name", ["all", "system", "serial:disk0", "gpt:1", "diskette", "disk", "1A2B3C4D"])
def test_ids_and_words_do_not_move(name: str) -> None:
    assert not can_move(name)
