# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Systems that sleep on FAT, machines that always wake from the same file, tables in units of other sectors, installers' disks."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Callable, Iterator, List

import pytest
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import read_layout
from engine.disk.mbr import holds_table
from engine.disk.sector_size import read_layout_of_device
from engine.disk.source import FileSource
from engine.disk.used import DiskPlan, plan_disk
from support.filled import MIB, check_volume, empty, make_ext, make_ntfs, mounted, run
from support.imaging import image, restore
from support.whole_disks import copy_range


def patch(path: Path, place: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(data)


def planned(path: Path, state: VolumeState = VolumeState.OFFLINE) -> DiskPlan:
    with FileSource(str(path)) as source:
        return plan_disk(source, read_layout(source), lambda partition: state)


def entry(kind: int, first: int, sectors: int) -> bytes:
    return struct.pack("<B3sB3sII", 0, bytes(3), kind, bytes(3), first, sectors)


def mbr(disk: Path, *entries: bytes, at: int = 0) -> None:
    patch(disk, at + 440, b"\x11\x22\x33\x44\0\0" + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa")


# -- hibernation ------------------------------------------------------------------------------------------------------


@pytest.fixture
def fat(memory_path: Path, need: Callable[..., None]) -> Callable[..., Path]:
    need("mkfs.fat", "mcopy")

    def make(bits: int, head: bytes, *files: str) -> Path:
        volume = empty(memory_path / "volume", (16 if bits == 16 else 40) * MIB)
        run("mkfs.fat", "-F", bits, "-s", "1", volume)
        (memory_path / "hiberfil.sys").write_bytes(head + b"memory" * 100_000)
        run("mcopy", "-i", volume, memory_path / "hiberfil.sys", "::")
        for name in files:
            (memory_path / name).write_bytes(b"")
            run("mcopy", "-i", volume, memory_path / name, "::")
        return volume

    return make


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("head", [b"hibr", b"HIBR", b"RSTR"], ids=lambda head: head.decode())
def test_a_system_that_sleeps_on_fat_is_imaged_whole(bits: int, head: bytes, fat: Callable[..., Path]) -> None:
    volume = fat(bits, head)
    plan = planned(volume)
    assert not plan.volumes[0].trusted
    assert "hibernated" in plan.volumes[0].reason
    assert plan.used.total_bytes == volume.stat().st_size
    frozen = planned(volume, VolumeState.FROZEN)
    assert frozen.volumes[0].trusted, "Windows runs, an old file says nothing"


@pytest.mark.parametrize("head", [b"wake", b"\0\0\0\0"], ids=["wake", "zeros"])
def test_one_that_woke_is_not(head: bytes, fat: Callable[..., Path]) -> None:
    plan = planned(fat(32, head))
    assert plan.volumes[0].trusted
    assert plan.volumes[0].left_out_bytes > 500_000


def test_a_machine_that_always_wakes_from_the_same_file_keeps_it(fat: Callable[..., Path]) -> None:
    plan = planned(fat(32, b"wake", "resmany.dat"), VolumeState.FROZEN)
    assert plan.volumes[0].trusted
    assert plan.volumes[0].left_out_bytes == 0
    assert "\\hiberfil.sys" not in [one.pattern for one in plan.left_out]


@pytest.mark.root
def test_the_same_on_ntfs(memory_path: Path, need: Callable[..., None]) -> None:
    need("mkntfs", "ntfs-3g", "losetup")
    volume = make_ntfs(memory_path / "volume", memory_path, 32 * MIB, files=3)
    with mounted(volume, memory_path / "mnt", "ntfs") as folder:
        (folder / "hiberfil.sys").write_bytes(b"wake" + b"memory" * 100_000)
    assert planned(volume).volumes[0].left_out_bytes > 500_000
    with mounted(volume, memory_path / "mnt", "ntfs") as folder:
        (folder / "ResMany.dat").write_bytes(b"")
    assert planned(volume).volumes[0].left_out_bytes == 0


# -- sectors ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def attach(need: Callable[..., None]) -> Iterator[Callable[[Path, int], str]]:
    need("losetup")
    loops: List[str] = []

    def attached(path: Path, sector_bytes: int) -> str:
        loops.append(run("losetup", "-f", "--show", "-b", sector_bytes, path).strip())
        return loops[-1]

    yield attached
    for loop in loops:
        run("losetup", "-d", loop)


@pytest.mark.root
@pytest.mark.parametrize(("made", "now"), [(4096, 512), (512, 4096), (512, 512), (4096, 4096)])
@pytest.mark.parametrize("scheme", ["mbr", "gpt"])
def test_a_table_in_units_of_other_sectors(
    made: int, now: int, scheme: str, memory_path: Path, attach: Callable[[Path, int], str], need: Callable[..., None]
) -> None:
    need("mke2fs", "sfdisk")
    disk = empty(memory_path / "disk", 64 * MIB)
    place = "start=%d, size=%d\n" % (4 * MIB // made, 40 * MIB // made)
    other = attach(disk, made)
    run("sfdisk", "-q", other, input=("label: %s\n%s" % ({"mbr": "dos"}.get(scheme, scheme), place)).encode())
    volume = make_ext(memory_path / "volume", memory_path, 40 * MIB, "-t", "ext4", files=20)
    copy_range(volume, 0, disk, 4 * MIB, 40 * MIB)
    device = attach(disk, now)
    with FileSource(device) as source:
        layout = read_layout_of_device(source)
        assert source.sector_bytes == now
        assert (layout.scheme, layout.sector_bytes) == (scheme, made)
        assert [(one.start_bytes, one.length_bytes) for one in layout.partitions] == [(4 * MIB, 40 * MIB)]
    storage, target = memory_path / "storage", memory_path / "restored"
    storage.mkdir()
    made_image = image(storage, Path(device), secrets={})
    assert made_image["bytes_in_use"] < 30 * MIB
    assert [one["kind"] for one in made_image["disks"][0]["volumes"]] == ["ext4"]
    assert len(made_image["warnings"]) == (made != now)
    restore(storage, target, secrets={})
    copy = empty(memory_path / "copy", 0)
    copy_range(target, 4 * MIB, copy, 0, 40 * MIB)
    check_volume("ext", copy)
    assert target.read_bytes()[: 4 * MIB] == disk.read_bytes()[: 4 * MIB]


# -- tables -----------------------------------------------------------------------------------------------------------


def test_two_extended_partitions_number_their_volumes_on(memory_path: Path) -> None:
    disk = empty(memory_path / "disk", 64 * MIB)
    mbr(disk, entry(0x83, 2048, 2048), entry(5, 8192, 20_480), entry(0x0F, 40_960, 20_480))
    mbr(disk, entry(0x83, 2048, 4096), entry(5, 8192, 8192), at=8192 * 512)
    mbr(disk, entry(0x83, 2048, 4096), at=(8192 + 8192) * 512)
    mbr(disk, entry(0x83, 2048, 4096), at=40_960 * 512)
    with FileSource(str(disk)) as source:
        partitions = read_layout(source).partitions
    data = [one.number for one in partitions if one.role != "extended"]
    assert sorted(data) == [1, 5, 6, 7]
    assert len({one.number for one in partitions}) == len(partitions)


@pytest.mark.parametrize("place", ["before", "between", "inside the extended one", "behind", "in the last sector"])
def test_what_lies_in_no_partition_comes_back(place: str, memory_path: Path) -> None:
    disk, storage, target = memory_path / "disk", memory_path / "storage", memory_path / "restored"
    empty(disk, 300 * MIB)
    mbr(disk, entry(0x83, 2048 * 100, 2048), entry(5, 2048 * 120, 2048 * 40))
    mbr(disk, entry(0x83, 2048, 4096), at=120 * MIB)
    where = {
        "before": 80 * MIB,
        "between": 110 * MIB + 7,
        "inside the extended one": 150 * MIB,
        "behind": 230 * MIB,
        "in the last sector": 300 * MIB - 512,
    }[place]
    for start in (100, 121):
        patch(disk, start * MIB, b"XFSB")  # what is recognised says how large its sectors are
    patch(disk, where, b"what the firmware keeps")
    storage.mkdir()
    made = image(storage, disk, secrets={})
    assert made["outside_partitions"] == []
    restore(storage, target, secrets={})
    assert target.read_bytes() == disk.read_bytes()


def test_entries_that_no_system_shows_are_held(memory_path: Path, need: Callable[..., None]) -> None:
    """Of a hybrid table one that no partition of the GPT covers; of an installer's stick one without a type."""
    need("sgdisk")
    disk, storage, target = memory_path / "disk", memory_path / "storage", memory_path / "restored"
    empty(disk, 200 * MIB)
    run("sgdisk", "-n", "1:2048:+8M", disk)
    mbr(disk, entry(0xEE, 1, 2047), entry(0x0C, 2048 * 20, 2048 * 150))
    patch(disk, 25 * MIB, b"hybrid" * MIB * 20)
    storage.mkdir()
    made = image(storage, disk, secrets={})
    assert any(str(20 * MIB) in warning and str(150 * MIB) in warning for warning in made["warnings"])
    restore(storage, target, secrets={})
    assert target.read_bytes() == disk.read_bytes()


def test_a_table_of_one_volume_from_the_first_sector_on_says_nothing() -> None:
    record = bytes(446) + entry(0x0C, 0, 5000).ljust(64, b"\0") + b"\x55\xaa"
    assert not holds_table(record, 5000)
    assert holds_table(bytes(446) + entry(0x0C, 63, 4000).ljust(64, b"\0") + b"\x55\xaa", 5000)
    assert not holds_table(bytes(446) + b"not a table at all, but a sentence ".ljust(64, b".") + b"\x55\xaa", 5000)
