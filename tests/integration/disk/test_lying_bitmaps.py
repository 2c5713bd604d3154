# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that say they are clean while a bitmap calls blocks free that a file has: what is noticed, and by what."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from engine.disk.filesystems.contract import UsedMap, VolumeState
from engine.disk.filesystems.registry import detect
from engine.disk.source import FileSource
from support.exfat_volumes import mounted as mounted_exfat
from support.filled import MIB, empty, make_tree, run

SUMMED, PLAIN = ("-t", "ext4"), ("-t", "ext4", "-O", "^metadata_csum")


def ext_with_a_file(volume: Path, work: Path, *options: str) -> Path:
    tree = make_tree(work / "tree", files=30)
    run("mke2fs", "-q", "-F", "-b", "4096", *options, "-d", tree, empty(volume, 32 * MIB))
    return volume


def ask(volume: Path) -> UsedMap:
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert found is not None
        return found.used(VolumeState.OFFLINE)


def patch(volume: Path, offset: int, data: bytes) -> None:
    with open(volume, "r+b") as file:
        file.seek(offset)
        file.write(data)


def free_a_block(volume: Path, *, and_count_it: bool) -> None:
    """Clear the bit of a block that large.bin has."""
    text = run("debugfs", "-R", "stat /large.bin", volume)
    block = int(re.search(r"\(\d+(?:-\d+)?\):(\d+)", text).group(1))  # type: ignore[union-attr]
    place = int(re.search(r"Block bitmap at (\d+)", run("dumpe2fs", volume)).group(1)) * 4096  # type: ignore[union-attr]
    with open(volume, "r+b") as file:
        file.seek(place + block // 8)
        byte = file.read(1)[0]
        assert byte >> block % 8 & 1
        file.seek(place + block // 8)
        file.write(bytes([byte & ~(1 << block % 8)]))
        if and_count_it:
            file.seek(4096 + 12)
            free = struct.unpack("<H", file.read(2))[0]
            file.seek(4096 + 12)
            file.write(struct.pack("<H", free + 1))


@pytest.mark.parametrize("options", [SUMMED, PLAIN], ids=["summed", "plain"])
def test_ext_whose_count_says_otherwise_is_whole(options: tuple, memory_path: Path, need) -> None:
    need("mke2fs", "debugfs", "dumpe2fs")
    volume = ext_with_a_file(memory_path / "volume", memory_path, *options)
    assert ask(volume).trusted
    free_a_block(volume, and_count_it=False)
    answer = ask(volume)
    assert not answer.trusted
    assert "run fsck" in answer.reason
    assert list(answer.extents) == [(0, 32 * MIB)]


def test_ext_whose_count_lies_too_is_whole_where_there_are_checksums(memory_path: Path, need) -> None:
    need("mke2fs", "debugfs", "dumpe2fs")
    volume = ext_with_a_file(memory_path / "volume", memory_path, *SUMMED)
    free_a_block(volume, and_count_it=True)
    assert "checksum of the bitmap of group 0" in ask(volume).reason


@pytest.mark.parametrize(
    ("feature", "name"), [(0x4000, "blocks that files share"), (0x80, "snapshots"), (1 << 20, "one of the future")]
)
def test_ext_with_features_that_only_forbid_writing_is_whole(feature: int, name: str, memory_path: Path, need) -> None:
    """Bigalloc was one of them: they may give the bitmaps another meaning."""
    need("mke2fs")
    volume = ext_with_a_file(memory_path / "volume", memory_path, *PLAIN)
    with open(volume, "rb") as file:
        file.seek(1024 + 100)
        known = struct.unpack("<I", file.read(4))[0]
    patch(volume, 1024 + 100, struct.pack("<I", known | feature))
    answer = ask(volume)
    assert not answer.trusted, name
    assert "unknown features" in answer.reason


@pytest.mark.root
def test_exfat_that_calls_its_own_structures_free_is_whole(memory_path: Path, need) -> None:
    need("mkfs.exfat", "mount.exfat-fuse")
    volume = empty(memory_path / "volume", 32 * MIB)
    run("mkfs.exfat", volume)
    with mounted_exfat(volume, memory_path / "mnt") as folder:
        make_tree(folder / "tree", files=20, links=False)
    with open(volume, "rb") as file:
        boot = file.read(512)
    patch(volume, struct.unpack_from("<I", boot, 88)[0] << boot[108], b"\xfe")
    assert "its own structures" in ask(volume).reason


def test_a_cycle_of_folders_ends(memory_path: Path, need) -> None:
    """A folder is made a name in a folder below it, which no system would let happen."""
    need("mke2fs", "debugfs")
    from support.imaging import image

    volume = ext_with_a_file(memory_path / "volume", memory_path, *PLAIN)
    run("debugfs", "-w", "-R", "mkdir /a", volume)
    run("debugfs", "-w", "-R", "mkdir /a/b", volume)
    run("debugfs", "-w", "-R", "ln /a /a/b/up", volume)
    run("debugfs", "-w", "-R", "ln / /a/b/root", volume)
    storage = memory_path / "storage"
    storage.mkdir()
    made = image(storage, volume, exclude=["/**/large.bin"], secrets={})
    found = {one["pattern"]: one["files"] for one in made["left_out"]}
    assert found["/**/large.bin"] + sum("another name" in warning for warning in made["warnings"]) == 1
