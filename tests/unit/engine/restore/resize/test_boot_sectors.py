# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hidden sectors of a volume that moved."""

from __future__ import annotations

import struct

import pytest
from engine.disk.source import MemorySource
from engine.restore.resize.boot_sectors import patches

SIZE = 64 * 1024


def volume(kind: str, hidden: int) -> bytearray:
    data = bytearray(SIZE)
    boot = bytearray(512)
    struct.pack_into("<I", boot, 0x1C, hidden)
    if kind == "ntfs":
        boot[:11] = b"\xebR\x90NTFS    "
        struct.pack_into("<Q", boot, 40, 100)
        data[100 * 512 : 101 * 512] = boot
        data[-512:] = boot
    elif kind == "fat32":
        boot[:11] = b"\xebX\x90mkfs.fat"
        boot[82:90] = b"FAT32   "
        struct.pack_into("<H", boot, 50, 6)
        data[6 * 512 : 7 * 512] = boot
    data[:512] = boot
    return data


@pytest.mark.parametrize(
    ("kind", "places"), [("ntfs", [0, 51200, SIZE - 512]), ("fat32", [0, 3072]), ("none", [])], ids=str
)
def test_each_copy_gets_the_new_start(kind: str, places: list[int]) -> None:
    found = patches(MemorySource(bytes(volume(kind, 2048))), 2048 * 512, 4096 * 512, 512)
    assert found == [(place + 0x1C, struct.pack("<I", 4096)) for place in places]


@pytest.mark.parametrize("hidden", [0, 63, 2047])
def test_a_field_that_is_not_the_old_start_stays(hidden: int) -> None:
    assert patches(MemorySource(bytes(volume("ntfs", hidden))), 2048 * 512, 4096 * 512, 512) == []


def test_a_backup_outside_the_volume_is_left_out() -> None:
    data = volume("fat32", 2048)
    struct.pack_into("<H", data, 50, 0xFFFF)
    assert [place for place, dummy in patches(MemorySource(bytes(data)), 2048 * 512, 4096 * 512, 512)] == [0x1C]
