# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GUID partition tables [UEFI 2.10] 5.3: primary, and the backup at the end of the disk when it is damaged."""

from __future__ import annotations

import struct
import uuid
import zlib
from typing import List, NamedTuple, Optional, Tuple

from ..errors import PartitionTableInvalid
from .mbr import has_protective_mbr
from .source import BlockSource

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_SIGNATURE = b"EFI PART"
_MAX_ENTRIES = 1024
_MAX_ENTRY_BYTES = 4096


class GptEntry(NamedTuple):
    number: int
    start_lba: int
    sectors: int
    type_guid: str
    unique_guid: str
    attributes: int
    name: str


class Gpt(NamedTuple):
    """A parsed table. ``areas`` are ``(lba, sectors)`` of both headers and both entry arrays."""

    disk_guid: str
    partitions: List[GptEntry]
    areas: List[Tuple[int, int]]
    warnings: List[str]


def has_gpt(source: BlockSource, sector_bytes: int) -> bool:
    """Whether a GPT in units of this size begins where it must."""
    return source.size_bytes >= 3 * sector_bytes and source.read(sector_bytes, 8) == _SIGNATURE


def detect_sector_bytes(source: BlockSource) -> Optional[int]:
    """Return the sector size that a GPT on a plain file was made with, or ``None`` without a GPT."""
    for sector_bytes in (512, 4096):
        if has_gpt(source, sector_bytes):
            return sector_bytes
    return None


def read_gpt(source: BlockSource) -> Optional[Gpt]:
    """Return the table, from the backup with a warning where the primary is damaged, or ``None`` without either.

    Only behind a protective MBR, as for every system [UEFI 2.10] 5.2.3: a disk that was partitioned again with an MBR,
    or that holds a single file system, may well have an old table left, at its end above all.

    :raises PartitionTableInvalid: when a header with a right checksum contradicts itself.
    """
    last_lba = source.size_bytes // source.sector_bytes - 1
    if last_lba < 3 or not has_protective_mbr(source):
        return None
    primary = _read_header(source, 1)
    if primary is not None:
        table = _table(source, primary)
        if table is not None:
            backup_lba = primary[6]
            areas = _areas(source, primary, 1)
            if 1 < backup_lba <= last_lba:
                backup = _read_header(source, backup_lba)
                size = _array_sectors(source, primary)
                usual = [(max(2, backup_lba - size), size + 1)]  # its entries lie before it, by every tool's custom
                areas += _areas(source, backup, backup_lba) if backup is not None else usual
            return _parse(source, primary, table, areas, [])
    backup = _read_header(source, last_lba)
    if backup is None:
        return None
    table = _table(source, backup)
    if table is None:
        return None
    areas = _areas(source, backup, last_lba) + [(1, 1 + _array_sectors(source, backup))]
    warning = "The primary partition table of %s is damaged; the backup is used." % source.path
    return _parse(source, backup, table, areas, [warning])


def _read_header(source: BlockSource, lba: int) -> Optional[Tuple[int, ...]]:
    data = source.read(lba * source.sector_bytes, source.sector_bytes)
    fields = _HEADER.unpack_from(data)
    size, checksum = fields[2], fields[3]
    if fields[0] != _SIGNATURE or not _HEADER.size <= size <= source.sector_bytes:
        return None
    if zlib.crc32(data[:16] + bytes(4) + data[20:size]) != checksum or fields[5] != lba:
        return None
    count, entry_bytes = fields[11], fields[12]
    if not 0 < count <= _MAX_ENTRIES or not _ENTRY.size <= entry_bytes <= _MAX_ENTRY_BYTES or entry_bytes % 8:
        raise PartitionTableInvalid(path=source.path, reason="it has an impossible number or size of entries")
    return fields


def _array_sectors(source: BlockSource, header: Tuple[int, ...]) -> int:
    return -(-header[11] * header[12] // source.sector_bytes)


def _areas(source: BlockSource, header: Tuple[int, ...], lba: int) -> List[Tuple[int, int]]:
    return [(lba, 1), (header[10], _array_sectors(source, header))]


def _table(source: BlockSource, header: Tuple[int, ...]) -> Optional[bytes]:
    length = header[11] * header[12]
    start = header[10] * source.sector_bytes
    if start + length > source.size_bytes:
        return None
    data = source.read(start, length)
    return data if zlib.crc32(data) == header[13] else None


def _parse(
    source: BlockSource, header: Tuple[int, ...], table: bytes, areas: List[Tuple[int, int]], warnings: List[str]
) -> Gpt:
    total = source.size_bytes // source.sector_bytes
    partitions = []
    for number in range(header[11]):
        kind, unique, first, last, attributes, name = _ENTRY.unpack_from(table, number * header[12])
        if not any(kind):
            continue
        if not 0 < first <= last < total:
            raise PartitionTableInvalid(path=source.path, reason="partition %d is outside the disk" % (number + 1))
        partitions.append(
            GptEntry(
                number + 1,
                first,
                last - first + 1,
                str(uuid.UUID(bytes_le=kind)),
                str(uuid.UUID(bytes_le=unique)),
                attributes,
                name.decode("utf-16-le", "replace").split("\0")[0],
            )
        )
    in_order = sorted(partitions, key=lambda entry: entry.start_lba)
    for before, after in zip(in_order, in_order[1:]):
        if before.start_lba + before.sectors > after.start_lba:
            raise PartitionTableInvalid(
                path=source.path, reason="partitions %d and %d overlap" % (before.number, after.number)
            )
    return Gpt(str(uuid.UUID(bytes_le=bytes(header[9]))), partitions, areas, warnings)
