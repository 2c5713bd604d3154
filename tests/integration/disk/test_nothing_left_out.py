# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file system knows nothing of, or no longer: bytes behind it, boot loaders in front of it, another system beside it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Callable, List, Tuple

import pytest
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import read_layout
from engine.disk.source import FileSource
from engine.disk.used import DiskPlan, plan_disk
from support.filled import MIB, empty, make_ext, make_fat, make_ntfs, run

BCACHE = bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")
ZFS_UBERBLOCK = struct.pack("<Q", 0x00BAB10C)


def planned(path: Path) -> DiskPlan:
    with FileSource(str(path)) as source:
        return plan_disk(source, read_layout(source), lambda partition: VolumeState.OFFLINE)


def patch(path: Path, place: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(data)


def holds(plan: DiskPlan, place: int, length: int = 512) -> bool:
    return sum(part for dummy, part in plan.used.clipped(place, place + length)) == length


MAKERS: List[Tuple[str, Callable[[Path, Path, int], Path]]] = [
    ("ext4", lambda path, folder, size: make_ext(path, folder, size, "-t", "ext4", files=40)),
    ("ntfs", lambda path, folder, size: make_ntfs(path, folder, size, files=40)),
    ("fat", lambda path, folder, size: make_fat(path, folder, size, files=40)),
    ("xfs", lambda path, folder, size: made_by(path, size, "mkfs.xfs", "-q")),
    ("exfat", lambda path, folder, size: made_by(path, size, "mkfs.exfat")),
]


def made_by(path: Path, size: int, *command: str) -> Path:
    run(*command, empty(path, size))
    return path


@pytest.mark.root
@pytest.mark.parametrize(("kind", "make"), MAKERS, ids=[kind for kind, dummy in MAKERS])
def test_what_lies_behind_a_file_system_is_imaged(
    kind: str, make: Callable[[Path, Path, int], Path], tmp_path: Path, need: Callable[..., None]
) -> None:
    need("mke2fs", "mkntfs", "mkfs.fat", "mkfs.xfs", "mkfs.exfat")
    size = (320 if kind == "xfs" else 64) * MIB
    volume = make(tmp_path / "volume", tmp_path, size)
    before = planned(volume)
    with open(volume, "ab") as file:
        file.write(b"hash tree" * 4096)
    behind = volume.stat().st_size - size
    plan = planned(volume)
    assert plan.volumes[0].trusted, plan.warnings
    assert holds(plan, size, behind)
    assert plan.used.total_bytes - before.used.total_bytes == behind
    assert plan.warnings == before.warnings == []


@pytest.mark.root
def test_much_behind_a_file_system_is_imaged_and_said(tmp_path: Path, need: Callable[..., None]) -> None:
    need("mke2fs")
    volume = make_ext(tmp_path / "volume", tmp_path, 16 * MIB, "-t", "ext4", files=40)
    empty(tmp_path / "larger", 100 * MIB)
    patch(tmp_path / "larger", 0, volume.read_bytes())
    plan = planned(tmp_path / "larger")
    assert holds(plan, 16 * MIB, 84 * MIB)
    assert ["its file system ends 88.1 MB before its end" in line for line in plan.warnings] == [True]


@pytest.mark.parametrize("label", ["dos", "gpt"])
def test_a_boot_loader_in_front_of_the_first_partition_is_imaged(
    label: str, tmp_path: Path, need: Callable[..., None]
) -> None:
    """Boards have theirs at 8 MiB [Rockchip boot flow: U-Boot at sector 16384]."""
    need("sfdisk")
    disk = empty(tmp_path / "disk", 128 * MIB)
    script = "label: %s\nstart=%d, size=%d\n" % (label, 16 * 2048, 64 * 2048)
    run("sfdisk", "-q", disk, input=script.encode())
    patch(disk, 8 * MIB, b"U-Boot")
    assert holds(planned(disk), 8 * MIB)
    assert holds(planned(disk), 512, 16 * MIB - 512)


@pytest.mark.root
@pytest.mark.parametrize("options", [(), ("-O", "^metadata_csum,uninit_bg"), ("-O", "^64bit")], ids=str)
def test_a_group_that_is_falsely_called_empty_is_not_believed(
    options: Tuple[str, ...], tmp_path: Path, need: Callable[..., None]
) -> None:
    """One flag decides whether a group is looked at; the descriptor's own sum guards it."""
    need("mke2fs", "dumpe2fs")
    volume = make_ext(tmp_path / "volume", tmp_path, 64 * MIB, "-t", "ext4", "-b", "1024", *options, files=200)
    before = planned(volume)
    assert before.volumes[0].trusted, before.warnings
    flags = 2048 + 18  # of the first group; blocks of 1024 bytes: descriptors begin in block 2
    with open(volume, "rb") as file:
        file.seek(flags)
        value = file.read(1)[0]
    assert not value & 2
    patch(volume, flags, bytes([value | 2]))
    plan = planned(volume)
    assert not plan.volumes[0].trusted
    assert "checksum of the descriptor of group 0 is wrong" in plan.volumes[0].reason
    assert plan.used.total_bytes == 64 * MIB


@pytest.mark.root
@pytest.mark.parametrize(("name", "place", "magic"), [("bcache", 4120, BCACHE), ("ZFS", 132 << 10, ZFS_UBERBLOCK)])
def test_a_system_beside_an_older_one_is_imaged_whole(
    name: str, place: int, magic: bytes, tmp_path: Path, need: Callable[..., None]
) -> None:
    need("mkswap")
    volume = empty(tmp_path / "volume", 4 * MIB)
    run("mkswap", volume)
    assert planned(volume).used.total_bytes == 4096
    patch(volume, place, magic)
    plan = planned(volume)
    assert plan.used.total_bytes == 4 * MIB
    assert "swap and %s both claim the volume" % name in plan.volumes[0].reason
