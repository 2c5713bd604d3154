# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of an MBR after partitions moved."""

from __future__ import annotations

import struct
from typing import Tuple

import pytest
from engine.disk.mbr import read_mbr
from engine.disk.source import MemorySource
from engine.restore.resize.mbr_table import patches
from engine.restore.resize.shift import Cut, Shift

MIB = 1 << 20
SECTORS = MIB // 512
SIZE = 64 * MIB
Entry = Tuple[int, int, int]  # type, start and length in sectors


def put_record(disk: bytearray, lba: int, *entries: Entry) -> None:
    for number, (kind, start, count) in enumerate(entries):
        struct.pack_into("<B3sB3sII", disk, lba * 512 + 446 + 16 * number, 0, b"", kind, b"", start, count)
    disk[lba * 512 + 510 : lba * 512 + 512] = b"\x55\xaa"


def made(*garbage: Entry) -> bytearray:
    """A primary partition, an extended one of which the last 14 MiB are empty, and a primary one 10 MiB behind it."""
    disk = bytearray(SIZE)
    extended, last = 10 * SECTORS, 40 * SECTORS
    put_record(disk, 0, (0x83, SECTORS, 8 * SECTORS), (0x05, extended, 20 * SECTORS), (0x83, last, 8 * SECTORS))
    put_record(disk, extended, (0x83, SECTORS, 5 * SECTORS), (0, 0, 0), *garbage)
    return disk


def moved(disk: bytearray, shift: Shift) -> bytearray:
    source = MemorySource(bytes(disk))
    mbr = read_mbr(source)
    assert mbr is not None
    for place, data in patches(source, mbr.tables_lba, 10 * SECTORS, shift):
        disk[place : place + len(data)] = data
    return disk


@pytest.mark.parametrize("removed", [5, 9, 15, 20])
def test_an_extended_partition_that_ends_in_a_gap_does_not_reach_into_the_next_one(removed: int) -> None:
    found = read_mbr(MemorySource(bytes(moved(made(), Shift([Cut(40 * MIB, -removed * MIB)])))))
    assert found is not None
    places = {one.number: (one.start_lba // SECTORS, one.sectors // SECTORS) for one in found.partitions}
    assert places == {1: (1, 8), 2: (10, min(20, 30 - removed)), 3: (40 - removed, 8), 5: (11, 5)}


def test_an_entry_that_counts_for_nothing_may_hold_any_number() -> None:
    disk = moved(made((0x77, 0xFFFFFFFF, 0xFFFFFFFF)), Shift([Cut(9 * MIB, MIB), Cut(16 * MIB, 4 * MIB)]))
    found = read_mbr(MemorySource(bytes(disk)))
    assert found is not None
    assert [one.start_lba // SECTORS for one in found.partitions] == [1, 11, 12, 45]
