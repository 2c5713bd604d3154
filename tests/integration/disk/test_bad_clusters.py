# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that a file system itself calls bad: read where they can be, zeros and one warning where not.

A disk on which chkdsk /r or e2fsck -c did its duty gets its nightly image; one that fails elsewhere does not.
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
from engine.disk.exclusions import leave_out
from engine.disk.filesystems.contract import VolumeState
from engine.disk.filesystems.registry import detect
from engine.disk.patterns import Pattern
from engine.disk.source import FileSource
from engine.errors import DiskUnreadable
from support.filled import MIB, empty, make_ext, make_fat, make_ntfs, run
from support.imaging import image, restore, verify
from support.ntfs_surgery import Surgery

LICENCE = b"the licence of this machine"


def patch(path: Path, place: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(data)


def peek(path: Path, place: int, length: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(place)
        return file.read(length)


def bad_ext(path: Path, folder: Path, options: Tuple[str, ...]) -> List[Tuple[int, int]]:
    (folder / "bad").write_text("".join("%d\n" % block for block in range(12_000, 12_032)))
    make_ext(path, folder, 64 * MIB, "-b", "4096", "-l", str(folder / "bad"), *options, files=40)
    return [(12_000 * 4096, 32 * 4096)]


def bad_fat(path: Path, folder: Path, bits: int) -> List[Tuple[int, int]]:
    size = {12: 16, 16: 64, 32: 64}[bits] * MIB
    per_cluster = {12: "16", 16: "4", 32: "1"}[bits]
    make_fat(path, folder, size, "-F", str(bits), "-s", per_cluster, files=40)
    with FileSource(str(path)) as source:
        volume: Any = detect(source)
        first = volume.cluster_count - 200
        start, length = volume.cluster_range(first, 8)
        tables = [
            (volume._reserved + copy * volume._fat_sectors) * volume._sector_bytes for copy in range(volume._fats)
        ]
    for table in tables:
        for cluster in range(first, first + 8):
            place = table + cluster * bits // 8
            if bits == 12:
                pair = struct.unpack("<H", peek(path, place, 2))[0]
                pair = pair & 0x000F | 0xFF70 if cluster & 1 else pair & 0xF000 | 0x0FF7
                patch(path, place, struct.pack("<H", pair))
            else:
                patch(path, place, b"\xf7\xff" if bits == 16 else b"\xf7\xff\xff\x0f")
    return [(start, length)]


def bad_exfat(path: Path, folder: Path) -> List[Tuple[int, int]]:  # noqa: ARG001
    run("mkfs.exfat", "-c", "4K", empty(path, 64 * MIB))
    with FileSource(str(path)) as source:
        volume: Any = detect(source)
        first = volume.cluster_count - 200
        first -= first % 8 - 2  # a byte of the bitmap
        start, length = volume.cluster_range(first, 8)
        bitmap = volume.cluster_range(*volume._root.bitmaps[0][1][0])[0]
    patch(path, volume._fat_start + first * 4, b"\xf7\xff\xff\xff" * 8)
    patch(path, bitmap + (first - 2) // 8, b"\xff")
    return [(start, length)]


def bad_ntfs(path: Path, folder: Path) -> List[Tuple[int, int]]:
    make_ntfs(path, folder, 64 * MIB, files=40)
    surgery = Surgery(path)
    first = surgery.cluster_count - 200
    first -= first % 8
    record, bodies = surgery.read(8), []
    for kind, body in surgery.attributes(record):
        if kind == 0x80 and body[9]:  # $Bad, which is sparse as long as nothing is bad
            rest = surgery.cluster_count - first - 8
            runs = struct.pack("<BIBBIBIB", 0x04, first, 0x41, 8, first, 0x04, rest, 0)
            offset = struct.unpack_from("<H", body, 32)[0]
            body = (body[:offset] + runs).ljust(-(-(offset + len(runs)) // 8) * 8, b"\0")
            body = body[:4] + struct.pack("<I", len(body)) + body[8:]
        bodies.append(body)
    surgery.write(8, surgery.with_attributes(record, bodies))
    patch(path, surgery._place(surgery.bitmap.runs, first // 8), b"\xff")
    return [(first * surgery.cluster_bytes, 8 * surgery.cluster_bytes)]


MAKERS: Dict[str, Callable[[Path, Path], List[Tuple[int, int]]]] = {
    "ext4": lambda path, folder: bad_ext(path, folder, ("-t", "ext4")),
    "ext2": lambda path, folder: bad_ext(path, folder, ("-t", "ext2")),
    "fat12": lambda path, folder: bad_fat(path, folder, 12),
    "fat16": lambda path, folder: bad_fat(path, folder, 16),
    "fat32": lambda path, folder: bad_fat(path, folder, 32),
    "exfat": bad_exfat,
    "ntfs": bad_ntfs,
}


@pytest.fixture(params=sorted(MAKERS))
def volume(request: Any, memory_path: Path, need: Callable[..., None]) -> Tuple[Path, List[Tuple[int, int]]]:
    need("mke2fs", "mkntfs", "mkfs.fat", "mkfs.exfat", "losetup", "ntfs-3g", "mcopy")
    path = memory_path / "volume"
    return path, MAKERS[request.param](path, memory_path)


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> List[Tuple[int, int]]:
    """Ranges of the file that is imaged where reading fails."""
    ranges: List[Tuple[int, int]] = []
    pread, preadv = os.pread, os.preadv

    def check(descriptor: int, start: int, length: int) -> None:
        if os.readlink("/proc/self/fd/%d" % descriptor).endswith("/volume") and any(
            start < place + size and place < start + length for place, size in ranges
        ):
            raise OSError(errno.EIO, "Input/output error")

    def failing_pread(descriptor: int, length: int, offset: int) -> bytes:
        check(descriptor, offset, length)
        return pread(descriptor, length, offset)

    def failing_preadv(descriptor: int, buffers: Any, offset: int) -> int:
        check(descriptor, offset, sum(len(buffer) for buffer in buffers))
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "pread", failing_pread)
    monkeypatch.setattr(os, "preadv", failing_preadv)
    return ranges


@pytest.mark.root
def test_what_can_be_read_of_them_is_in_the_image(
    volume: Tuple[Path, List[Tuple[int, int]]], memory_path: Path
) -> None:
    path, ((start, length),) = volume
    patch(path, start + length - 512, LICENCE)
    with FileSource(str(path)) as source:
        found = detect(source)
        assert found is not None
        answer = found.used(VolumeState.OFFLINE)
        assert answer.trusted, answer.reason
        assert list(answer.wanted) == [(start, length)]
        assert not answer.wanted.difference(answer.extents)
    storage, target = memory_path / "storage", memory_path / "restored"
    made = image(storage, path, secrets={})
    assert made["warnings"] == []
    restore(storage, target, secrets={})
    assert peek(target, start, length) == peek(path, start, length)
    assert LICENCE in peek(target, start, length)


@pytest.mark.root
def test_what_can_not_be_read_of_them_is_zeros_and_one_warning(
    volume: Tuple[Path, List[Tuple[int, int]]], memory_path: Path, unreadable: List[Tuple[int, int]]
) -> None:
    path, ((start, length),) = volume
    patch(path, start, b"\xaa" * length)
    unreadable += [(start, 512), (start + length // 2, 1)]
    storage, target = memory_path / "storage", memory_path / "restored"
    for dummy in range(2):
        made = image(storage, path, secrets={})
        assert len(made["warnings"]) == 1, made["warnings"]
        assert str(start) in made["warnings"][0]
        assert verify(storage, secrets={})["ok"]
    unreadable.clear()
    restore(storage, target, secrets={})
    back = peek(target, start, length)
    lost = [
        place for place in range(0, length, 4096) if back[place : place + 4096] != b"\xaa" * min(4096, length - place)
    ]
    assert lost in ([0, length // 2 - length // 2 % 4096], [0])
    assert all(not any(back[place : place + min(4096, length)]) for place in lost)
    outside = [(0, start), (start + length, path.stat().st_size - start - length)]
    with FileSource(str(path)) as source:
        found = detect(source)
        assert found is not None
        used = found.used(VolumeState.OFFLINE).extents
    for place, size in outside:
        for extent in used.clipped(place, place + size):
            assert peek(target, *extent) == peek(path, *extent)


@pytest.mark.root
def test_a_bad_sector_elsewhere_ends_the_run(
    volume: Tuple[Path, List[Tuple[int, int]]], memory_path: Path, unreadable: List[Tuple[int, int]]
) -> None:
    path, ((start, length),) = volume
    with FileSource(str(path)) as source:
        found = detect(source)
        assert found is not None
        tree = found.tree()
        used = found.used(VolumeState.OFFLINE)
        assert tree is not None
        every_file = leave_out(used.extents, tree, [Pattern.parse("**").below((), tree.case_sensitive)])
        content = used.extents.difference(every_file.kept)
    in_use = next(iter(content), None)
    unreadable += [(start, length), (in_use.start_bytes, 512) if in_use else (4096, 512)]
    with pytest.raises(DiskUnreadable):
        image(memory_path / "storage", path, secrets={})
