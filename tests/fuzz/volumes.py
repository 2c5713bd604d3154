# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile volumes as small inputs: a real volume, and patches of its metadata.

An input is ``base u8 | flags u8 | patches``, a patch ``line u16 | place u8 | bytes 1 to 16``. Lines are the 16 bytes of the
base that are not all zero, so that every patch hits a structure and not free space; the place holds the byte in the
line (low half) and how many bytes follow, less one (high half). Flag 1 makes the checksums of a GPT right again.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import List, Tuple

from engine._libraries import zstandard

BASES = Path(__file__).parent / "bases"
_LINE_BYTES = 16
_MAX_PATCHES = 64


@lru_cache(maxsize=None)
def base(name: str) -> Tuple[bytes, List[int]]:
    """Return a volume and the places of its lines that are not zero."""
    data: bytes = zstandard().ZstdDecompressor().decompress((BASES / name).read_bytes())
    zeros = bytes(_LINE_BYTES)
    lines = [at for at in range(0, len(data), _LINE_BYTES) if data[at : at + _LINE_BYTES] != zeros]
    return data, lines


@lru_cache(maxsize=None)
def names(family: str) -> List[str]:
    """The bases of a family, such as ``ntfs-4096.zst`` of ``ntfs``, in a fixed order."""
    return sorted(path.name for path in BASES.glob(family + "-*.zst"))


def patched(family: str, data: bytes) -> Tuple[bytes, int]:
    """Return the volume that an input describes, and its flags."""
    head = data[:2].ljust(2, b"\0")
    choice = names(family)
    original, lines = base(choice[head[0] % len(choice)])
    volume = bytearray(original)
    position = 2
    for dummy in range(_MAX_PATCHES):
        if position + 4 > len(data):
            break
        line, place = struct.unpack_from("<HB", data, position)
        count = (place >> 4) + 1
        start = lines[line % len(lines)] + (place & 15)
        part = data[position + 3 : position + 3 + count][: len(volume) - start]
        volume[start : start + len(part)] = part
        position += 3 + count
    if head[1] & 1:
        for sector_bytes in (512, 4096):
            repair_gpt(volume, sector_bytes)
    return bytes(volume), head[1]


def repair_gpt(disk: bytearray, sector_bytes: int) -> None:
    """Make the checksums of both headers right [UEFI 2.10] 5.3.2."""
    for lba in (1, len(disk) // sector_bytes - 1):
        at = lba * sector_bytes
        if disk[at : at + 8] != b"EFI PART":
            continue
        size = struct.unpack_from("<I", disk, at + 12)[0]
        array_lba, count, entry_bytes = struct.unpack_from("<QII", disk, at + 72)
        start, length = array_lba * sector_bytes, count * entry_bytes
        if not 92 <= size <= sector_bytes or start + length > len(disk):
            continue
        struct.pack_into("<I", disk, at + 88, zlib.crc32(disk[start : start + length]))
        struct.pack_into("<I", disk, at + 16, 0)
        struct.pack_into("<I", disk, at + 16, zlib.crc32(disk[at : at + size]))
