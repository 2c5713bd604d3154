# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout of disks with good, hybrid, damaged and no partition tables."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from engine.disk.layout import read_layout
from engine.disk.source import MemorySource
from hypothesis import given
from hypothesis import strategies as st

_SIZE = 4 << 20


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory, need) -> bytes:
    need("sgdisk")
    path: Path = tmp_path_factory.mktemp("layout") / "disk"
    path.write_bytes(bytes(_SIZE))
    words = ["sgdisk", "-a", "1", "-n", "1:64:1000", "-n", "2:2048:4000", "-h", "1", str(path)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return path.read_bytes()


def test_a_hybrid_mbr_is_read_as_gpt(hybrid: bytes) -> None:
    layout = read_layout(MemorySource(hybrid))
    assert layout.scheme == "gpt"
    assert [(one.number, one.start_bytes) for one in layout.partitions] == [(1, 64 * 512), (2, 2048 * 512)]


def test_a_disk_whose_both_gpts_are_damaged_is_whole_though_a_hybrid_mbr_names_some(hybrid: bytes) -> None:
    """A hybrid MBR names three partitions at most: an image of these would lack the others."""
    data = bytearray(hybrid)
    data[512] = data[_SIZE - 512] = 0
    layout = read_layout(MemorySource(bytes(data)))
    assert [(one.number, one.length_bytes) for one in layout.partitions] == [(0, _SIZE)]
    assert "neither copy" in layout.whole_because


def partitioned_anew(hybrid: bytes, primary_too: bool) -> bytes:
    """What an old tool leaves that writes an MBR and nothing else: one partition from 1 MiB, tables of before at the end."""
    data = bytearray(hybrid)
    data[0:512] = bytes(512)
    data[446:462] = struct.pack("<B3xB3xII", 0x80, 0x83, 2048, 5000)
    data[510:512] = b"\x55\xaa"
    if not primary_too:
        data[512:17408] = bytes(17408 - 512)
    return bytes(data)


@pytest.mark.parametrize("primary_too", [False, True])
def test_an_old_gpt_on_a_disk_with_an_mbr_counts_for_nothing(hybrid: bytes, primary_too: bool) -> None:
    layout = read_layout(MemorySource(partitioned_anew(hybrid, primary_too)))
    assert layout.scheme == "mbr"
    assert [(one.start_bytes, one.length_bytes) for one in layout.partitions] == [(2048 * 512, 5000 * 512)]
    assert layout.warnings == []


@pytest.mark.parametrize("start", [b"", b"\xeb\x58\x90mkfs.fat"], ids=["ext", "fat"])
def test_an_old_gpt_on_a_disk_that_is_one_volume_counts_for_nothing(hybrid: bytes, start: bytes) -> None:
    data = bytearray(hybrid)
    data[0:20480] = start.ljust(20480, b"\0")
    layout = read_layout(MemorySource(bytes(data)))
    assert layout.scheme == "none"
    assert [(one.start_bytes, one.length_bytes) for one in layout.partitions] == [(0, _SIZE)]


def test_structures_hold_both_tables_whichever_is_damaged(hybrid: bytes) -> None:
    data = bytearray(hybrid)
    data[600] ^= 0xFF
    layout = read_layout(MemorySource(bytes(data)))
    extents = list(layout.structures)
    assert extents[0].start_bytes == 0
    assert extents[0].end_bytes >= 34 * 512
    assert extents[-1].end_bytes == _SIZE


def test_a_contradicting_table_makes_the_disk_one_whole() -> None:
    data = bytearray(_SIZE)
    data[446:462] = struct.pack("<B3xB3xII", 0, 0x83, 1, 1 << 31)
    data[510:512] = b"\x55\xaa"
    layout = read_layout(MemorySource(bytes(data)))
    assert layout.scheme == "none"
    assert [(one.number, one.length_bytes) for one in layout.partitions] == [(0, _SIZE)]
    assert "past the end" in layout.whole_because


@pytest.mark.parametrize("size", [0, 1, 511, 512, 1536, 2048, 4095])
@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_tiny_and_uneven_disks_are_one_whole(size: int, sector_bytes: int) -> None:
    layout = read_layout(MemorySource(bytes(size), sector_bytes))
    assert layout.scheme == "none"
    assert layout.structures.end_bytes <= size


@given(st.integers(0, 33 * 512), st.binary(min_size=1, max_size=64), st.sampled_from([512, 4096]))
def test_everything_stays_inside_the_disk(hybrid: bytes, place: int, content: bytes, sector_bytes: int) -> None:
    data = bytearray(hybrid)
    data[place : place + len(content)] = content
    layout = read_layout(MemorySource(bytes(data), sector_bytes))
    assert layout.structures.end_bytes <= _SIZE
    assert all(0 <= one.start_bytes <= one.start_bytes + one.length_bytes <= _SIZE for one in layout.partitions)
