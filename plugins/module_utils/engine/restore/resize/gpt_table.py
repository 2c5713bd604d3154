# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GUID partition table of an imaged disk for a target of another size: places and sums change, everything else stays byte for byte.

Structures: [UEFI 2.10] 5.3, and 5.2.3 for the protective MBR.
"""

from __future__ import annotations

import struct
import zlib
from typing import Dict, List, NamedTuple, Optional, Tuple

from ...disk.mbr import PROTECTIVE
from ...disk.source import BlockSource
from .shift import Shift

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_DISK_GUID_AT = 56
_ENTRY_HEAD = struct.Struct("<16s16sQQ")
_MBR_ENTRY = struct.Struct("<B3sB3sII")
_MOST_TABLE_BYTES = 4 << 20
_MOST_MBR_SECTORS = 0xFFFFFFFF

Patch = Tuple[int, bytes]  # the offset on the target, and the bytes there


class GptTable(NamedTuple):
    """The primary header and the entries of an imaged table, as they are."""

    header: bytes
    entries: bytes
    entry_bytes: int
    entries_lba: int
    backup_lba: int
    first_usable_lba: int
    mbr: bytes
    sector_bytes: int

    @property
    def array_sectors(self) -> int:
        return -(-len(self.entries) // self.sector_bytes)

    def usable_end(self, size_bytes: int, sector_bytes: int) -> int:
        """The end of the last byte that a partition may have on a disk of ``size_bytes``."""
        array = -(-len(self.entries) // sector_bytes)
        return (size_bytes // sector_bytes - 1 - array) * sector_bytes

    def end(self, sector_bytes: int) -> int:
        """The end of the primary table on a disk with sectors of another size."""
        return (2 + -(-len(self.entries) // sector_bytes)) * sector_bytes


def read_table(source: BlockSource) -> Optional[GptTable]:
    """Return the primary table, or the backup in the last sector where the primary is damaged. Two damaged ones give None.

    A table from the backup has its places as a primary one has them.
    """
    sector = source.sector_bytes
    if source.size_bytes < 3 * sector:
        return None
    last = source.size_bytes // sector - 1
    found = _read_copy(source, 1)
    if found is not None:
        return found
    found = _read_copy(source, last)
    return found._replace(entries_lba=2, backup_lba=last) if found is not None else None


def _read_copy(source: BlockSource, lba: int) -> Optional[GptTable]:
    sector = source.sector_bytes
    header = source.read(lba * sector, sector)
    fields = _HEADER.unpack_from(header)
    size, count, entry_bytes = fields[2], fields[11], fields[12]
    if fields[0] != b"EFI PART" or not _HEADER.size <= size <= sector or fields[5] != lba:
        return None
    if zlib.crc32(header[:16] + bytes(4) + header[20:size]) != fields[3]:
        return None
    length = count * entry_bytes
    place = fields[10] * sector
    if not entry_bytes >= 128 or not 0 < length <= _MOST_TABLE_BYTES or place + length > source.size_bytes:
        return None
    entries = source.read(place, length)
    if zlib.crc32(entries) != fields[13]:
        return None
    return GptTable(header, entries, entry_bytes, fields[10], fields[6], fields[7], source.read(0, 512), sector)


class NewIds(NamedTuple):
    """The GUIDs of a clone as they are in the table."""

    disk: bytes
    partitions: Dict[int, bytes]  # by number


def patches(
    table: GptTable, shift: Shift, size_bytes: int, sector_bytes: int, new_ids: Optional[NewIds] = None
) -> List[Patch]:
    """The new primary and backup tables and the protective MBR, on a target of ``size_bytes`` with sectors of ``sector_bytes``."""
    old = table.sector_bytes
    entries = bytearray(table.entries)
    if new_ids is not None:
        table = table._replace(header=table.header[:_DISK_GUID_AT] + new_ids.disk + table.header[_DISK_GUID_AT + 16 :])
    for number, start in enumerate(range(0, len(entries), table.entry_bytes), 1):
        kind, unique, first, last = _ENTRY_HEAD.unpack_from(entries, start)
        if any(kind):
            unique = new_ids.partitions.get(number, unique) if new_ids is not None else unique
            new_first = shift.start(first * old) // sector_bytes
            new_last = shift.end((last + 1) * old) // sector_bytes - 1
            _ENTRY_HEAD.pack_into(entries, start, kind, unique, new_first, new_last)
    total = size_bytes // sector_bytes
    array = -(-len(entries) // sector_bytes)
    place = table.entries_lba if sector_bytes == old else 2
    first_usable = table.first_usable_lba
    if sector_bytes != old:
        first_usable = max(2 + array, -(-table.first_usable_lba * old // sector_bytes))
    backup = total - 1
    sum_of_entries = zlib.crc32(entries)
    places = (first_usable, total - 2 - array, place, sum_of_entries)
    primary = _header(table.header, 1, backup, places, sector_bytes)
    second = _header(
        table.header, backup, 1, (first_usable, total - 2 - array, backup - array, sum_of_entries), sector_bytes
    )
    padded = bytes(entries).ljust(array * sector_bytes, b"\0")
    return [
        (0, _protective(table.mbr, total)),
        (sector_bytes, primary),
        (place * sector_bytes, padded),
        ((backup - array) * sector_bytes, padded + second),
    ]


def _header(old: bytes, mine: int, other: int, places: Tuple[int, int, int, int], sector_bytes: int) -> bytes:
    fields = list(_HEADER.unpack_from(old))
    first_usable, last_usable, entries_lba, sum_of_entries = places
    fields[3], fields[5], fields[6], fields[7], fields[8] = 0, mine, other, first_usable, last_usable
    fields[10], fields[13] = entries_lba, sum_of_entries
    size = fields[2]
    header = bytearray(old[:size])
    _HEADER.pack_into(header, 0, *fields)
    struct.pack_into("<I", header, 16, zlib.crc32(header))
    return bytes(header).ljust(sector_bytes, b"\0")


def _protective(mbr: bytes, total: int) -> bytes:
    """The protective entry covers the disk; boot code, signature and other entries stay."""
    changed = bytearray(mbr)
    for start in range(446, 510, 16):
        flag, first, kind, last, lba, dummy_count = _MBR_ENTRY.unpack_from(changed, start)
        if kind == PROTECTIVE and lba == 1:
            _MBR_ENTRY.pack_into(changed, start, flag, first, kind, last, lba, min(total - 1, _MOST_MBR_SECTORS))
    return bytes(changed)
