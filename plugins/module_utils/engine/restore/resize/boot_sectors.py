# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of a partition as its own boot sector has it: "hidden sectors", which boot code of NTFS and FAT adds to what it reads.

After a move the field must be the new start, in the backup boot sector too, or Windows does not start. A field that is not the
old start (logical partitions count from their own table) stays as it is.
"""

from __future__ import annotations

import struct
from typing import List

from ...disk.source import BlockSource
from .gpt_table import Patch

_HIDDEN = struct.Struct("<I")
_HIDDEN_AT = 0x1C
_FAT32_BACKUP_AT = 50
_MOST = 0xFFFFFFFF


def patches(source: BlockSource, old_start: int, new_start: int, sector_bytes: int) -> List[Patch]:
    """The changed fields of a volume that moved; offsets are bytes of the volume."""
    old, new = old_start // sector_bytes, new_start // sector_bytes
    if old == new or not 0 < old <= _MOST or new > _MOST or source.size_bytes < 2 * sector_bytes:
        return []
    boot = source.read(0, 512)
    places = [0]
    if boot[3:11] == b"NTFS    ":
        places += [source.size_bytes - sector_bytes, _behind(boot, sector_bytes)]
    elif boot[82:87] == b"FAT32":
        places.append(struct.unpack_from("<H", boot, _FAT32_BACKUP_AT)[0] * sector_bytes)
    elif boot[54:57] != b"FAT":
        return []
    found = []
    for place in sorted(set(places)):
        if place and not 0 < place <= source.size_bytes - 512:
            continue
        copy = source.read(place, 512)
        if copy[:11] == boot[:11] and _HIDDEN.unpack_from(copy, _HIDDEN_AT)[0] == old:
            found.append((place + _HIDDEN_AT, _HIDDEN.pack(new)))
    return found


def _behind(boot: bytes, sector_bytes: int) -> int:
    """Where NTFS has its backup: in the sector behind its last one."""
    total: int = struct.unpack_from("<Q", boot, 40)[0]
    return total * sector_bytes
