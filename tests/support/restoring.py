# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores in tests: an image of two disks, targets that a refusal leaves alone, places worth damaging."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple, Tuple

import pytest
from engine.disk.source import MemorySource
from engine.errors import EngineError
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.packs import read_table
from engine.image.writing.writer import DiskInput, ImageOrder, write_image
from engine.storage.local.storage import DirectoryStorage
from support.refusing import check_sentence
from support.small_runs import CHUNK, DEVICE, SmallDisk

MARK = b"plantops.imaging restore in progress\n"


class Made(NamedTuple):
    """An image of two disks."""

    image: str
    disks: List[SmallDisk]


def partitioned() -> SmallDisk:
    """10 MiB with a table in front, volumes at 2 and 4 MiB, and a backup table at the end."""
    disk = SmallDisk(chunks=160)
    disk.used = {0, 1, *range(32, 51), *range(64, 91), 159}
    return disk


def image_two(storage: DirectoryStorage, timestamp: str = "2026-11-23_20-00-00") -> Made:
    disks = [partitioned(), SmallDisk(chunks=40, seed=2)]
    inputs = [
        DiskInput(MemorySource(bytes(disk.data)), disk.extents(), "serial:%d" % number)
        for number, disk in enumerate(disks)
    ]
    return Made(write_image(storage, ImageOrder(DEVICE, timestamp, inputs, created=timestamp)).image, disks)


def refused(code: str, work: Callable[[], object], *targets: Path) -> EngineError:
    """Run ``work``, which must fail with ``code`` and leave every target as it is."""
    before = [(target.read_bytes(), target.stat().st_mtime_ns) if target.exists() else None for target in targets]
    with pytest.raises(EngineError) as caught:
        work()
    assert caught.value.code == code
    check_sentence(caught.value)
    after = [(target.read_bytes(), target.stat().st_mtime_ns) if target.exists() else None for target in targets]
    assert after == before
    return caught.value


def same_in_use(disk: SmallDisk, data: bytes) -> None:
    for number in sorted(disk.used):
        place = slice(number * CHUNK, (number + 1) * CHUNK)
        assert data[place] == disk.data[place], number


def flip_byte(path: Path, position: int) -> bytes:
    """Change one byte of a file; return what the file was."""
    whole = path.read_bytes()
    path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
    return whole


def damageable(storage: DirectoryStorage, made: Made, kind: object) -> Iterator[Tuple[Path, int]]:
    root = Path(storage.description)
    if isinstance(kind, str) and kind != "gone":
        path = root / DEVICE / made.image / kind
        size = path.stat().st_size
        yield from ((path, position) for position in (0, size // 2, size - 1))
        return
    packs = sorted(DeviceDirectory(storage, DEVICE).packs().items())
    for name, size_bytes in (packs[0], packs[-1]) if kind == "gone" else packs:
        entries = read_table(storage, fmt.pack_path(DEVICE, name), size_bytes)
        middles = [entry.offset + entry.stored_bytes // 2 for entry in entries if kind in (entry.kind, "gone")]
        if middles:
            yield root / fmt.pack_path(DEVICE, name), middles[-1]
