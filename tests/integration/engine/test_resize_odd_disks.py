# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that no planner expects: resized so that other programs find nothing wrong, or refused before the first byte."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from engine.errors import EngineError
from support.filled import MIB, empty, run
from support.imaging import image, restore
from support.whole_disks import copy_range

pytestmark = pytest.mark.root
LARGER, SMALLER = 40 * MIB + 12345, -20 * MIB
TWO = "label: gpt\nstart=1MiB, size=30MiB, name=same\nsize=20MiB, name=same\n"
LOGICAL = (
    "label: dos\nstart=1MiB, size=20MiB, type=83\nstart=22MiB, size=48MiB, type=5\nstart=23MiB, size=20MiB, type=83\n"
    "start=45MiB, size=12MiB, type=83\n"
)


def make(folder: Path, table: str, size_mib: int, volumes: List[Tuple[int, int]]) -> Path:
    """A disk with ext4 at these places, start and size in MiB."""
    disk = empty(folder / "disk.raw", size_mib * MIB)
    run("sfdisk", "-q", disk, input=table.encode())
    for start, size in volumes:
        run("mke2fs", "-q", "-t", "ext4", "-E", "offset=%d" % (start * MIB), disk, "%dk" % (size * 1024))
    return disk


def write(disk: Path, place: int, data: bytes) -> None:
    with open(disk, "r+b") as file:
        file.seek(place)
        file.write(data)


def swap_last(folder: Path) -> Path:
    disk = make(folder, "label: gpt\nstart=1MiB, size=40MiB\nsize=8MiB, type=S\n", 64, [(1, 40)])
    write(disk, 41 * MIB + 4086, b"SWAPSPACE2")
    return disk


def lvm_last(folder: Path) -> Path:
    disk = make(folder, TWO, 64, [(1, 30)])
    write(disk, 31 * MIB + 512, b"LABELONE" + struct.pack("<Q", 1) + bytes(8) + b"LVM2 001" + b"a" * 32)
    return disk


def luks_last(folder: Path) -> Path:
    disk = make(folder, TWO, 64, [(1, 30)])
    write(disk, 31 * MIB, b"LUKS\xba\xbe\0\2" + bytes(200))
    return disk


def hybrid(folder: Path) -> Path:
    disk = make(folder, TWO, 64, [(1, 30), (31, 20)])
    run("sgdisk", "-h", "1:EE", disk)
    return disk


def out_of_order(folder: Path) -> Path:
    table = "label: gpt\n2: start=1MiB, size=30MiB\n1: start=31MiB, size=20MiB\n"
    return make(folder, table, 64, [(1, 30), (31, 20)])


def overlapping(folder: Path) -> Path:
    disk = make(folder, "label: dos\nstart=1MiB, size=30MiB\nstart=32MiB, size=20MiB\n", 64, [(1, 30), (32, 20)])
    write(disk, 446 + 16 + 8, struct.pack("<I", 20 * 2048))
    return disk


def broken(*places: int) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        disk = make(folder, TWO, 64, [(1, 30), (31, 20)])
        for place in places:
            write(disk, place % (64 * MIB), b"garbage!" * 10)
        return disk

    return build


def outside(folder: Path) -> Path:
    """Bytes before, between and behind the partitions, as of boot loaders and licences."""
    disk = make(folder, "label: dos\nstart=1MiB, size=30MiB\nstart=34MiB, size=20MiB\n", 64, [(1, 30), (34, 20)])
    for place, text in (
        (512, b"before"),
        (32 * MIB, b"between"),
        (56 * MIB, b"behind"),
        (64 * MIB - 4096, b"at the end"),
    ):
        write(disk, place, text * 100)
    return disk


