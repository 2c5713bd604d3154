# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GUID partition tables made by sgdisk and then damaged in one place after the other."""

from __future__ import annotations

import re
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from engine.disk.gpt import detect_sector_bytes, read_gpt
from engine.disk.source import MemorySource
from engine.errors import PartitionTableInvalid
from fuzz.volumes import repair_gpt
from hypothesis import given
from hypothesis import strategies as st

_SIZE = 4 << 20


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, need) -> bytes:
    need("sgdisk")
    path: Path = tmp_path_factory.mktemp("gpt") / "disk"
    path.write_bytes(bytes(_SIZE))
    words = ["sgdisk", "-a", "1", "-n", "1:64:1000", "-c", "1:first", "-n", "2:2048:4000", "-t", "2:0700", str(path)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    shown = subprocess.run(["sgdisk", "-p", str(path)], check=True, stdout=subprocess.PIPE).stdout.decode()
    assert re.findall(r"^ +(\d+) +(\d+) +(\d+) ", shown, re.MULTILINE) == [("1", "64", "1000"), ("2", "2048", "4000")]
    return path.read_bytes()


def source(data: bytes, place: int = 0, content: bytes = b"", repair: bool = False) -> MemorySource:
    changed = bytearray(data)
    changed[place : place + len(content)] = content
    if repair:
        repair_gpt(changed, 512)
    return MemorySource(bytes(changed))


def test_the_partitions_are_those_of_sgdisk(original: bytes) -> None:
    found = read_gpt(MemorySource(original))
    assert found is not None
    places = [(one.number, one.start_lba, one.start_lba + one.sectors - 1, one.name) for one in found.partitions]
    assert places == [(1, 64, 1000, "first"), (2, 2048, 4000, "")]
    assert found.warnings == []
    assert detect_sector_bytes(MemorySource(original)) == 512


@pytest.mark.parametrize("place", [512, 512 + 16, 512 + 24, 512 + 56, 512 + 72, 512 + 84, 1024 + 32])
def test_the_backup_stands_in_for_a_damaged_primary(original: bytes, place: int) -> None:
    found = read_gpt(source(original, place, bytes([original[place] ^ 0xFF])))
    assert found is not None
    assert [one.start_lba for one in found.partitions] == [64, 2048]
    assert "backup is used" in found.warnings[0]


def test_both_damaged_is_no_table(original: bytes) -> None:
    last = _SIZE - 512
    assert read_gpt(source(source(original, 512, b"x").read(0, _SIZE), last, b"x")) is None


@pytest.mark.parametrize(("count", "entry_bytes"), [(0, 128), (0xFFFFFFFF, 128), (128, 0), (128, 127), (128, 1 << 30)])
def test_absurd_counts_with_right_checksums_are_refused(original: bytes, count: int, entry_bytes: int) -> None:
    data = bytearray(original)
    struct.pack_into("<II", data, 512 + 80, count, entry_bytes)
    repair_gpt(data, 512)
    # The array does not fit the disk, so that the checksum of the header alone is made right.
    struct.pack_into("<I", data, 528, 0)
    struct.pack_into("<I", data, 528, zlib.crc32(data[512 : 512 + 92]))
    with pytest.raises(PartitionTableInvalid):
        read_gpt(MemorySource(bytes(data)))


@pytest.mark.parametrize(("first", "last"), [(900, 2100), (0, 10), (100, 99), (8000, 8192), (1 << 63, (1 << 64) - 1)])
def test_overlapping_and_outside_partitions_are_refused(original: bytes, first: int, last: int) -> None:
    with pytest.raises(PartitionTableInvalid):
        read_gpt(source(original, 1024 + 128 + 32, struct.pack("<QQ", first, last), repair=True))


@given(place=st.integers(0, 91), content=st.binary(min_size=1, max_size=16))
def test_any_header_with_right_checksum_ends_in_bounds(original: bytes, place: int, content: bytes) -> None:
    try:
        found = read_gpt(source(original, 512 + place, content, repair=True))
    except PartitionTableInvalid:
        return
    for one in found.partitions if found else []:
        assert one.start_lba > 0
        assert one.start_lba + one.sectors <= _SIZE // 512
