# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small disks of Windows with a partition table, built byte by byte."""

from __future__ import annotations

import struct
import uuid
import zlib
from typing import List, NamedTuple, Sequence

SECTOR_BYTES = 512
MIB = 1 << 20
EFI, MSR = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "e3c9e316-0b5c-4db8-817d-f92df00215ae"
BASIC, RECOVERY = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "de94bba4-06d1-4d40-a16a-bfd50179d6ac"
DYNAMIC, POOL = "af9b60a0-1431-4f62-bc68-3311714a69ad", "e75caf8f-f680-4cee-afa3-b001e56efc2d"


class Part(NamedTuple):
    """A partition: a GUID in a GPT, two hexadecimal digits in an MBR; place and size in MiB."""

    kind: str
    start: int
    size: int
    active: bool = False


def plain(size: int) -> bytearray:
    return bytearray(size * MIB)


def mbr(size: int, parts: Sequence[Part], signature: int = 0x1A2B3C4D) -> bytearray:
    data = plain(size)
    struct.pack_into("<I", data, 440, signature)
    for number, part in enumerate(parts):
        first, count = part.start * MIB // SECTOR_BYTES, part.size * MIB // SECTOR_BYTES
        kind = int(part.kind, 16)
        struct.pack_into("<B3xB3xII", data, 446 + 16 * number, 0x80 if part.active else 0, kind, first, count)
    data[510:512] = b"\x55\xaa"
    return data


def gpt(size: int, parts: Sequence[Part], disk_id: str = "11111111-2222-3333-4444-555555555555") -> bytearray:
    """With both copies of the table."""
    data = plain(size)
    sectors = len(data) // SECTOR_BYTES
    struct.pack_into("<B3xB3xII", data, 446, 0, 0xEE, 1, sectors - 1)
    data[510:512] = b"\x55\xaa"
    entries = b"".join(_entry(number, part) for number, part in enumerate(parts)).ljust(128 * 128, b"\0")
    for own, other, table in ((1, sectors - 1, 2), (sectors - 1, 1, sectors - 33)):
        head = _header(own, other, sectors, uuid.UUID(disk_id), table, zlib.crc32(entries))
        data[own * SECTOR_BYTES : own * SECTOR_BYTES + 92] = head
        data[table * SECTOR_BYTES : table * SECTOR_BYTES + len(entries)] = entries
    return data


def _entry(number: int, part: Part) -> bytes:
    first, count = part.start * MIB // SECTOR_BYTES, part.size * MIB // SECTOR_BYTES
    unique = uuid.UUID(int=0xABCD0000 + number)
    head = uuid.UUID(part.kind).bytes_le + unique.bytes_le + struct.pack("<QQQ", first, first + count - 1, 0)
    return head.ljust(128, b"\0")


def _header(own: int, other: int, sectors: int, disk: uuid.UUID, table: int, crc: int) -> bytes:
    fields: List[bytes] = [
        b"EFI PART" + struct.pack("<III4x", 0x10000, 92, 0),
        struct.pack("<QQQQ", own, other, 34, sectors - 34),
        disk.bytes_le,
        struct.pack("<QIII", table, 128, 128, crc),
    ]
    head = bytearray(b"".join(fields))
    struct.pack_into("<I", head, 16, zlib.crc32(bytes(head)))
    return bytes(head)
