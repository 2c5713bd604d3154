# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes and disks that two systems claim: imaged whole, with both names, until a mark is removed or imaging_trust decides."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
from engine.disk.claims import claims_of
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import read_layout
from engine.disk.layout_claims import settle
from engine.disk.sector_size import read_layout_of_file
from engine.disk.source import FileSource
from engine.disk.trust import NOBODY, Trust
from engine.disk.used import DiskPlan, plan_disk
from engine.errors import TrustInvalid
from support.filled import MIB, empty, make_ext, run
from support.imaging import image, restore
from support.whole_disks import copy_range

SIZE = 320 * MIB
BCACHE = bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")


def planned(path: Path, trust: Trust = NOBODY) -> DiskPlan:
    with FileSource(str(path)) as source:
        layout = settle(source, read_layout(source, table_is_trusted=trust.disk == "table"), trust.disk)
        return plan_disk(source, layout, lambda partition: VolumeState.OFFLINE, trust=trust)


def patch(path: Path, place: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(data)


def zfs(path: Path) -> None:
    """The labels of a pool, where other systems have not written since: uberblocks in all four."""
    size = path.stat().st_size
    for label in (0, 256 << 10, size - (512 << 10), size - (256 << 10)):
        patch(path, label + (128 << 10), struct.pack("<Q", 0x00BAB10C).ljust(1024, b"\0") * 128)


def tool(*command: str) -> Callable[[Path], None]:
    return lambda path: void(run(*command, path))


def void(dummy: object) -> None:
    return None


STALE: Dict[str, Tuple[str, Callable[[Path], None]]] = {
    "btrfs": ("btrfs", tool("mkfs.btrfs", "-q", "-f")),
    "zfs": ("ZFS", zfs),
    "bcache": ("bcache", lambda path: patch(path, 4120, BCACHE)),
    "ufs": ("UFS", lambda path: patch(path, (64 << 10) + 1372, bytes.fromhex("19015419"))),
    "vmfs": ("VMFS", lambda path: patch(path, 0x100000, bytes.fromhex("0dd001c0"))),
    "qnx6": ("QNX6", lambda path: patch(path, 8192, bytes.fromhex("22111968"))),
    "reiserfs": ("ReiserFS", lambda path: patch(path, 65588, b"ReIsEr2Fs")),
    "luks2-backup": ("LUKS", lambda path: patch(path, 0x40000, b"SKUL\xba\xbe")),
    "imsm": (
        "a member of a RAID of the firmware",
        lambda path: patch(path, path.stat().st_size - 1024, b"Intel Raid ISM Cfg Sig. 1.3.00"),
    ),
    "md-1.2": ("a Linux software RAID member", lambda path: patch(path, 4096, struct.pack("<II", 0xA92B4EFC, 1))),
    "drbd": (
        "DRBD",
        lambda path: patch(path, path.stat().st_size - 4096 + 60, struct.pack(">I", 0x8374026B)),
    ),
}
MADE: Dict[str, Tuple[str, ...]] = {
    "ntfs": ("mkntfs", "-F", "-Q", "-q"),
    "ext4": ("mke2fs", "-q", "-F", "-t", "ext4"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
    "exfat": ("mkfs.exfat",),
    "fat32": ("mkfs.fat", "-F", "32"),
}
# Marks that lie where the system's own tool writes nothing.
PAIRS = [
    *((stale, made) for stale in ("ufs", "vmfs", "luks2-backup", "drbd") for made in ("ntfs", "xfs")),
    *((stale, "ext4") for stale in ("vmfs", "drbd")),
    ("btrfs", "ntfs"),
    ("zfs", "xfs"),
    ("zfs", "ext4"),
    ("bcache", "fat32"),
    ("reiserfs", "ntfs"),
    ("imsm", "exfat"),
    ("md-1.2", "fat32"),
    ("qnx6", "fat32"),
]


@pytest.mark.root
@pytest.mark.parametrize(("stale", "made"), PAIRS)
def test_a_stale_mark_beside_a_file_system(stale: str, made: str, memory_path: Path, need: Callable[..., None]) -> None:
    """Whichever came first; the command that is told removes the stale one, and imaging_trust decides without it."""
    need("wipefs", "mkntfs", "mke2fs", "mkfs.xfs", "mkfs.exfat", "mkfs.fat", "mkfs.btrfs")
    volume, name = empty(memory_path / "volume", SIZE), STALE[stale][0]
    if stale == "btrfs":
        STALE[stale][1](volume)
        run(*MADE[made], volume)
    else:
        run(*MADE[made], volume)
        STALE[stale][1](volume)
    plan = planned(volume)
    assert not plan.volumes[0].trusted
    assert plan.used.total_bytes == SIZE
    assert len(plan.warnings) == (2 if name.endswith(("member", "firmware")) else 1)
    told = plan.contested[0].as_dict()
    assert [claim["name"] for claim in told["claims"]] == [made, name]
    for claim in told["claims"]:
        assert claim["name"] in plan.warnings[0] or claim["name"] in plan.volumes[0].reason
        assert all(str(mark["place"]) in plan.warnings[0] for mark in claim["marks"][:2])
        assert claim["remove"][0] in plan.warnings[0]
    believed = planned(volume, Trust(disk=told["claims"][0]["trust"]))
    assert believed.volumes[0].trusted, believed.warnings
    assert believed.used.total_bytes < SIZE / 2
    assert believed.contested == believed.warnings == []
    other = planned(volume, Trust(disk=told["claims"][1]["trust"]))
    assert other.used.total_bytes == SIZE
    assert other.contested == []
    for command in told["claims"][1]["remove"]:
        run("sh", "-c", command)
    after = planned(volume)
    assert after.volumes[0].trusted, after.warnings
    assert list(after.used) == list(believed.used)


@pytest.mark.root
def test_what_wipefs_sees_is_what_we_see(memory_path: Path, need: Callable[..., None]) -> None:
    """File systems by their own tools, alone: one claim each, of the same name, at the same place."""
    need("wipefs")
    makers: List[Tuple[str, str, Tuple[str, ...]]] = [
        ("btrfs", "btrfs", ("mkfs.btrfs", "-q", "-f")),
        ("Minix", "minix", ("mkfs.minix",)),
        ("Minix", "minix", ("mkfs.minix", "-3")),
        ("BFS", "bfs", ("mkfs.bfs",)),
        ("swap", "swap", ("mkswap",)),
    ]
    for number, (name, kind, command) in enumerate(makers):
        need(command[0])
        volume = empty(memory_path / ("volume%d" % number), 120 * MIB)
        if name == "BFS":
            volume = empty(volume, 8 * MIB)
        run(*command, volume)
        seen = json.loads(run("wipefs", "-J", volume))["signatures"]
        with FileSource(str(volume)) as source:
            claims = claims_of(source)
        assert [claim.name for claim in claims] == [name]
        assert [one["type"] for one in seen] == [kind]
        assert int(seen[0]["offset"], 16) in [mark.place for mark in claims[0].marks]


ORDINARY: Dict[str, Tuple[str, ...]] = {
    "fat32-with-a-table-that-says-nothing": ("mkfs.fat", "-F", "32", "--mbr=y"),
    "fat16": ("mkfs.fat", "-F", "16"),
    "ntfs": ("mkntfs", "-F", "-Q", "-q"),
    "exfat": ("mkfs.exfat",),
    "ext2": ("mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024"),
    "ext4": ("mke2fs", "-q", "-F", "-t", "ext4"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
    "swap": ("mkswap",),
}


@pytest.mark.root
@pytest.mark.parametrize("name", sorted(ORDINARY))
def test_an_ordinary_volume_is_claimed_once(name: str, memory_path: Path, need: Callable[..., None]) -> None:
    need(ORDINARY[name][0])
    plan = planned(tooled(ORDINARY[name], memory_path / "volume"))
    assert plan.volumes[0].trusted, plan.warnings
    assert plan.warnings == []
    assert plan.used.total_bytes < SIZE / 2


def tooled(command: Tuple[str, ...], path: Path) -> Path:
    run(*command, empty(path, SIZE))
    return path


@pytest.mark.root
def test_a_partition_boot_record_of_grub_claims_nothing(memory_path: Path, need: Callable[..., None]) -> None:
    """Boot code in the first sector of ext, with the signature of a boot sector and no partition in its table."""
    need("mke2fs")
    volume = tooled(ORDINARY["ext4"], memory_path / "volume")
    patch(volume, 0, b"\xeb\x63\x90" + b"\xfa" * 400 + bytes(510 - 403) + b"\x55\xaa")
    plan = planned(volume)
    assert plan.volumes[0].trusted, plan.warnings
    patch(volume, 446, struct.pack("<B3sB3sII", 0x80, bytes(3), 0x83, bytes(3), 2048, 100_000))
    plan = planned(volume)
    assert plan.used.total_bytes == SIZE, "a table and an ext volume both claim the disk"
    assert planned(volume, Trust(disk="ext4")).volumes[0].trusted


@pytest.fixture
def stick(memory_path: Path, need: Callable[..., None]) -> Path:
    """One FAT volume once, partitioned later by a tool that keeps the boot sector."""
    need("mkfs.fat", "sfdisk", "mke2fs")
    disk = empty(memory_path / "stick", 64 * MIB)
    run("mkfs.fat", "-F", "16", disk)
    run("sfdisk", "-q", disk, input=b"label: dos\nstart=2048, size=100000, type=83\n")
    volume = make_ext(memory_path / "volume", memory_path, 40 * MIB, "-t", "ext4", files=20)
    copy_range(volume, 0, disk, MIB, 40 * MIB)
    return disk


@pytest.mark.root
def test_a_boot_sector_with_a_table_in_it(stick: Path, memory_path: Path) -> None:
    storage, target = memory_path / "storage", memory_path / "restored"
    storage.mkdir()
    made = image(storage, stick, secrets={})
    assert made["bytes_in_use"] == 64 * MIB
    assert made["contested"][0]["volume"] == "disk0"
    assert [one["name"] for one in made["contested"][0]["claims"]] == ["fat16", "a partition table"]
    restore(storage, target, secrets={})
    assert target.read_bytes() == stick.read_bytes()
    by_table = image(storage, stick, secrets={}, trust={"disk0": "table"})
    assert by_table["disks"][0]["layout"]["scheme"] == "mbr"
    assert [one["kind"] for one in by_table["disks"][0]["volumes"]] == ["ext4"]
    assert by_table["bytes_in_use"] < 40 * MIB
    by_volume = image(storage, stick, secrets={}, trust={"disk0": "fat16"})
    assert [one["kind"] for one in by_volume["disks"][0]["volumes"]] == ["fat16"]
    run("sh", "-c", made["contested"][0]["claims"][0]["remove"][0])
    healed = image(storage, stick, secrets={})
    assert healed["contested"] == []
    assert healed["disks"][0]["layout"]["scheme"] in ("mbr", "none")


@pytest.mark.root
@pytest.mark.parametrize(("type_id", "name"), [("a5", "BSD"), ("fb", "VMFS"), ("bf", "Solaris"), ("b1", "QNX6")])
def test_the_type_of_a_partition_is_a_second_witness(
    type_id: str, name: str, memory_path: Path, need: Callable[..., None]
) -> None:
    need("sfdisk", "mke2fs")
    disk = empty(memory_path / "disk", 64 * MIB)
    run("sfdisk", "-q", disk, input=("label: dos\nstart=2048, size=81920, type=%s\n" % type_id).encode())
    volume = make_ext(memory_path / "volume", memory_path, 40 * MIB, "-t", "ext4", files=20)
    copy_range(volume, 0, disk, MIB, 40 * MIB)
    plan = planned(disk)
    assert not plan.volumes[0].trusted
    assert name in plan.volumes[0].reason
    assert "ext4" in plan.volumes[0].reason
    assert planned(disk, Trust(partitions={1: "ext4"})).volumes[0].trusted
    patch(disk, MIB, bytes(40 * MIB))
    assert name in planned(disk).volumes[0].reason, "where nothing is recognised the type says what is there"


@pytest.mark.root
def test_a_file_system_left_on_the_whole_of_a_partitioned_disk(memory_path: Path, need: Callable[..., None]) -> None:
    need("sfdisk", "mkfs.fat")
    disk = empty(memory_path / "disk", 64 * MIB)
    run("sfdisk", "-q", disk, input=b"label: dos\nstart=2048, size=100000, type=c\n")
    run("mkfs.fat", "-F", "32", empty(memory_path / "volume", 100_000 * 512))
    copy_range(memory_path / "volume", 0, disk, MIB, 100_000 * 512)
    assert planned(disk).volumes[0].trusted
    patch(disk, 32769, b"CD001")
    plan = planned(disk)
    assert plan.used.total_bytes == 64 * MIB
    assert plan.contested[0].key == "disk0"
    trusted = planned(disk, Trust(disk="table"))
    assert trusted.volumes[0].trusted
    with FileSource(str(disk)) as source:
        assert read_layout_of_file(source).scheme == "mbr", "the table itself is as it was"


@pytest.mark.parametrize(
    "trust", [{"disk0p1": "ntsf"}, {"c:": "ntfs"}, {"disk0p1": 7}, ["ntfs"], {"disk0p1": ""}], ids=str
)
def test_a_setting_that_could_never_decide_anything_is_refused(trust: Any, memory_path: Path) -> None:
    disk, storage = empty(memory_path / "disk", MIB), memory_path / "storage"
    storage.mkdir()
    with pytest.raises(TrustInvalid):
        image(storage, disk, secrets={}, trust=trust)


def test_a_setting_about_what_is_not_there_is_said(memory_path: Path) -> None:
    disk, storage = empty(memory_path / "disk", MIB), memory_path / "storage"
    storage.mkdir()
    made = image(storage, disk, secrets={}, trust={"disk3p1": "ntfs", "disk0p7": "ext4", "vg/lv": "xfs"})
    assert sum("imaging_trust" in warning for warning in made["warnings"]) == 2
