# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks whose partition tables are hybrid, damaged, contradictory, or do not tell everything: imaged, restored, the same."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest
from engine.errors import DiskTooLarge
from support.filled import MIB, check_volume, contents, empty, make_ext, mounted, run
from support.imaging import image, restore
from support.whole_disks import copy_range

SIZE_MIB = 64
DATA = (4, 24)  # where the data volume lies, MiB: start, size
LDM_DATA, LDM_META = "AF9B60A0-1431-4F62-BC68-3311714A69AD", "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3"


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory, need) -> Path:
    need("mke2fs", "sfdisk", "sgdisk", "losetup")
    folder = tmp_path_factory.mktemp("odd")
    return make_ext(folder / "volume", folder, DATA[1] * MIB, "-t", "ext4", "-b", "1024", files=40)


def patch(disk: Path, offset: int, data: bytes) -> None:
    with open(disk, "r+b") as file:
        file.seek(offset)
        file.write(data)


def entry(kind: int, first: int, sectors: int) -> bytes:
    return struct.pack("<B3sB3sII", 0, bytes(3), kind, bytes(3), first, sectors)


def mbr(disk: Path, *entries: bytes) -> None:
    patch(disk, 440, b"\x11\x22\x33\x44\0\0" + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa")


def gpt(disk: Path, *options: str) -> None:
    place = "1:%d:+%dM" % (DATA[0] * MIB // 512, DATA[1])
    run("sgdisk", "-a", "1", "-n", place, "-n", "2:%d:+4M" % (40 * MIB // 512), *options, disk)


def break_gpt(disk: Path, *places: int) -> None:
    for place in places:
        patch(disk, place, b"broken")


def overlapping(disk: Path) -> None:
    """sgdisk refuses to make one: the second entry is moved into the first, and the sums are made right."""
    from fuzz.volumes import repair_gpt

    gpt(disk)
    data = bytearray(disk.read_bytes())
    for lba in (1, len(data) // 512 - 1):
        start = struct.unpack_from("<Q", data, lba * 512 + 72)[0] * 512
        struct.pack_into("<QQ", data, start + 128 + 32, (DATA[0] + 10) * 2048, (DATA[0] + 40) * 2048)
    repair_gpt(data, 512)
    disk.write_bytes(data)


def raid_at_the_end(disk: Path) -> None:
    """A member of a mirror with metadata of version 1.0: it begins like the volume that is on the mirror."""
    mbr(disk, entry(0x83, DATA[0] * 2048, DATA[1] * 2048))
    place = (disk.stat().st_size - 8192) & ~4095
    patch(disk, place, struct.pack("<II", 0xA92B4EFC, 1) + bytes(136) + struct.pack("<Q", place // 512))


PLACE = entry(0x83, DATA[0] * 2048, DATA[1] * 2048)
# What makes the disk, and what is said of it; "" where its partitions are imaged one by one.
DISKS: Dict[str, Tuple[Callable[[Path], object], str]] = {
    "hybrid-mbr": (lambda disk: gpt(disk, "-h", "1"), ""),
    "gpt-primary-header-damaged": (lambda disk: (gpt(disk), break_gpt(disk, 512 + 20)), ""),
    "gpt-primary-entries-damaged": (lambda disk: (gpt(disk), break_gpt(disk, 1024)), ""),
    "gpt-backup-damaged": (lambda disk: (gpt(disk), break_gpt(disk, SIZE_MIB * MIB - 512)), ""),
    "gpt-both-damaged": (lambda disk: (gpt(disk), break_gpt(disk, 512, SIZE_MIB * MIB - 512)), "neither copy"),
    "hybrid-gpt-both-damaged": (
        lambda disk: (gpt(disk, "-h", "1"), break_gpt(disk, 512, SIZE_MIB * MIB - 512)),
        "neither copy",
    ),
    "gpt-overlapping": (overlapping, "overlap"),
    "gpt-disk-cut-off": (lambda disk: (gpt(disk), cut_off(disk)), "outside the disk"),
    "mbr-past-the-end": (lambda disk: mbr(disk, PLACE, entry(0x83, 50 * 2048, 90 * 2048)), "past the end"),
    "mbr-overlapping": (lambda disk: mbr(disk, PLACE, entry(0x83, (DATA[0] + 8) * 2048, 30 * 2048)), ""),
    "mbr-loop-of-logical": (lambda disk: (mbr(disk, PLACE, entry(5, 40 * 2048, 9 * 2048)), loop(disk)), "loop"),
    "isohybrid": (lambda disk: mbr(disk, entry(0x17, 0, 60 * 2048)), "past the end"),
    "dynamic-mbr": (lambda disk: mbr(disk, entry(0x42, DATA[0] * 2048, 59 * 2048)), "dynamic disk"),
    "raid-version-1.0": (raid_at_the_end, "software RAID"),
    "raid-of-the-firmware": (
        lambda disk: (mbr(disk, PLACE), patch(disk, SIZE_MIB * MIB - 1024, b"Intel Raid ISM Cfg Sig. 1.3.00")),
        "RAID of the firmware",
    ),
}


def cut_off(disk: Path) -> None:
    with open(disk, "r+b") as file:
        file.truncate(43 * MIB)


def loop(disk: Path) -> None:
    record = bytes(446) + entry(0x83, 1, 100) + entry(5, 0, 100)
    patch(disk, 40 * MIB, record.ljust(510, b"\0") + b"\x55\xaa")


def build(disk: Path, volume: Path, make: Callable[[Path], object]) -> None:
    """The table, the volume, and bytes that nothing refers to."""
    empty(disk, SIZE_MIB * MIB)
    make(disk)
    copy_range(volume, 0, disk, DATA[0] * MIB, DATA[1] * MIB)
    patch(disk, 35 * MIB, b"nobody's bytes" * 1000)


def same_files(before: Path, after: Path, work: Path) -> None:
    found: List[Dict[str, str]] = []
    for number, disk in enumerate((before, after)):
        copy = empty(work / ("part%d" % number), 0)
        copy_range(disk, DATA[0] * MIB, copy, 0, DATA[1] * MIB)
        check_volume("ext", copy)
        with mounted(copy, work / "mnt", "ext4", read_only=True) as folder:
            found.append(contents(folder))
    assert found[0] == found[1]
    assert len(found[0]) > 50


@pytest.mark.root
@pytest.mark.parametrize("name", sorted(DISKS))
def test_disk(name: str, volume: Path, memory_path: Path) -> None:
    make, words = DISKS[name]
    disk, storage, target = memory_path / "disk", memory_path / "storage", memory_path / "restored"
    build(disk, volume, make)
    storage.mkdir()
    made = image(storage, disk, secrets={})
    restore(storage, target, secrets={})
    if words:
        assert any(words in warning and "imaged whole" in warning for warning in made["warnings"]), made["warnings"]
        assert made["bytes_in_use"] == disk.stat().st_size
        assert target.read_bytes() == disk.read_bytes()
    else:
        assert made["bytes_in_use"] < 40 * MIB
        same_files(disk, target, memory_path)
        after = target.read_bytes()
        assert after[:MIB] == disk.read_bytes()[:MIB], "tables and boot loaders come back as they are, damaged or not"
        assert after[-33 * 512 :] == disk.read_bytes()[-33 * 512 :]


@pytest.mark.root
def test_a_copy_of_a_disk_with_large_sectors_and_one_partition(volume: Path, memory_path: Path) -> None:
    """Nothing but what lies where it points says of an MBR whether its sectors have 512 bytes or 4096."""
    disk, storage, target = memory_path / "disk", memory_path / "storage", memory_path / "restored"
    build(disk, volume, lambda one: mbr(one, entry(0x83, DATA[0] * 256, DATA[1] * 256)))
    made = image(storage, disk, secrets={})
    assert made["warnings"] == []
    assert made["disks"][0]["layout"]["sector_bytes"] == 4096
    assert made["bytes_in_use"] < 40 * MIB
    restore(storage, target, secrets={})
    same_files(disk, target, memory_path)


def test_a_file_in_whose_partitions_nothing_is_recognised_is_imaged_whole(memory_path: Path) -> None:
    """Were its sectors taken for smaller than they are, seven eighths of its partition would be missing."""
    disk, storage, target = memory_path / "disk", memory_path / "storage", memory_path / "restored"
    with open(empty(disk, 16 * MIB), "r+b") as file:
        file.seek(MIB)
        file.write(b"what a controller logs" * 400_000)
    mbr(disk, entry(0xDA, 256, 10 * 256))
    made = image(storage, disk, secrets={})
    assert any("sector size is unknown" in warning for warning in made["warnings"])
    restore(storage, target, secrets={})
    assert target.read_bytes() == disk.read_bytes()


@pytest.mark.root
def test_dynamic_disk_with_a_gpt(volume: Path, memory_path: Path) -> None:
    """Its database has a partition of its own, which every image holds; its volumes are held whole."""
    disk, storage, target = memory_path / "disk", memory_path / "storage", memory_path / "restored"
    build(disk, volume, lambda one: gpt(one, "-t", "1:%s" % LDM_DATA, "-t", "2:%s" % LDM_META))
    patch(disk, 41 * MIB, b"where the volumes lie")
    storage.mkdir()
    made = image(storage, disk, secrets={})
    assert sum("dynamic disk" in warning for warning in made["warnings"]) == 2
    restore(storage, target, secrets={})
    assert target.read_bytes()[DATA[0] * MIB : 28 * MIB] == disk.read_bytes()[DATA[0] * MIB : 28 * MIB]
    assert target.read_bytes()[40 * MIB : 44 * MIB] == disk.read_bytes()[40 * MIB : 44 * MIB]


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(("tib", "what"), [(300, ""), (100, " in use")])
def test_a_disk_that_no_reader_would_take_is_refused_before_anything_is_written(
    tib: int, what: str, check: bool, memory_path: Path
) -> None:
    disk, storage = memory_path / "disk", memory_path / "storage"
    with open(disk, "wb") as file:
        file.truncate(tib << 40)
    with pytest.raises(DiskTooLarge) as caught:
        image(storage, disk, check=check)
    assert (caught.value.fields["size_bytes"], caught.value.fields["what"]) == (tib << 40, what)
    assert str(disk) in str(caught.value)
    assert [path for path in storage.rglob("*") if path.is_file()] == []
