# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and volumes into an image and back: checkers find nothing, every file is identical, the table is whole."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Dict

import pytest
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import read_layout
from engine.disk.source import FileSource
from engine.disk.used import plan_disk
from support.filled import MIB, check_volume, contents, empty, fat_contents, make_ext, make_fat, make_ntfs, mounted, run
from support.imaging import image, restore, same_where_in_use, verify
from support.maps import assert_equals_oracle
from support.whole_disks import Part, WholeDisk, build_disk, sfdisk

GPT = (
    Part("efi", "fat", 64, ("-F", "32", "-s", "1")),
    Part("root", "ext", 96, ("-t", "ext4")),
    Part("windows", "ntfs", 64, ("-c", "4096")),
    Part("boot", "ext", 32, ("-t", "ext2")),
    Part("swap", "swap", 16),
    Part("unknown", "raw", 3),
)
GPT_4K = (
    Part("efi", "fat", 300, ("-F", "32", "-s", "1")),
    Part("root", "ext", 96, ("-t", "ext4", "-b", "4096")),
    Part("windows", "ntfs", 64, ("-c", "4096")),
)
MBR = (
    Part("reserved", "ntfs", 48, ("-c", "4096")),
    Part("first", "ext", 48, ("-t", "ext3"), logical=True),
    Part("second", "fat", 64, ("-F", "16", "-s", "4"), logical=True),
    Part("third", "ntfs", 48, ("-c", "1024"), logical=True),
    Part("fourth", "swap", 8, (), logical=True),
)
MBR_4K = (
    Part("reserved", "ntfs", 48, ("-c", "4096")),
    Part("first", "ext", 48, ("-t", "ext3", "-b", "4096"), logical=True),
    Part("third", "ntfs", 48, ("-c", "4096"), logical=True),
    Part("fourth", "swap", 8, (), logical=True),
)


def files_of(kind: str, volume: Path, work: Path) -> Dict[str, str]:
    if kind == "fat":
        return fat_contents(volume, work)
    if kind in ("ext", "ntfs"):
        system = "ext4" if kind == "ext" else "ntfs"
        with mounted(volume, work / ("mnt-%s" % volume.name), system, read_only=True) as folder:
            return contents(folder, facts=True)
    return {}


def used_ranges(disk: Path, sector_bytes: int) -> list:
    with FileSource(str(disk)) as source:
        source.sector_bytes = sector_bytes
        layout = read_layout(source)
        return list(plan_disk(source, layout, lambda partition: VolumeState.OFFLINE).used)


def assert_same_disk(disk: WholeDisk, restored: Path, work: Path) -> None:
    for placed in disk.parts:
        before, after = disk.volume(placed, disk.path, work), disk.volume(placed, restored, work)
        kind = placed.part.kind
        if kind in ("ext", "fat", "ntfs"):
            check_volume(kind, after)
            expected = files_of(kind, before, work)
            assert len(expected) > 50
            assert files_of(kind, after, work) == expected
        elif kind == "raw":
            assert before.read_bytes() == after.read_bytes()
        before.unlink()
        after.unlink()


def assert_same_gaps(disk: WholeDisk, restored: Path) -> None:
    """What lies in front of, between and behind the partitions is somebody's as well: every byte of it came back."""
    position, found = 0, 0
    ends = [*((placed.start_bytes, placed.size_bytes) for placed in disk.parts), (disk.path.stat().st_size, 0)]
    with open(disk.path, "rb") as before, open(restored, "rb") as after:
        for start, length in ends:
            before.seek(position)
            after.seek(position)
            gap = before.read(start - position)
            assert after.read(start - position) == gap, "the gap at %d" % position
            found += gap.count(b"nobody's bytes ")
            position = start + length
    assert found == 1000 * len(disk.parts)


@pytest.mark.root
@pytest.mark.parametrize(
    ("scheme", "parts", "sector_bytes"),
    [("gpt", GPT, 512), ("gpt", GPT_4K, 4096), ("dos", MBR, 512), ("dos", MBR_4K, 4096)],
    ids=["gpt-512", "gpt-4096", "mbr-logical", "mbr-logical-4096"],
)
def test_whole_disk(scheme: str, parts: tuple, sector_bytes: int, tmp_path: Path, need) -> None:
    need("sfdisk", "mkntfs", "mke2fs", "mkfs.fat", "mcopy", "losetup", "ntfs-3g", "mkswap")
    disk = build_disk(tmp_path, scheme, parts, sector_bytes=sector_bytes)
    storage = tmp_path / "storage"
    storage.mkdir()
    made = image(storage, disk.path)
    assert made["warnings"] == [] or all("is imaged whole" in warning for warning in made["warnings"]), made["warnings"]
    assert made["bytes_in_use"] < disk.path.stat().st_size * 0.8
    assert verify(storage)["ok"]
    restored = tmp_path / "restored.raw"
    restore(storage, restored)
    ranges = used_ranges(disk.path, sector_bytes)
    assert sum(length for dummy, length in ranges) == made["bytes_in_use"]
    assert same_where_in_use(disk.path, restored, ranges) == []
    before, after = (
        json.loads(sfdisk(path, sector_bytes, "--json").replace(str(path), "DISK")) for path in (disk.path, restored)
    )
    assert after == before
    if scheme == "gpt" and sector_bytes == 512:
        assert "No problems found" in run("sgdisk", "-v", restored)
    assert_same_gaps(disk, restored)
    assert_same_disk(disk, restored, tmp_path)


