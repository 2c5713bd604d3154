# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Master boot records with extended and logical partitions."""

from __future__ import annotations

import struct
from typing import List, NamedTuple, Optional, Set, Tuple

from ..errors import PartitionTableInvalid
from .source import BlockSource

_ENTRY = struct.Struct("<B3sB3sII")
_EXTENDED = frozenset([0x05, 0x0F, 0x85])
_MAX_LOGICAL = 128
_EMPTY = 0x00
PROTECTIVE = 0xEE


class MbrEntry(NamedTuple):
    number: int
    start_lba: int
    sectors: int
    type_code: int
    bootable: bool


class Mbr(NamedTuple):
    """A parsed table; ``tables_lba`` are the sectors that hold it and its extended boot records."""

    signature: int
    partitions: List[MbrEntry]
    tables_lba: List[int]
    is_protective: bool
    unnamed: List[Tuple[int, int]] = []  # first sector and length of entries without a type that overlap others


def has_protective_mbr(source: BlockSource) -> bool:
    """Whether sector 0 says that the disk has a GUID partition table, alone or (hybrid) next to its own entries."""
    sector = source.read(0, 512)
    return sector[510:] == b"\x55\xaa" and any(entry[1] == PROTECTIVE for entry in _entries(sector))


def holds_table(sector: bytes, total: int) -> bool:
    """Whether a boot sector has a table of partitions in it that says something else than that all is one volume.

    An entry that begins with the boot sector itself says nothing: mkfs.fat and mkudffs write one for systems that want a table.

    :param total: how many sectors there are.
    """
    if sector[510:] != b"\x55\xaa":
        return False
    entries = _entries(sector)
    used = [entry for entry in entries if entry[3] and entry[1] != _EMPTY and entry[2]]
    if not used or any(flag not in (0, 0x80) for flag, dummy, dummy_start, dummy_count in entries):
        return False
    return all(entry[2] < total for entry in used)


def hybrid_entries(source: BlockSource) -> List[Tuple[int, int]]:
    """First sector and length of what a master boot record beside a GPT has on its own."""
    total = source.size_bytes // source.sector_bytes
    entries = _entries(source.read(0, 512))
    return [
        (start, min(count, total - start))
        for dummy, type_code, start, count in entries
        if type_code != PROTECTIVE and count and start < total
    ]


def starts_of_mbr(source: BlockSource) -> List[Tuple[int, bool]]:
    """The first sector of each used entry of a master boot record, and whether it is an extended partition; empty when
    sector 0 is not such a record."""
    sector = source.read(0, 512) if source.size_bytes >= 512 else b""
    if sector[510:] != b"\x55\xaa" or _is_boot_sector(sector):
        return []
    used = [entry for entry in _entries(sector) if entry[3] and entry[1] != PROTECTIVE]
    return [(start, type_code in _EXTENDED) for dummy, type_code, start, dummy_count in used]


def read_mbr(source: BlockSource, *, in_boot_sector: bool = False) -> Optional[Mbr]:
    """Return the master boot record, or None when sector 0 is not one (blank, or a file system's boot sector).

    :param in_boot_sector: believe a table in a file system's boot sector.
    :raises PartitionTableInvalid: when it is one but its partitions reach past the disk or its chain is broken.
    """
    if source.size_bytes < max(512, source.sector_bytes):
        return None
    sector = source.read(0, 512)
    if sector[510:] != b"\x55\xaa" or (_is_boot_sector(sector) and not in_boot_sector):
        return None
    entries = _entries(sector)
    if any(flag not in (0, 0x80) for flag, dummy, dummy_start, dummy_count in entries):
        return None
    # Linux creates a partition for every entry with a size, of any type [block/partitions/msdos.c].
    used = [(number, entry) for number, entry in enumerate(entries, 1) if entry[3] != 0]
    if not used:
        return None
    if all(entry[1] == _EMPTY for dummy, entry in used):
        raise PartitionTableInvalid(path=source.path, reason="it has partitions, but none of them has a type")
    total = source.size_bytes // source.sector_bytes
    partitions: List[MbrEntry] = []
    tables, unnamed = [0], []
    typed = [entry for dummy, entry in used if entry[1] != _EMPTY]
    protective = any(entry[1] == PROTECTIVE for dummy, entry in used)
    for number, (flag, type_code, start, count) in used:
        if type_code == PROTECTIVE:
            continue
        if type_code == _EMPTY and not _fits(start, count, total, typed):
            unnamed.append(
                (start, count)
            )  # no system shows it as a partition; what is in it may be all of an installer
            continue
        _check(source, start, count, total)
        partitions.append(MbrEntry(number, start, count, type_code, flag == 0x80))
        if type_code in _EXTENDED:
            _read_logical(source, start, count, total, partitions, tables)
    return Mbr(struct.unpack("<I", sector[440:444])[0], partitions, tables, protective, unnamed)


