# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A FAT volume that is damaged, or whose structures lead in circles, is refused; one that mtools made is consistent."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any, Callable, Tuple

import pytest
from engine.errors import FileSystemInvalid
from engine.restore.fallback.fat_check import check
from engine.restore.fallback.fat_folder import FatEntry
from engine.restore.fallback.fat_table import FatTable
from engine.restore.fallback.fat_writer import FatWriter
from support.efi_volumes import KINDS, apply, debian, fragment, make, volume_of

Spoil = Callable[[Path], None]


def entry(path: Path, *names: str) -> Tuple[FatEntry, int]:
    """An entry, and its place on the volume."""
    found = FatWriter(volume_of(path)).folder(*names[:-1]).find(names[-1])
    assert found is not None
    return found, path.read_bytes().index(found.raw)


def link(path: Path, cluster: int, value: int) -> None:
    """Set an entry of every copy of the table."""
    volume = volume_of(path)
    data = path.read_bytes()
    for start, dummy in volume.tables:
        if volume.bits == 12:
            place = start + cluster * 3 // 2
            (pair,) = struct.unpack_from("<H", data, place)
            raw = struct.pack("<H", (pair & 0xF | value << 4) if cluster & 1 else (pair & 0xF000 | value))
        else:
            size = volume.bits // 8
            place, raw = start + cluster * size, struct.pack("<H" if size == 2 else "<I", value)
        apply(path, [(place, raw)])


def loop_in_a_file(path: Path) -> None:
    first = entry(path, "EFI", "debian", "grubx64.efi")[0].first
    link(path, first + 3, first)


def loop_in_a_folder(path: Path) -> None:
    first = entry(path, "EFI", "debian")[0].first
    link(path, first, first)


def folder_in_itself(path: Path) -> None:
    above, inner = entry(path, "EFI")[0], entry(path, "EFI", "debian")[1]
    apply(
        path,
        [(inner + 20, struct.pack("<H", above.first >> 16)), (inner + 26, struct.pack("<H", above.first & 0xFFFF))],
    )


def two_files_with_one_cluster(path: Path) -> None:
    first = entry(path, "EFI", "debian", "shimx64.efi")[0].first
    place = entry(path, "EFI", "debian", "mmx64.efi")[1]
    apply(path, [(place + 20, struct.pack("<H", first >> 16)), (place + 26, struct.pack("<H", first & 0xFFFF))])


def chain_that_leaves_the_volume(path: Path) -> None:
    link(path, entry(path, "EFI", "debian", "grubx64.efi")[0].first, volume_of(path).cluster_count + 2)


def chain_into_the_free(path: Path) -> None:
    link(path, entry(path, "EFI", "debian", "grubx64.efi")[0].first + 2, 0)


def file_longer_than_its_chain(path: Path) -> None:
    apply(path, [(entry(path, "EFI", "debian", "mmx64.efi")[1] + 28, struct.pack("<I", 1 << 31))])


def tables_that_differ(path: Path) -> None:
    start = volume_of(path).tables[1][0]
    apply(path, [(start + 40, b"\x21")])


@pytest.fixture(autouse=True)
def tools(need: Any) -> None:
    need("mkfs.fat", "mcopy", "mmd", "mdel", "mdir")


@pytest.mark.parametrize("bits", KINDS)
@pytest.mark.parametrize(
    "spoil",
    [
        loop_in_a_file,
        loop_in_a_folder,
        folder_in_itself,
        two_files_with_one_cluster,
        chain_that_leaves_the_volume,
        chain_into_the_free,
        file_longer_than_its_chain,
        tables_that_differ,
    ],
)
def test_a_damaged_volume_is_refused_soon(spoil: Spoil, bits: int, tmp_path: Path) -> None:
    path = make(tmp_path / "esp", debian(), bits)
    spoil(path)
    started = time.monotonic()
    with pytest.raises(FileSystemInvalid):
        FatWriter(volume_of(path))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("bits", [16, 32])
def test_errors_of_the_disk_that_a_system_noted_are_a_refusal(bits: int, tmp_path: Path) -> None:
    path = make(tmp_path / "esp", debian(), bits)
    link(path, 1, 0xBFFF if bits == 16 else 0x0BFFFFFF)
    with pytest.raises(FileSystemInvalid):
        FatWriter(volume_of(path))


@pytest.mark.parametrize("bits", KINDS)
def test_fragmented_volumes_and_lost_clusters_are_no_damage(bits: int, tmp_path: Path) -> None:
    path = make(tmp_path / "esp", debian(), bits)
    fragment(path)
    volume = volume_of(path)
    lost = max(FatTable(volume).free())
    link(path, lost, {12: 0xFFF, 16: 0xFFFF, 32: 0x0FFFFFFF}[bits])
    volume = volume_of(path)
    check(volume, FatTable(volume))
