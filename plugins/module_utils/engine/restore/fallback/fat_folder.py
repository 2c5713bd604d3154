# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of a FAT volume with their places: entries are found by name, and new ones get a free slot.

Structures: Microsoft, "FAT: General Overview of On-Disk Format" 1.03 (fatgen103), sections 6 and 7.
"""

from __future__ import annotations

import struct
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence

from ...disk.filesystems.fat_geometry import FatGeometry
from ...disk.filesystems.fat_tree import long_name, short_name
from .fat_table import FatTable, Patch, runs

ENTRY_BYTES = 32
_FREE, _END = 0xE5, 0x00
_LONG_NAME, _VOLUME_ID, _FOLDER = 0x0F, 0x08, 0x10
_MOST_BYTES = 2 << 20  # a folder has at most 65,536 entries [fatgen103]
_TIMES = slice(13, 20)  # made, and last read
_WRITTEN = slice(22, 26)


class FatEntry(NamedTuple):
    """A file or folder of a folder."""

    name: str
    short: str
    first: int  # cluster; 0 for a file without content
    size_bytes: int
    is_folder: bool
    raw: bytes

    def is_called(self, name: str) -> bool:
        return name.upper() in (self.name.upper(), self.short.upper())


class Folder:
    """A folder in memory: the bytes of its slots, and where each of them is on the volume."""

    def __init__(self, volume: FatGeometry, clusters: Optional[Sequence[int]]) -> None:
        """:param clusters: none for a folder that is still to be made, ``None`` for the root folder of FAT12 and FAT16."""
        self._volume = volume
        self.clusters = list(clusters or ())
        self._pieces = (
            [volume.cluster_range(*run) for run in runs(clusters)] if clusters is not None else [volume.root_folder]
        )
        self._data = bytearray(b"".join(volume.source.read(*piece) for piece in self._pieces))
        self._changed: Dict[int, None] = {}

    @classmethod
    def read(cls, volume: FatGeometry, table: FatTable, first: int) -> Folder:
        """:param first: its first cluster, 0 for the root folder. :raises FileSystemInvalid: when it is longer than folders may be."""
        first = first or volume.root_cluster
        if not first:
            return cls(volume, None)
        clusters: List[int] = []
        for cluster in table.chain(first):
            clusters.append(cluster)
            if len(clusters) * volume.cluster_bytes > _MOST_BYTES + volume.cluster_bytes:
                raise volume.invalid("a folder is too long")
        return cls(volume, clusters)

    @property
    def slots(self) -> int:
        return len(self._data) // ENTRY_BYTES

    def _slot(self, number: int) -> bytes:
        return bytes(self._data[number * ENTRY_BYTES : (number + 1) * ENTRY_BYTES])

    def entries(self) -> Iterator[FatEntry]:
        """Yield everything but the label, and the names of the folder and its parent."""
        parts: List[bytes] = []
        for number in range(self.slots):
            raw = self._slot(number)
            if raw[0] == _END:
                return
            if raw[0] == _FREE:
                parts = []
            elif raw[11] & 0x3F == _LONG_NAME:
                parts.append(raw)
            else:
                short = short_name(raw)
                if not raw[11] & _VOLUME_ID and short not in (".", ".."):
                    high, low, size = (*struct.unpack_from("<H", raw, 20), *struct.unpack_from("<HI", raw, 26))
                    first = low | (high << 16 if self._volume.bits == 32 else 0)
                    name = long_name(parts, raw) or short
                    yield FatEntry(name, short, first, size, bool(raw[11] & _FOLDER), raw)
                parts = []

    def find(self, name: str) -> Optional[FatEntry]:
        """The entry of this long or short name, in any case of its letters."""
        return next((one for one in self.entries() if one.is_called(name)), None)

    def take(self) -> Optional[int]:
        """Return a slot for a new entry, or None when the folder is full; a slot behind a part of a long name is not used, which
        would seem to be the name of the new entry.

        The bytes behind the end of a folder may be anything, so the slot behind one that ended it ends the folder now.
        """
        is_behind_part = False
        for number in range(self.slots):
            raw = self._slot(number)
            if raw[0] == _END and is_behind_part:
                self.put(number, bytes([_FREE]) + bytes(ENTRY_BYTES - 1))
                self._end(number + 1)
            elif raw[0] == _END:
                self._end(number + 1)
                return number
            elif raw[0] == _FREE and not is_behind_part:
                return number
            is_behind_part = raw[0] not in (_END, _FREE) and raw[11] & 0x3F == _LONG_NAME
        return None

    def _end(self, number: int) -> None:
        if number < self.slots:
            self.put(number, bytes(ENTRY_BYTES))

    def put(self, number: int, raw: bytes) -> None:
        """Fill a slot."""
        self._data[number * ENTRY_BYTES : (number + 1) * ENTRY_BYTES] = raw
        self._changed[number] = None

    def extend(self, cluster: int) -> None:
        """Add an empty cluster to the end."""
        before = self.slots
        self.clusters.append(cluster)
        self._pieces.append(self._volume.cluster_range(cluster, 1))
        self._data += bytes(self._volume.cluster_bytes)
        for number in range(before, self.slots):
            self._changed[number] = None

    def patches(self) -> Iterator[Patch]:
        """Yield the changed slots by their place on the volume."""
        for first, count in runs(sorted(self._changed)):
            begin, end = first * ENTRY_BYTES, (first + count) * ENTRY_BYTES
            at = 0
            for start, length in self._pieces:
                low, high = max(begin, at), min(end, at + length)
                if low < high:
                    yield start + low - at, bytes(self._data[low:high])
                at += length


def entry_of(name: bytes, first: int, size_bytes: int, like: bytes, is_folder: bool = False) -> bytes:
    """A slot for a name of 11 bytes, with the times of another one: the same restore makes the same bytes again."""
    raw = bytearray(ENTRY_BYTES)
    raw[0:11] = name
    raw[11] = _FOLDER if is_folder else 0x20
    raw[_TIMES], raw[_WRITTEN] = like[_TIMES], like[_WRITTEN]
    struct.pack_into("<H", raw, 20, first >> 16)
    struct.pack_into("<HI", raw, 26, first & 0xFFFF, size_bytes)
    return bytes(raw)


def padded(name: str) -> bytes:
    """``BOOTX64.EFI`` as the eleven bytes of a slot."""
    stem, dummy, extension = name.partition(".")
    return stem.ljust(8).encode("ascii") + extension.ljust(3).encode("ascii")
