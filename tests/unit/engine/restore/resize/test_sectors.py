# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks whose table takes more room in larger sectors."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from engine.disk.gpt import read_gpt
from engine.disk.layout import read_layout
from engine.disk.source import FileSource, MemorySource
from engine.errors import RestoreSectorSizeDiffers
from engine.restore.resize import gpt_table, sectors
from engine.restore.resize.shift import Shift
from engine.restore.resize.volume import volumes_of

MIB = 1 << 20
_ENTRIES = 128
SWAP = bytes.fromhex("6dfd5706aba4c44384e50933c84b4f4f")


def made(first_lba: int) -> bytes:
    """A disk of 512-byte sectors with a swap partition that begins at ``first_lba``."""
    disk = bytearray(16 * MIB)
    last = first_lba + 8 * 1024 - 1
    entries = (SWAP + b"u" * 16 + struct.pack("<QQ", first_lba, last)).ljust(_ENTRIES * 128, b"\0")
    total = len(disk) // 512
    header = struct.pack(
        "<8sIIIIQQQQ16sQIII",
        *(
            b"EFI PART",
            0x10000,
            92,
            0,
            0,
            1,
            total - 1,
            34,
            total - 34,
            b"d" * 16,
            2,
            _ENTRIES,
            128,
            zlib.crc32(entries),
        ),
    )
    header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
    struct.pack_into("<B3sB3sII", disk, 446, 0, b"", 0xEE, b"", 1, total - 1)
    disk[510:512] = b"\x55\xaa"
    disk[512 : 512 + len(header)] = header
    disk[1024 : 1024 + len(entries)] = entries
    disk[first_lba * 512 + 4086 : first_lba * 512 + 4096] = b"SWAPSPACE2"
    return bytes(disk)


def check(disk: bytes, new: int) -> gpt_table.GptTable:
    source = MemorySource(disk)
    layout = read_layout(source)
    table = gpt_table.read_table(source)
    assert table is not None
    sectors.check("disk0", "/dev/x", layout, volumes_of(source, layout.partitions), 512, new, table.end(new))
    return table


def test_a_partition_that_the_larger_table_would_cover_is_refused() -> None:
    """Sector 40 is behind a table of 34 sectors of 512 bytes, but within one of 6 sectors of 4096 bytes."""
    with pytest.raises(RestoreSectorSizeDiffers) as caught:
        check(made(40), 4096)
    assert "partition 1" in caught.value.fields["reason"]


def test_a_partition_behind_the_larger_table_is_not(tmp_path: Path) -> None:
    disk = made(48)
    table = check(disk, 4096)
    target = bytearray(disk)
    patches = gpt_table.patches(table, Shift(), len(disk), 4096)
    for place, data in patches:
        target[place : place + len(data)] = data
    assert max(place + len(data) for place, data in patches if place < MIB) <= 48 * 512
    (tmp_path / "target").write_bytes(target)
    with FileSource(str(tmp_path / "target"), 4096) as source:
        found = read_gpt(source)
    assert found is not None
    assert [(one.start_lba * 4096, one.sectors * 4096) for one in found.partitions] == [(48 * 512, 4 * MIB)]