def _read_logical(
    source: BlockSource, base: int, length: int, total: int, partitions: List[MbrEntry], tables: List[int]
) -> None:
    """Follow the chain as Linux does: any entry of a record may be the link, those before and behind it are partitions
    [block/partitions/msdos.c, parse_extended]."""
    position = base
    seen: Set[int] = set()
    # the numbers continue in a second extended partition
    number = max([4, *(entry.number for entry in partitions)]) + 1
    while True:
        if position in seen or len(seen) >= _MAX_LOGICAL:
            raise PartitionTableInvalid(path=source.path, reason="its chain of logical partitions has a loop")
        if not base <= position < base + length:
            raise PartitionTableInvalid(path=source.path, reason="a logical partition is outside the extended one")
        seen.add(position)
        sector = source.read(position * source.sector_bytes, 512)
        if sector[510:] != b"\x55\xaa":
            raise PartitionTableInvalid(path=source.path, reason="an extended boot record is missing")
        tables.append(position)
        entries = _entries(sector)
        links = [entry for entry in entries if entry[1] in _EXTENDED and entry[3]]
        for place, (flag, type_code, start, count) in enumerate(entries):
            if type_code in _EXTENDED or not count:
                continue
            is_inside = base <= position + start and position + start + count <= base + length
            if (place >= 2 or type_code == _EMPTY) and not is_inside:
                continue  # some systems leave anything there
            _check(source, position + start, count, total)
            partitions.append(MbrEntry(number, position + start, count, type_code, flag == 0x80))
            number += 1
        if sum(entry[1] in _EXTENDED and entry[3] > 0 and entry[2] < length for entry in entries[:2]) > 1:
            raise PartitionTableInvalid(path=source.path, reason="an extended boot record leads to two others")
        if not links:
            return
        position = base + links[0][2]


def _fits(start: int, count: int, total: int, typed: List[Tuple[int, int, int, int]]) -> bool:
    """Whether an entry is within the disk and overlaps no other."""
    if start == 0 or start + count > total:
        return False
    return all(start >= other[2] + other[3] or start + count <= other[2] for other in typed)


def _entries(sector: bytes) -> List[Tuple[int, int, int, int]]:
    found = []
    for start in range(446, 510, 16):
        flag, dummy_first, type_code, dummy_last, lba, count = _ENTRY.unpack_from(sector, start)
        found.append((flag, type_code, lba, count))
    return found


def _check(source: BlockSource, start: int, count: int, total: int) -> None:
    if start == 0 or start + count > total:
        raise PartitionTableInvalid(path=source.path, reason="a partition reaches past the end of the disk")


def _is_boot_sector(sector: bytes) -> bool:
    """A FAT, exFAT or NTFS boot sector ends in 55 AA as well."""
    return sector[3:11] in (b"NTFS    ", b"EXFAT   ", b"-FVE-FS-") or (
        sector[0] in (0xEB, 0xE9) and (sector[54:57] == b"FAT" or sector[82:85] == b"FAT")
    )
