# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and files of an exFAT volume. A node packs where content is: first cluster, clusters, and whether it has a chain.

Structures: Microsoft, "exFAT file system specification", sections 6.3 (entry sets), 7.4 (file), 7.6 (stream
extension) and 7.7 (file name).
"""

from __future__ import annotations

import struct
from array import array
from itertools import chain
from typing import Iterator, List, Optional, Tuple

from ..extents import ExtentSet, covered_twice
from ..patterns import fold_by
from .contract import FileContent, FileTree, FolderEntry, reading_budget
from .exfat_geometry import ExfatGeometry

_FILE, _STREAM, _NAME = 0x85, 0xC0, 0xC1
_IN_USE, _SECONDARY = 0x80, 0x40
_ALLOCATION_POSSIBLE, _NO_FAT_CHAIN = 0x1, 0x2
_FOLDER = 0x10
_END = 0x00
_NAME_LETTERS = 15  # in each part of a name
_MAX_FOLDER_BYTES = 256 << 20
_PAGE_BYTES = 64 << 10
_MAX_FOLDERS = 2_000_000
_MAX_PIECES = 4_000_000


class ExfatTree(FileTree):
    """The tree of a probed volume."""

    case_sensitive = False

    def __init__(self, volume: ExfatGeometry) -> None:
        self._volume = volume
        # Following a chain reads a page of the table for each step at worst; each step is charged one entry.
        self._upper: Optional[bytes] = None
        self._budget = reading_budget(volume.source.size_bytes)

    def root(self) -> int:
        return _node(self._volume.root_cluster, 0, False)

    def children(self, node: int) -> Iterator[FolderEntry]:
        group: List[bytes] = []
        missing = 0
        for entry in self._folder_entries(node):
            if entry[0] == _FILE:
                group, missing = [entry], entry[1]
            elif missing and entry[0] & _SECONDARY and entry[0] & _IN_USE:
                group.append(entry)
                missing -= 1
                if not missing:
                    yield self._parse(group)
                    group = []
            else:
                group, missing = [], 0

    def fold(self, name: str) -> str:
        """Only where the volume's own table agrees; some know no letters but those of ASCII."""
        if name.isascii():
            return name.upper()
        if self._upper is None:
            self._upper = self._volume.upper_case()
        return fold_by(self._upper, name)

    def content(self, node: int) -> Optional[FileContent]:
        return FileContent(ExtentSet(self.ranges(node)), 1)

    def ranges(self, node: int) -> List[Tuple[int, int]]:
        first, clusters, contiguous = node & 0xFFFFFFFF, node >> 32 & 0xFFFFFFFF, node >> 64
        if first == 0 or (contiguous and not clusters):
            return []
        if contiguous:
            return [self._volume.cluster_range(first, clusters)]
        ranges = []
        for run in self._volume.chain(first):
            self._charge(4 * run[1] + 512)
            ranges.append(self._volume.cluster_range(*run))
        return ranges

    def protected(self) -> ExtentSet:
        """The volume's own structures, and clusters that more than one file or folder claims."""
        starts, ends = self._claims()
        return self._volume.structures().union(covered_twice(starts, ends))

    def everything(self) -> ExtentSet:
        """Every byte that a file or folder reaches.

        :raises FileSystemInvalid: when the folders contradict themselves.
        """
        starts, ends = self._claims()
        return ExtentSet((start, end - start) for start, end in zip(starts, ends))

    def _claims(self) -> Tuple[array[int], array[int]]:
        starts, ends = array("Q"), array("Q")
        folders = {self.root()}
        for node in chain([self.root()], self.reachable(folders)):
            for start, length in self.ranges(node):
                starts.append(start)
                ends.append(start + length)
            if len(folders) > _MAX_FOLDERS or len(starts) > _MAX_PIECES:
                raise self._volume.invalid("it has too many files to be checked")
        return starts, ends

    def _parse(self, group: List[bytes]) -> FolderEntry:
        if not set_is_whole(group):
            raise self._volume.invalid("the checksum of a folder's entry is wrong")
        stream = group[1]
        if stream[0] != _STREAM:
            raise self._volume.invalid("a file has no stream")
        text = b""
        names = -(-stream[3] // _NAME_LETTERS)
        for number, entry in enumerate(group[2:]):
            if (entry[0] == _NAME) != (number < names):
                raise self._volume.invalid("a file name has unexpected parts")
            if entry[0] == _NAME:
                text += entry[2:32]
            elif entry[1] & _ALLOCATION_POSSIBLE:
                raise self._volume.invalid("a file has vendor-specific content")
        if not stream[3] or len(text) < 2 * stream[3]:
            raise self._volume.invalid("a file's name is too short")
        name = text[: 2 * stream[3]].decode("utf-16-le", "surrogatepass")
        first, length = struct.unpack_from("<IQ", stream, 20)
        if name.isascii() and _hash_of(name.upper()) != struct.unpack_from("<H", stream, 4)[0]:
            raise self._volume.invalid("the hash of a file's name is wrong")
        clusters = -(-length // self._volume.cluster_bytes)
        if clusters > self._volume.cluster_count or (clusters and not stream[1] & _ALLOCATION_POSSIBLE):
            raise self._volume.invalid("a file is larger than the volume")
        chained = not stream[1] & _NO_FAT_CHAIN
        is_folder = bool(struct.unpack_from("<H", group[0], 4)[0] & _FOLDER)
        return FolderEntry(name, _node(first, clusters, not chained), is_folder)

    def _folder_entries(self, node: int) -> Iterator[bytes]:
        done = 0
        for start, length in self.ranges(node):
            for offset in range(0, length, _PAGE_BYTES):
                data = self._read(start + offset, min(_PAGE_BYTES, length - offset))
                done += len(data)
                if done > max(_MAX_FOLDER_BYTES, self._volume.cluster_bytes):
                    raise self._volume.invalid("a folder is too long")
                for place in range(0, len(data), 32):
                    if data[place] == _END:
                        return
                    yield data[place : place + 32]

    def _read(self, start: int, length: int) -> bytes:
        self._charge(length)
        return self._volume.source.read(start, length)

    def _charge(self, length: int) -> None:
        self._budget -= length
        if self._budget < 0:
            raise self._volume.invalid("its folders have a loop")


def _hash_of(name: str) -> int:
    """The hash of a name in upper case (section 7.6.4)."""
    total = 0
    for value in name.encode("utf-16-le"):
        total = ((total & 1) << 15) + (total >> 1) + value & 0xFFFF
    return total


def set_is_whole(group: List[bytes]) -> bool:
    """Whether the checksum of an entry set is right (section 6.3.3)."""
    total = 0
    for number, entry in enumerate(group):
        for place, value in enumerate(entry):
            if number or place not in (2, 3):
                total = ((total & 1) << 15) + (total >> 1) + value & 0xFFFF
    return bool(total == struct.unpack_from("<H", group[0], 2)[0])


def _node(first: int, clusters: int, contiguous: bool) -> int:
    return first | clusters << 32 | int(contiguous) << 64
