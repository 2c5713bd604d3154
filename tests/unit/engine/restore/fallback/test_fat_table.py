# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The allocation table in memory: entries of each width are changed alone, in every copy, and the marks of a volume in use are seen."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from engine.disk.filesystems.fat import Fat
from engine.errors import FileSystemInvalid
from engine.restore.fallback import fat_table
from engine.restore.fallback.fat_table import FatTable, runs
from support.efi_volumes import KINDS, apply, debian, make, volume_of


@pytest.fixture(autouse=True)
def tools(need: Any) -> None:
    need("mkfs.fat", "mcopy", "mmd")


def table_bytes(path: Path, volume: Fat) -> bytes:
    start, length = volume.tables[0]
    return path.read_bytes()[start : start + length]


@pytest.mark.parametrize("bits", KINDS)
def test_a_chain_that_is_linked_is_read_back_and_its_neighbours_stay(bits: int, tmp_path: Path) -> None:
    path = make(tmp_path / "esp", debian(), bits)
    table = FatTable(volume_of(path))
    free = list(table.free())
    taken = [free[0], free[1], free[5], free[-1]]
    before = [list(table.chain(one)) for one in range(2, 6)]
    table.link(taken)
    patches = list(table.patches())
    volume = volume_of(path)
    assert len(patches) % len(volume.tables) == 0
    apply(path, patches)
    again = FatTable(volume_of(path))  # which refuses copies that differ
    assert list(again.chain(taken[0])) == taken
    assert [list(again.chain(one)) for one in range(2, 6)] == before
    assert list(again.free()) == [one for one in free if one not in taken]


def test_the_four_highest_bits_of_an_entry_stay(tmp_path: Path) -> None:
    path = make(tmp_path / "esp", debian(), 32)
    volume = volume_of(path)
    cluster = next(FatTable(volume).free())
    apply(path, [(start + cluster * 4, struct.pack("<I", 0xA0000000)) for start, dummy in volume.tables])
    table = FatTable(volume_of(path))
    assert next(table.free()) == cluster
    table.link([cluster])
    apply(path, list(table.patches()))
    assert struct.unpack_from("<I", table_bytes(path, volume), cluster * 4)[0] == 0xAFFFFFFF


@pytest.mark.parametrize(("bits", "place"), [(12, 0x25), (16, 0x25), (32, 0x41)])
def test_the_mark_of_a_mounted_volume_is_seen(bits: int, place: int, tmp_path: Path) -> None:
    path = make(tmp_path / "esp", debian(), bits)
    assert not FatTable(volume_of(path)).is_in_use
    apply(path, [(place, b"\x01")])
    assert FatTable(volume_of(path)).is_in_use


@pytest.mark.parametrize(("bits", "value"), [(16, b"\xff\x7f"), (32, b"\xff\xff\xff\x07")])
def test_the_mark_in_the_table_is_seen(bits: int, value: bytes, tmp_path: Path) -> None:
    path = make(tmp_path / "esp", debian(), bits)
    volume = volume_of(path)
    apply(path, [(start + bits // 8, value) for start, dummy in volume.tables])
    table = FatTable(volume_of(path))
    assert table.is_in_use
    assert not table.has_errors


def test_a_table_without_an_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "esp", debian())
    monkeypatch.setattr(fat_table, "MOST_CLUSTERS", volume_of(path).cluster_count - 1)
    with pytest.raises(FileSystemInvalid):
        FatTable(volume_of(path))


def test_only_neighbours_are_joined() -> None:
    assert runs([5, 6, 7, 9, 3, 4]) == [(5, 3), (9, 1), (3, 2)]
    assert runs([]) == []
