# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are added to a FAT volume: mtools reads them back, fsck.fat finds nothing wrong, and nothing else of the volume changes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from engine.errors import FileSystemInvalid
from engine.restore.fallback.fat_folder import FatEntry
from engine.restore.fallback.fat_writer import FatWriter, NewFile, VolumeFull
from support.efi_volumes import KINDS, apply, debian, fill, fragment, get, judge, make, names, put, volume_of

FILES = {"BOOTX64.EFI": b"shim" * 3000, "GRUBX64.EFI": b"grub" * 9001, "MMX64.EFI": b"m"}


@pytest.fixture(autouse=True)
def tools(need: Any) -> None:
    need("mkfs.fat", "fsck.fat", "mcopy", "mdir", "mtype")


def like(writer: FatWriter) -> FatEntry:
    found = writer.folder("EFI", "debian").find("grub.cfg")
    assert found is not None
    return found


def new_files(writer: FatWriter, files: Optional[Dict[str, bytes]] = None) -> List[NewFile]:
    return [NewFile(name, content, like(writer)) for name, content in (files or FILES).items()]


def add(path: Path) -> FatWriter:
    writer = FatWriter(volume_of(path))
    writer.add(["EFI"], "BOOT", new_files(writer))
    apply(path, writer.patches())
    return writer


@pytest.mark.parametrize("bits", KINDS)
@pytest.mark.parametrize("shape", ["plain", "fragmented", "boot folder exists", "boot folder is full"])
def test_other_programs_find_the_files_and_nothing_wrong(bits: int, shape: str, tmp_path: Path) -> None:
    path = make(tmp_path / "esp", debian(), bits)
    if shape == "fragmented":
        fragment(path)
    if shape == "boot folder exists":
        put(path, {"EFI/BOOT/other.txt": b"stays"})
    if shape == "boot folder is full":  # 16 slots in a cluster: two for itself and its parent
        put(path, {"EFI/BOOT/F%d.TXT" % number: b"stays" for number in range(14)})
    before = {name: get(path, name) for name in debian()}
    add(path)
    judge(path)
    assert {name: get(path, "EFI/BOOT/" + name) for name in FILES} == FILES
    assert {name: get(path, name) for name in debian()} == before
    if shape == "boot folder is full":
        assert len(names(path, "EFI/BOOT")) == 14 + len(FILES)
    if shape == "boot folder exists":
        assert get(path, "EFI/BOOT/other.txt") == b"stays"


@pytest.mark.parametrize("bits", KINDS)
def test_the_parent_grows_by_a_cluster_where_it_is_full(bits: int, tmp_path: Path) -> None:
    path = make(tmp_path / "esp", dict(debian(), **{"EFI/F%d.TXT" % number: b"x" for number in range(13)}), bits)
    add(path)
    judge(path)
    assert {"BOOT", "debian", "F12.TXT"} <= set(names(path, "EFI"))
    assert get(path, "EFI/BOOT/MMX64.EFI") == b"m"


@pytest.mark.parametrize("bits", KINDS)
def test_a_volume_with_just_enough_clusters_takes_the_files_and_with_one_less_names_the_numbers(
    bits: int, tmp_path: Path
) -> None:
    needed = 1 + sum(-(-len(content) // 512) for content in FILES.values())
    path = make(tmp_path / "esp", debian(), bits)
    fill(path, needed)
    add(path)
    judge(path)
    assert {name: get(path, "EFI/BOOT/" + name) for name in FILES} == FILES
    path = make(tmp_path / "esp", debian(), bits)
    fill(path, needed - 1)
    writer = FatWriter(volume_of(path))
    with pytest.raises(VolumeFull) as caught:
        writer.add(["EFI"], "BOOT", new_files(writer))
    assert str(needed) in str(caught.value)
    assert str(needed - 1) in str(caught.value)


def test_growing_a_folder_counts_as_well(tmp_path: Path) -> None:
    needed = sum(-(-len(content) // 512) for content in FILES.values())
    path = make(tmp_path / "esp", dict(debian(), **{"EFI/BOOT/F%d.TXT" % number: b"x" for number in range(14)}))
    fill(path, needed)
    writer = FatWriter(volume_of(path))
    with pytest.raises(VolumeFull) as caught:
        writer.add(["EFI"], "BOOT", new_files(writer))
    assert str(needed + 1) in str(caught.value)


@pytest.mark.parametrize("bits", KINDS)
def test_the_same_volume_gets_the_same_bytes_again(bits: int, tmp_path: Path) -> None:
    path = make(tmp_path / "esp", debian(), bits)
    found = []
    for dummy in range(2):
        writer = FatWriter(volume_of(path))
        writer.add(["EFI"], "BOOT", new_files(writer))
        found.append(writer.patches())
    assert found[0] == found[1]
    ends = [place + len(data) for place, data in found[0]]
    assert all(end <= place for end, (place, dummy) in zip(ends, found[0][1:]))  # none covers another one


def test_what_follows_the_end_of_a_folder_stays_hidden(tmp_path: Path) -> None:
    """Programs may leave bytes behind the entry that ends a folder."""
    path = make(tmp_path / "esp", debian())
    volume = volume_of(path)
    writer = FatWriter(volume)
    folder = writer.folder("EFI")
    start, length = volume.cluster_range(folder.clusters[0], 1)
    end = next(place for place in range(start, start + length, 32) if path.read_bytes()[place] == 0)
    apply(path, [(end + 32, b"GHOST   TXT" + bytes(15) + struct.pack("<HI", 3, 5))])
    add(path)
    judge(path)
    assert set(names(path, "EFI")) == {"debian", "BOOT"}


def test_a_slot_behind_a_part_of_a_long_name_is_not_taken(tmp_path: Path) -> None:
    path = make(tmp_path / "esp", debian())
    volume = volume_of(path)
    folder = FatWriter(volume).folder("EFI")
    start, length = volume.cluster_range(folder.clusters[0], 1)
    end = next(place for place in range(start, start + length, 32) if path.read_bytes()[place] == 0)
    orphan = (
        bytes([0x41])
        + "x".encode("utf-16-le") * 5
        + b"\x0f\0\0"
        + "x".encode("utf-16-le") * 6
        + b"\0\0"
        + "x".encode("utf-16-le") * 2
    )
    apply(path, [(end, orphan)])
    add(path)
    assert set(names(path, "EFI")) == {"debian", "BOOT"}
    data = path.read_bytes()
    assert data[end + 32] == 0xE5
    assert data[end + 64 : end + 75] == b"BOOT       "


def test_the_count_of_free_clusters_is_right_afterwards_even_where_it_was_wrong(tmp_path: Path) -> None:
    path = make(tmp_path / "esp", debian(), 32)
    apply(path, [(512 + 488, struct.pack("<I", 7))])
    add(path)
    judge(path)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "esp", dict(debian(), **{"EFI/BOOT": b"a file"}))
    writer = FatWriter(volume_of(path))
    with pytest.raises(FileSystemInvalid):
        writer.add(["EFI"], "BOOT", new_files(writer))


def test_times_come_from_the_entry_that_is_copied(tmp_path: Path) -> None:
    path = make(tmp_path / "esp", debian())
    raw = like(FatWriter(volume_of(path))).raw
    add(path)
    made = FatWriter(volume_of(path)).folder("EFI", "BOOT").find("BOOTX64.EFI")
    assert made is not None
    assert (made.raw[13:20], made.raw[22:26]) == (raw[13:20], raw[22:26])