@pytest.mark.root
@pytest.mark.parametrize("sector_bytes", [512, 4096])
@pytest.mark.parametrize("kind", ["ntfs", "ext", "fat"])
def test_single_volume_with_thousands_of_files(kind: str, sector_bytes: int, tmp_path: Path, need) -> None:
    """The map is the oracle's, the restored volume passes its checker, every file is what it was, for both sector sizes."""
    need("mkntfs", "mke2fs", "mkfs.fat", "mcopy", "losetup", "ntfs-3g", "ntfsclone", "dumpe2fs")
    volume = tmp_path / "volume"
    if kind == "ntfs":
        options = ("-s", str(sector_bytes), "-p", "0", "-H", "0", "-S", "0", "-c", "4096")
        make_ntfs(volume, tmp_path, 128 * MIB, *options, files=3000)
    elif kind == "ext":
        make_ext(volume, tmp_path, 128 * MIB, "-t", "ext4", "-b", str(max(1024, sector_bytes)), files=3000)
    else:
        size_bytes = 128 * MIB if sector_bytes == 512 else 300 * MIB
        make_fat(volume, tmp_path, size_bytes, "-F", "32", "-S", str(sector_bytes), "-s", "1", files=2400)
    assert_equals_oracle(kind, volume)
    storage = tmp_path / "storage"
    storage.mkdir()
    loop = run("losetup", "-r", "-f", "--show", "-b", sector_bytes, volume).strip()
    try:
        made = image(storage, Path(loop))
    finally:
        run("losetup", "-d", loop)
    assert made["bytes_in_use"] < 100 * MIB
    assert made["disks"][0]["layout"]["sector_bytes"] == sector_bytes
    restored = tmp_path / "restored"
    restore(storage, restored)
    check_volume(kind, restored)
    expected = files_of(kind, volume, tmp_path)
    assert len(expected) > 2000
    assert files_of(kind, restored, tmp_path) == expected
    assert same_where_in_use(volume, restored, used_ranges(volume, sector_bytes)) == []


@pytest.mark.root
@pytest.mark.parametrize("kind", ["ext", "ntfs", "fat"])
def test_nearly_empty_volume_of_64_gib(kind: str, tmp_path: Path, need) -> None:
    need("mkntfs", "mke2fs", "mkfs.fat", "mcopy", "losetup", "ntfs-3g")
    volume = tmp_path / "volume"
    if kind == "ext":
        make_ext(volume, tmp_path, 64 << 30, "-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1", files=200)
    elif kind == "ntfs":
        make_ntfs(volume, tmp_path, 64 << 30, files=200)
    else:
        make_fat(volume, tmp_path, 64 << 30, "-F", "32", "-s", "64", files=200)
    storage = tmp_path / "storage"
    storage.mkdir()
    made = image(storage, volume)
    assert made["bytes_in_use"] < 2 << 30
    restored = tmp_path / "restored"
    restore(storage, restored)
    assert restored.stat().st_size == 64 << 30
    assert restored.stat().st_blocks * 512 < 1 << 30  # sparse
    check_volume(kind, restored)
    assert files_of(kind, restored, tmp_path) == files_of(kind, volume, tmp_path)


@pytest.mark.root
def test_second_image_after_changes_on_a_block_device(tmp_path: Path, need) -> None:
    need("losetup")
    disk = empty(tmp_path / "disk", 64 * MIB)
    chance = random.Random(3)
    with open(disk, "r+b") as file:
        file.write(chance.randbytes(48 * MIB))
    storage = tmp_path / "storage"
    storage.mkdir()
    source = run("losetup", "-f", "--show", disk).strip()
    target_file = empty(tmp_path / "target", 64 * MIB)
    target = run("losetup", "-f", "--show", target_file).strip()
    try:
        first = image(storage, Path(source))
        with open(source, "r+b") as file:
            for dummy in range(8):
                file.seek(chance.randrange(0, 700) * 65536)
                file.write(chance.randbytes(65536))
        second = image(storage, Path(source))
        assert second["bytes_stored"] < 9 * 65536 + 200_000 < first["bytes_stored"]
        restore(storage, Path(target))
    finally:
        run("losetup", "-d", source)
        run("losetup", "-d", target)
    assert target_file.read_bytes() == disk.read_bytes()
