# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile volumes as small inputs: a real volume, and patches of its metadata.

An input is ``base u8 | flags u8 | patches``, a patch ``line u16 | place u8 | bytes 1 to 16``. Lines are the 16 bytes of the
base that are not all zero, so that every patch hits a structure and not free space; the place holds the byte in the
line (low half) and how many bytes follow, less one (high half). Flag 1 makes the checksums of a GPT right again, flag 2 gives
the disk sectors of 4096 bytes, flag 4 takes every checksum of a file system for right, as an attacker would make it.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Iterator, List, Tuple

from engine._libraries import zstandard
from engine.disk.source import BlockSource

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


class PatchedSource(BlockSource):
    """A base with patches laid over it: nothing is copied, so that a large base costs no more than a small one."""

    path = "memory"
    sector_bytes = 512

    def __init__(self, family: str, data: bytes) -> None:
        self._data, lines = _chosen(family, data)
        self._patches = list(_patches(data, lines, len(self._data)))
        self.size_bytes = len(self._data)

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self.check_range(offset_bytes, length_bytes)
        end = offset_bytes + length_bytes
        found = self._data[offset_bytes:end]
        near = [(start, part) for start, part in self._patches if start < end and start + len(part) > offset_bytes]
        if not near:
            return found
        changed = bytearray(found)
        for start, part in near:
            skip, place = max(0, offset_bytes - start), max(0, start - offset_bytes)
            piece = part[skip : skip + length_bytes - place]
            changed[place : place + len(piece)] = piece
        return bytes(changed)


def flags_of(data: bytes) -> int:
    return data[1] if len(data) > 1 else 0


def _chosen(family: str, data: bytes) -> Tuple[bytes, List[int]]:
    choice = names(family)
    return base(choice[(data[0] if data else 0) % len(choice)])


def _patches(data: bytes, lines: List[int], size_bytes: int) -> Iterator[Tuple[int, bytes]]:
    position = 2
    for dummy in range(_MAX_PATCHES):
        if position + 4 > len(data):
            return
        line, place = struct.unpack_from("<HB", data, position)
        count = (place >> 4) + 1
        start = lines[line % len(lines)] + (place & 15)
        yield start, data[position + 3 : position + 3 + count][: size_bytes - start]
        position += 3 + count


def patched(family: str, data: bytes) -> Tuple[bytes, int]:
    """Return the disk that an input describes, and its flags."""
    original, lines = _chosen(family, data)
    volume = bytearray(original)
    for start, part in _patches(data, lines, len(volume)):
        volume[start : start + len(part)] = part
    if flags_of(data) & 1:
        for sector_bytes in (512, 4096):
            repair_gpt(volume, sector_bytes)
    return bytes(volume), flags_of(data)


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
