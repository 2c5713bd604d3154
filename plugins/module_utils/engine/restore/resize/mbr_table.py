# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MBR of an imaged disk, and the extended boot records, for a target of another size: places and lengths change, the signature and the boot code stay."""

from __future__ import annotations

import struct
from typing import List, Tuple

from ...disk.source import BlockSource
from .gpt_table import Patch
from .shift import Shift

_ENTRY = struct.Struct("<B3sB3sII")
EXTENDED = frozenset([0x05, 0x0F, 0x85])
MOST_SECTORS = 0xFFFFFFFF
_HEADS, _SECTORS = 255, 63
_SIGNATURE_AT = 440
_BEYOND = b"\xfe\xff\xff"


def patches(
    source: BlockSource, tables_lba: List[int], extended_lba: int, shift: Shift, signature: bytes = b""
) -> List[Patch]:
    """The changed records; ``tables_lba`` are sector 0 and the extended boot records, ``extended_lba`` is the start of the
    extended partition, which links count from (0 where there is none).

    :param signature: the new one of the disk, empty where it stays.
    """
    sector = source.sector_bytes
    found: List[Patch] = []
    for lba in tables_lba:
        data = bytearray(source.read(lba * sector, 512))
        new_lba = shift.start(lba * sector) // sector
        if not lba and signature:
            data[_SIGNATURE_AT : _SIGNATURE_AT + 4] = signature
        for place in range(446, 510, 16):
            flag, first, kind, last, start, count = _ENTRY.unpack_from(data, place)
            if not count:
                continue
            # Links count from the extended partition, logical partitions from their own record.
            base = 0 if not lba else extended_lba if kind in EXTENDED else lba
            new_base = shift.start(base * sector) // sector if base else 0
            begin, end = (base + start) * sector, (base + start + count) * sector
            new_begin, new_end = shift.start(begin) // sector, shift.end(end) // sector
            if (new_begin, new_end) == (base + start, base + start + count):
                first_last = (first, last)
            else:
                first_last = (
                    first if new_begin == base + start else _chs(new_begin),
                    last if new_end == base + start + count else _chs(new_end - 1),
                )
            if (
                max(new_begin - new_base, new_end - new_begin) > MOST_SECTORS
                or not 0 <= new_base <= new_begin <= new_end
            ):
                continue  # some systems leave anything in an entry that has no effect
            _ENTRY.pack_into(
                data, place, flag, first_last[0], kind, first_last[1], new_begin - new_base, new_end - new_begin
            )
        found.append((new_lba * sector, bytes(data)))
    return found


def _chs(lba: int) -> bytes:
    """A sector by cylinder, head and number as firmware counts them; beyond the 1024th cylinder the usual mark."""
    cylinder, rest = divmod(lba, _HEADS * _SECTORS)
    if cylinder > 1023:
        return _BEYOND
    head, number = divmod(rest, _SECTORS)
    return bytes([head, (number + 1) | (cylinder >> 2 & 0xC0), cylinder & 0xFF])


def ebr_ranges(source: BlockSource, tables_lba: List[int]) -> List[Tuple[int, int]]:
    """First byte and length of each extended boot record."""
    return [(lba * source.sector_bytes, 512) for lba in tables_lba if lba]