SHRINK: Dict[str, Any] = {"shrink": True}
NEW: Dict[str, Any] = {"identity": "new"}
# The disk, how much larger the target is, the wishes, and the code of the refusal or what happens to each partition.
CASES: Dict[str, Tuple[Callable[[Path], Path], int, Dict[str, Any], str]] = {
    "swap last grows": (swap_last, LARGER, {"grow": "last"}, "R141"),
    "swap moves": (swap_last, LARGER, {"grow": "1"}, "grown moved"),
    "swap moves down": (swap_last, SMALLER, SHRINK, "shrunk moved"),
    "lvm last grows": (lvm_last, LARGER, {"grow": "last"}, "R141"),
    "lvm moves": (lvm_last, SMALLER, SHRINK, "shrunk moved"),
    "lvm alone is too large": (lvm_last, -46 * MIB, SHRINK, "R143"),
    "luks last grows": (luks_last, LARGER, {"grow": "last"}, "R141"),
    "hybrid grows": (hybrid, LARGER, {"grow": "last"}, "R148"),
    "hybrid shrinks": (hybrid, SMALLER, SHRINK, "R148"),
    "hybrid gets new ids": (hybrid, 0, NEW, "R163"),
    "names twice": (lambda folder: make(folder, TWO, 64, [(1, 30), (31, 20)]), LARGER, {"grow": "last"}, "kept grown"),
    "last by place": (out_of_order, LARGER, {"grow": "last"}, "kept grown"),
    "overlapping grows": (overlapping, LARGER, {"grow": "1"}, "R148"),
    "overlapping shrinks": (overlapping, SMALLER, SHRINK, "R148"),
    "overlapping gets new ids": (overlapping, 0, NEW, "R163"),
    "no partition": (lambda folder: make(folder, "label: gpt\n", 16, []), LARGER, {"grow": "last"}, "R140"),
    "primary table broken": (broken(512), LARGER, {"grow": "last"}, "kept grown"),
    "primary table broken, no wish": (broken(512), LARGER, {}, "kept kept"),
    "primary table broken, new ids": (broken(512), 0, NEW, "kept kept"),
    "backup table broken": (broken(-512), SMALLER, SHRINK, "shrunk moved"),
    "both tables broken": (broken(512, -512), LARGER, {"grow": "last"}, "R148"),
    "logical last": (lambda f: make(f, LOGICAL, 72, [(1, 20), (23, 20), (45, 12)]), LARGER, {"grow": "last"}, "kept kept grown"),
    "logical moves": (lambda f: make(f, LOGICAL, 72, [(1, 20), (23, 20), (45, 12)]), SMALLER, SHRINK, "shrunk moved moved"),
    "bytes outside, larger": (outside, LARGER, {"grow": "1"}, "grown moved"),
    "bytes outside, smaller": (outside, -12 * MIB, SHRINK, "shrunk moved"),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", list(CASES))
def test_an_odd_disk_is_resized_rightly_or_refused(name: str, tmp_path: Path, need: Callable[..., None]) -> None:
    need("sfdisk", "sgdisk", "mke2fs", "e2fsck", "resize2fs")
    build, more, wishes, expected = CASES[name]
    disk = build(tmp_path)
    image(tmp_path / "storage", disk)
    target = empty(tmp_path / "target", disk.stat().st_size + more)
    if expected.startswith("R"):
        for foretells in (True, False):
            with pytest.raises(EngineError) as caught:
                restore(tmp_path / "storage", target, check=foretells, **wishes)
            assert caught.value.code == expected
            assert not target.read_bytes().strip(b"\0")
        return
    done = restore(tmp_path / "storage", target, **wishes)
    assert " ".join(one["action"] for one in done["restore_plan"]["disks"][0]["partitions"]) == expected
    check(target, tmp_path)
    if build is outside:
        content = target.read_bytes()
        assert all(content.count(text * 100) == 1 for text in (b"before", b"between", b"behind", b"at the end"))


def check(target: Path, folder: Path) -> None:
    """The table by sgdisk or sfdisk, each ext4 by e2fsck."""
    if b"EFI PART" in target.read_bytes()[512:520]:
        assert "No problems found" in run("sgdisk", "-v", target)
    run("sfdisk", "--verify", target)
    volumes = 0
    for line in run("sfdisk", "-d", target).splitlines():
        start, size = (_number(line, word) for word in ("start=", "size="))
        if start is None or size is None:
            continue
        volume = empty(folder / "volume", 0)
        copy_range(target, start * 512, volume, 0, size * 512)
        if volume.read_bytes()[1080:1082] == b"\x53\xef":
            run("e2fsck", "-f", "-n", volume)
            volumes += 1
    assert volumes


def _number(line: str, word: str) -> Optional[int]:
    return int(line.split(word)[1].split(",")[0]) if word in line else None


def test_a_target_that_is_attached_is_refused(tmp_path: Path, need: Callable[..., None]) -> None:
    need("sfdisk", "mke2fs", "losetup")
    disk = make(tmp_path, TWO, 64, [(1, 30), (31, 20)])
    image(tmp_path / "storage", disk)
    target = empty(tmp_path / "target", 104 * MIB)
    loop = run("losetup", "-f", "--show", target).strip()
    try:
        for wishes in ({"grow": "last"}, {"identity": "new"}):
            with pytest.raises(EngineError) as caught:
                restore(tmp_path / "storage", target, **wishes)
            assert caught.value.code == "R100"
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)
    assert not target.read_bytes().strip(b"\0")
    assert os.stat(target).st_size == 104 * MIB
