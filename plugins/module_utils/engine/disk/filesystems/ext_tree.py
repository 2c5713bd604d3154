# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and files of an ext2, ext3 or ext4 volume.

Structures: Linux Documentation/filesystems/ext4 (inodes.rst, ifork.rst, directory.rst) and fs/ext4/ext4_extents.h.
"""

from __future__ import annotations

import struct
from typing import Iterator, List, Optional, Set, Tuple

from ...errors import FileSystemInvalid
from ..extents import ExtentSet
from .contract import FileContent, FileTree, FolderEntry, cut, reading_budget
from .ext_geometry import ExtGeometry

_BAD_BLOCKS_INODE, _ROOT_INODE = 1, 2
_KINDS = (0, 1, 2)  # of an entry: not said, a plain file, a folder
_FOLDER, _FILE = 0x4000, 0x8000
_EXTENTS, _INLINE_DATA, _ENCRYPTED = 0x80000, 0x10000000, 0x800
_EXTENT_MAGIC = 0xF30A
_MAX_RESERVED = 1024  # mke2fs makes 11
_MAX_DEPTH = 6
_MAX_FOLDER_BYTES = 1 << 30
_MAX_RUNS = 1 << 21
Runs = List[Tuple[int, int]]  # (first block, blocks)


class ExtTree(FileTree):
    """The tree of a probed volume."""

    case_sensitive = True

    def __init__(self, volume: ExtGeometry) -> None:
        self._volume = volume
        self._block_bytes = volume.block_bytes
        self._budget_bytes = reading_budget(volume.source.size_bytes)

    def root(self) -> int:
        return _ROOT_INODE

    def children(self, node: int) -> Iterator[FolderEntry]:
        inode = self._inode(node)
        mode, flags = struct.unpack_from("<H", inode, 0)[0], struct.unpack_from("<I", inode, 32)[0]
        if mode & 0xF000 != _FOLDER:
            raise self._invalid("inode %d is not a folder" % node)
        if flags & _ENCRYPTED:
            return  # its names are unreadable, so no pattern matches
        if flags & _INLINE_DATA:
            # The first four bytes name the parent; more entries may follow in an attribute, which stay.
            yield from self._entries(inode[40 + 4 : 100])
            return
        size = struct.unpack_from("<I", inode, 4)[0]
        if size > _MAX_FOLDER_BYTES:
            raise self._invalid("a folder is too long")
        left = -(-size // self._block_bytes)
        for first, blocks in self._runs(inode, flags)[0]:
            for block in range(first, first + min(blocks, left)):
                yield from self._entries(self._block(block))
            left -= min(blocks, left)

    def _entries(self, data: bytes) -> Iterator[FolderEntry]:
        position = 0
        while position + 8 <= len(data):
            child, length, name_length, kind = struct.unpack_from("<IHBB", data, position)
            length = length if length not in (0, 0xFFFF) else len(data) - position
            if length < 8 or position + length > len(data) or 8 + name_length > length:
                raise self._invalid("a folder is malformed")
            name = data[position + 8 : position + 8 + name_length]
            position += length
            if child == 0 or kind == 0xDE or name in (b".", b".."):
                continue  # unused, a checksum, or itself
            is_folder = kind == 2
            if kind == 0:  # a volume without types in its folders
                is_folder = struct.unpack_from("<H", self._inode(child), 0)[0] & 0xF000 == _FOLDER
            node = child if kind in _KINDS and name_length else -child
            yield FolderEntry(name.decode("utf-8", "surrogateescape"), node, is_folder)

    def confirms(self, folder: int, entry: FolderEntry) -> bool:  # noqa: ARG002
        """That the inode is in use, not deleted, and what the folder says that it is."""
        if entry.node < 1:
            return False
        try:
            inode = self._inode(entry.node)
        except FileSystemInvalid:
            return False
        mode, deleted, links = (
            struct.unpack_from(form, inode, at)[0] for form, at in (("<H", 0), ("<I", 20), ("<H", 26))
        )
        wanted = _FOLDER if entry.is_folder else _FILE
        return bool(mode & 0xF000 == wanted and links and not deleted and self._volume.is_in_use(entry.node))

    def bad_blocks(self) -> ExtentSet:
        """The blocks that the file system itself calls bad.

        :raises FileSystemInvalid: when their list is malformed.
        """
        inode = self._inode(_BAD_BLOCKS_INODE)
        flags = struct.unpack_from("<I", inode, 32)[0]
        if flags & _INLINE_DATA or not struct.unpack_from("<I", inode, 28)[0]:
            return ExtentSet()
        return ExtentSet(
            (first * self._block_bytes, count * self._block_bytes) for first, count in self._runs(inode, flags)[0]
        )

    def content(self, node: int) -> Optional[FileContent]:
        if node < self._volume.first_inode:
            return None
        inode = self._inode(node)
        mode, links = struct.unpack_from("<H", inode, 0)[0], struct.unpack_from("<H", inode, 26)[0]
        flags = struct.unpack_from("<I", inode, 32)[0]
        if mode & 0xF000 != _FILE:
            return None
        if flags & _INLINE_DATA:
            return FileContent(ExtentSet(), links)
        runs, maps = self._runs(inode, flags)
        # Blocks that hold the map itself stay: they are what says where the content is.
        blocks = ExtentSet((first * self._block_bytes, count * self._block_bytes) for first, count in runs)
        kept = ExtentSet((block * self._block_bytes, self._block_bytes) for block in sorted(maps))
        return FileContent(blocks.difference(kept), links)

    def ranges(self, node: int) -> Optional[List[Tuple[int, int]]]:
        """Without holes: their zeros are skipped."""
        if node < self._volume.first_inode:
            return None
        inode = self._inode(node)
        flags = struct.unpack_from("<I", inode, 32)[0]
        size = struct.unpack_from("<I", inode, 4)[0] | struct.unpack_from("<I", inode, 108)[0] << 32
        if struct.unpack_from("<H", inode, 0)[0] & 0xF000 != _FILE or (size and flags & (_INLINE_DATA | _ENCRYPTED)):
            return None
        runs = self._runs(inode, flags)[0] if size else []
        return cut(((first * self._block_bytes, count * self._block_bytes) for first, count in runs), size)

    def protected(self) -> ExtentSet:
        """The structures of the groups, and what the reserved inodes hold: the journal above all."""
        block = self._block_bytes
        reserved: List[Tuple[int, int]] = []
        if self._volume.first_inode > _MAX_RESERVED:
            raise self._invalid("it reserves %d inodes" % self._volume.first_inode)
        for number in range(1, self._volume.first_inode):
            inode = self._inode(number)
            flags = struct.unpack_from("<I", inode, 32)[0]
            if flags & _INLINE_DATA:
                continue
            runs, maps = self._runs(inode, flags)
            reserved += [(first * block, count * block) for first, count in runs]
            reserved += [(one * block, block) for one in maps]
        return self._volume.structures().union(ExtentSet(reserved))

    def _runs(self, inode: bytes, flags: int) -> Tuple[Runs, Set[int]]:
        """Return the runs of content in order, and the blocks of the map itself."""
        runs: Runs = []
        maps: Set[int] = set()
        if flags & _EXTENTS:
            self._extents(inode[40:100], 0, runs, maps)
        else:
            pointers = struct.unpack_from("<15I", inode, 40)
            for number, pointer in enumerate(pointers):
                self._indirect(pointer, max(0, number - 11), runs, maps)
        return runs, maps

    def _extents(self, node: bytes, level: int, runs: Runs, maps: Set[int]) -> None:
        magic, entries, dummy_max, depth = struct.unpack_from("<HHHH", node, 0)
        if magic != _EXTENT_MAGIC or 12 * (entries + 1) > len(node) or depth + level > _MAX_DEPTH:
            raise self._invalid("an extent tree is malformed")
        for number in range(1, entries + 1):
            if depth:
                low, high = struct.unpack_from("<IH", node, 12 * number + 4)
                block = self._checked(low | high << 32, 1)
                if block in maps:
                    raise self._invalid("an extent tree has a loop")
                maps.add(block)
                child = self._block(block)
                if struct.unpack_from("<H", child, 6)[0] != depth - 1:
                    raise self._invalid("an extent tree is malformed")
                self._extents(child, level + 1, runs, maps)
            else:
                count, high, low = struct.unpack_from("<HHI", node, 12 * number + 4)
                count = count if count <= 32768 else count - 32768  # above: reserved but not written
                if count:
                    runs.append((self._checked(low | high << 32, count), count))
            if len(runs) > _MAX_RUNS:
                raise self._invalid("a file has too many pieces")

    def _indirect(self, block: int, level: int, runs: Runs, maps: Set[int]) -> None:
        if block == 0:
            return
        self._checked(block, 1)
        if level == 0:
            if runs and runs[-1][0] + runs[-1][1] == block:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((block, 1))
            return
        if block in maps or max(len(maps), len(runs)) > _MAX_RUNS:
            raise self._invalid("a block map has a loop")
        maps.add(block)
        data = self._block(block)
        for (pointer,) in struct.iter_unpack("<I", data):
            self._indirect(pointer, level - 1, runs, maps)

    def _block(self, number: int) -> bytes:
        self._spend(self._block_bytes)
        return self._volume.source.read(number * self._block_bytes, self._block_bytes)

    def _inode(self, number: int) -> bytes:
        inode = self._volume.inode(number)
        self._spend(len(inode))
        return inode

    def _spend(self, length_bytes: int) -> None:
        self._budget_bytes -= length_bytes
        if self._budget_bytes < 0:
            raise self._invalid("its structures have a loop")

    def _checked(self, block: int, count: int) -> int:
        if block == 0 or block + count > self._volume.block_count:
            raise self._invalid("a file reaches past the volume")
        return block

    def _invalid(self, reason: str) -> FileSystemInvalid:
        return FileSystemInvalid(kind="ext", path=self._volume.source.path, reason=reason)
