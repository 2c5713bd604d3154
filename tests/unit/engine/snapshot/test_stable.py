# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small mounted system partitions are read until two passes agree, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable, List

import pytest
from engine.disk.layout import Partition
from engine.disk.overlay import OverlaySource
from engine.disk.source import FileSource
from engine.snapshot import stable
from support.filled import MIB, make_fat

START = 2 * MIB


@pytest.fixture
def disk(tmp_path: Path, need: Any) -> Path:
    need("mkfs.fat", "mcopy")
    volume = tmp_path / "efi"
    make_fat(volume, tmp_path, 8 * MIB, files=20)
    path = tmp_path / "disk"
    with open(path, "wb") as file:
        file.write(bytes(START))
        with open(volume, "rb") as source:
            shutil.copyfileobj(source, file)
        file.write(bytes(MIB))
    return path


def partition_of(path: Path) -> Partition:
    return Partition(1, START, path.stat().st_size - START - MIB, "", "", "", "efi", True)


def on_pass(monkeypatch: Any, action: Callable[[int], None]) -> List[int]:
    """Call ``action`` with the number of each pass right before it; its first step writes out the mounted file system."""
    passes: List[int] = []

    def step(dummy_mount_point: str) -> None:
        passes.append(len(passes))
        action(passes[-1])

    monkeypatch.setattr(stable, "write_out", step)
    monkeypatch.setattr(stable, "_PAUSE_SECONDS", 0)
    return passes


def scribble(path: Path, number: int) -> None:
    with open(path, "r+b") as file:
        file.seek(START + 3)  # the name of the maker in the boot sector
        file.write(b"%08d" % number)


def test_what_stands_still_is_kept_whatever_is_written_later(disk: Path, tmp_path: Path) -> None:
    with FileSource(str(disk)) as source:
        held = stable.read_stable(source, partition_of(disk), str(tmp_path))
        assert held is not None
        before = disk.read_bytes()
        scribble(disk, 7)
        overlaid = OverlaySource(source, held)
        for piece, dummy in held:
            assert overlaid.read(piece.start_bytes, piece.length_bytes) == before[piece.start_bytes : piece.end_bytes]
        assert sum(piece.length_bytes for piece, dummy in held) < 8 * MIB, "free clusters are not kept"


def test_passes_go_on_until_two_agree(disk: Path, monkeypatch: Any) -> None:
    passes = on_pass(monkeypatch, lambda number: scribble(disk, number) if number < 3 else None)
    with FileSource(str(disk)) as source:
        held = stable.read_stable(source, partition_of(disk), "/boot/efi")
        assert held is not None
        assert held[0][1].read(3, 8) == b"00000002"
    assert passes == [0, 1, 2, 3]


def test_what_never_stands_still_is_not_frozen(disk: Path, monkeypatch: Any) -> None:
    passes = on_pass(monkeypatch, lambda number: scribble(disk, number))
    with FileSource(str(disk)) as source:
        assert stable.read_stable(source, partition_of(disk), "/boot/efi") is None
    assert len(passes) == 6


def test_too_much_and_what_is_no_fat_are_not_kept(disk: Path, monkeypatch: Any, tmp_path: Path) -> None:
    with FileSource(str(disk)) as source:
        partition = partition_of(disk)
        assert stable.read_stable(source, partition._replace(start_bytes=0), str(tmp_path)) is None
        monkeypatch.setattr(stable, "_MAX_BYTES", 4096)
        assert stable.read_stable(source, partition, str(tmp_path)) is None
