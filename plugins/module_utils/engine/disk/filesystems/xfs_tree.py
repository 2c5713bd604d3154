# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and files of an XFS volume.

Structures: "XFS Algorithms & Data Structures", chapters "On-disk Inode", "Data Extents" and "Directories".
"""

from __future__ import annotations

import struct
from typing import Iterator, List, NamedTuple, Optional, Set, Tuple

from ...errors import FileSystemInvalid
from ..extents import ExtentSet
from .contract import FileContent, FileTree, FolderEntry, cut, reading_budget
from .xfs_btree import sum_is_right
from .xfs_geometry import XfsGeometry

_FOLDER, _FILE = 0x4000, 0x8000
_LOCAL, _EXTENTS, _BTREE = 1, 2, 3
_REALTIME = 0x1
_SHARED, _LARGE_COUNTS = 0x2, 0x10
_LEAF_OFFSET_BYTES = 1 << 35  # behind it a folder holds hashes, not names
_BLOCK_MAGICS, _DATA_MAGICS = (b"XD2B", b"XDB3"), (b"XD2D", b"XDD3")
_UNUSED = 0xFFFF
_TYPE_FOLDER = 2
_KINDS = (0, 1, 2)  # of an entry: not said, a plain file, a folder
_MAX_LEVELS = 10
_MAX_RUNS = 1 << 24
Run = Tuple[int, int, int]  # first block of the file, first block of the volume, blocks


class _Inode(NamedTuple):
    number: int
    mode: int
    links: int
    layout: int  # how the data fork is kept
    size_bytes: int
    flags: int
    flags2: int
    extents: int  # how many
    fork: bytes


class XfsTree(FileTree):
    """The tree of a probed volume."""

    def __init__(self, volume: XfsGeometry) -> None:
        self._volume = volume
        self.case_sensitive = not volume.is_caseless
        self._budget = reading_budget(volume.source.size_bytes)

    def root(self) -> int:
        return self._volume.root_inode

    def children(self, node: int) -> Iterator[FolderEntry]:
        inode = self._inode(node)
        if inode.mode & 0xF000 != _FOLDER:
            raise self._volume.invalid("inode %d is not a folder" % node)
        if inode.layout == _LOCAL:
            yield from self._short_form(inode)
            return
        last = _LEAF_OFFSET_BYTES // self._volume.block_bytes
        per_block = self._volume.folder_block_bytes // self._volume.block_bytes
        parts: List[Tuple[int, int]] = []
        for offset, block, count in sorted(self._runs(inode)):
            for number in range(min(count, max(0, last - offset))):
                if (offset + number) % per_block != len(parts):
                    raise self._volume.invalid("a folder has holes")
                parts.append(self._volume.block_range(block + number, 1))
                if len(parts) == per_block:
                    yield from self._entries(b"".join(self._read(*part) for part in parts))
                    parts = []

    def content(self, node: int) -> Optional[FileContent]:
        if node < 0:
            return None
        inode = self._inode(node)
        if inode.mode & 0xF000 != _FILE or inode.flags & _REALTIME or inode.flags2 & _SHARED:
            return None
        if inode.layout == _LOCAL:
            return FileContent(ExtentSet(), inode.links)
        ranges = [self._volume.block_range(block, count) for dummy, block, count in self._runs(inode)]
        return FileContent(ExtentSet(ranges), inode.links)

    def ranges(self, node: int) -> Optional[List[Tuple[int, int]]]:
        """Without holes: their zeros are skipped. Blocks that files share are read as well."""
        if node < 0:
            return None
        inode = self._inode(node)
        if inode.mode & 0xF000 != _FILE or inode.flags & _REALTIME or (inode.size_bytes and inode.layout == _LOCAL):
            return None
        runs = sorted(self._runs(inode)) if inode.size_bytes else []
        return cut((self._volume.block_range(block, count) for dummy, block, count in runs), inode.size_bytes)

    def confirms(self, folder: int, entry: FolderEntry) -> bool:  # noqa: ARG002
        """That the inode is not deleted, and what the folder says that it is."""
        if entry.node < 0:
            return False
        try:
            inode = self._inode(entry.node)
        except FileSystemInvalid:
            return False
        return bool(inode.mode & 0xF000 == (_FOLDER if entry.is_folder else _FILE) and inode.links)

    def protected(self) -> ExtentSet:
        return self._volume.structures()

    # -- inodes -------------------------------------------------------------------------------------------------------

    def _inode(self, number: int) -> _Inode:
        volume = self._volume
        block, index = number >> volume.inode_shift, number & (volume.inodes_per_block - 1)
        start, dummy_length = volume.block_range(block, 1)
        data = self._read(start + index * volume.inode_bytes, volume.inode_bytes)
        magic, mode, version, layout, old_links = struct.unpack_from(">2sHBBH", data, 0)
        if magic != b"IN" or version not in (1, 2, 3) or (version == 3) != volume.has_crc:
            raise volume.invalid("inode %d is damaged" % number)
        flags2 = 0
        if version == 3:
            flags2 = struct.unpack_from(">Q", data, 120)[0]
            if struct.unpack_from(">Q", data, 152)[0] != number or not sum_is_right(data, 100):
                raise volume.invalid("the checksum of inode %d is wrong" % number)
        links = old_links if version == 1 else struct.unpack_from(">I", data, 16)[0]
        extents = struct.unpack_from(">Q", data, 24) if flags2 & _LARGE_COUNTS else struct.unpack_from(">I", data, 76)
        begin = 176 if version == 3 else 100
        end = begin + data[82] * 8 if data[82] else len(data)
        if end > len(data):
            raise volume.invalid("inode %d is damaged" % number)
        size, flags = struct.unpack_from(">Q", data, 56)[0], struct.unpack_from(">H", data, 90)[0]
        return _Inode(number, mode, links, layout, size, flags, flags2, extents[0], data[begin:end])

    def _runs(self, inode: _Inode) -> List[Run]:
        """Return the runs of the data fork; reserved but unwritten ones too."""
        runs: List[Run] = []
        if inode.layout == _EXTENTS:
            if inode.extents * 16 > len(inode.fork):
                raise self._volume.invalid("inode %d has more extents than fit into it" % inode.number)
            self._unpack(inode.fork[: inode.extents * 16], runs)
        elif inode.layout == _BTREE:
            level, count = struct.unpack_from(">HH", inode.fork, 0) if len(inode.fork) >= 4 else (0, 0)
            most = (len(inode.fork) - 4) // 16
            if not 0 < level <= _MAX_LEVELS or count > most:
                raise self._volume.invalid("the extents of inode %d are damaged" % inode.number)
            seen: Set[int] = set()
            begin = 4 + most * 8
            for (child,) in struct.iter_unpack(">Q", inode.fork[begin : begin + count * 8]):
                self._walk(inode.number, child, level - 1, seen, runs)
        else:
            raise self._volume.invalid("the content of inode %d has an unknown type" % inode.number)
        if len(runs) != inode.extents:
            raise self._volume.invalid("the extent count of inode %d is wrong" % inode.number)
        return runs

    def _walk(self, inode: int, block: int, level: int, seen: Set[int], runs: List[Run]) -> None:
        if block in seen:
            raise self._volume.invalid("the extents of inode %d have a loop" % inode)
        seen.add(block)
        data = self._read(*self._volume.block_range(block, 1))
        magic, found_level, count = struct.unpack_from(">4sHH", data, 0)
        crc = self._volume.has_crc
        begin = 72 if crc else 24
        most = (len(data) - begin) // 16
        if magic != (b"BMA3" if crc else b"BMAP") or found_level != level or count > most:
            raise self._volume.invalid("the extents of inode %d are damaged" % inode)
        if crc and (struct.unpack_from(">Q", data, 56)[0] != inode or not sum_is_right(data, 64)):
            raise self._volume.invalid("the checksum of the extents of inode %d is wrong" % inode)
        if level == 0:
            self._unpack(data[begin : begin + count * 16], runs)
            return
        begin += most * 8
        for (child,) in struct.iter_unpack(">Q", data[begin : begin + count * 8]):
            self._walk(inode, child, level - 1, seen, runs)

    def _unpack(self, records: bytes, runs: List[Run]) -> None:
        """Extents are packed: 1 bit unwritten, 54 bits offset, 52 bits block, 21 bits count."""
        for high, low in struct.iter_unpack(">QQ", records):
            runs.append(((high & (1 << 63) - 1) >> 9, (high & 0x1FF) << 43 | low >> 21, low & 0x1FFFFF))
        if len(runs) > _MAX_RUNS:
            raise self._volume.invalid("a file has too many pieces")

    # -- folders ------------------------------------------------------------------------------------------------------

    def _short_form(self, inode: _Inode) -> Iterator[FolderEntry]:
        data = inode.fork[: inode.size_bytes]
        if len(data) < 6:
            raise self._volume.invalid("folder %d is malformed" % inode.number)
        width = 8 if data[1] else 4
        typed = self._volume.folders_have_types
        place = 2 + width
        for dummy in range(data[0]):
            length = data[place] if place < len(data) else 0
            end = place + 3 + length + typed + width
            if not length or end > len(data):
                raise self._volume.invalid("folder %d is malformed" % inode.number)
            child = int.from_bytes(data[end - width : end], "big")
            kind = data[place + 3 + length] if typed else 0
            yield self._entry(data[place + 3 : place + 3 + length], child, kind)
            place = end

    def _entries(self, data: bytes) -> Iterator[FolderEntry]:
        magic = data[:4]
        if magic not in _BLOCK_MAGICS + _DATA_MAGICS:
            raise self._volume.invalid("a folder is malformed")
        place, end = (64 if self._volume.has_crc else 16), len(data)
        if self._volume.has_crc and not sum_is_right(data, 4):
            raise self._volume.invalid("the checksum of a folder is wrong")
        if magic in _BLOCK_MAGICS:
            end -= 8 + 8 * min(struct.unpack_from(">I", data, end - 8)[0], len(data))
        typed = int(self._volume.folders_have_types)
        while place < end:
            if place + 16 > len(data):
                raise self._volume.invalid("a folder is malformed")
            tag, free = struct.unpack_from(">HH", data, place)
            if tag == _UNUSED:
                length = free
            else:
                child, name_length = struct.unpack_from(">QB", data, place)
                length = -(-(8 + 1 + name_length + typed + 2) // 8) * 8
            if length < 8 or length % 8 or place + length > end:
                raise self._volume.invalid("a folder is malformed")
            if tag != _UNUSED:
                name = data[place + 9 : place + 9 + name_length]
                if name not in (b".", b".."):
                    yield self._entry(name, child, data[place + 9 + name_length] if typed else 0)
            place += length

    def _entry(self, name: bytes, child: int, kind: int) -> FolderEntry:
        is_folder = kind == _TYPE_FOLDER
        if kind == 0:  # a volume without types in its folders
            is_folder = self._inode(child).mode & 0xF000 == _FOLDER
        node = child if kind in _KINDS and name else -child
        return FolderEntry(name.decode("utf-8", "surrogateescape"), node, is_folder)

    def _read(self, start: int, length: int) -> bytes:
        self._budget -= length
        if self._budget < 0:
            raise self._volume.invalid("its folders have a loop")
        return self._volume.source.read(start, length)
