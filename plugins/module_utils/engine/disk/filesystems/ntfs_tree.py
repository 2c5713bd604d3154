# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS: folders and files, as far as the exclusion of files needs them.

Structures: "NTFS Documentation" of the Linux-NTFS project, "Concept - Index" and "$FILE_NAME"; ntfs-3g,
include/ntfs-3g/layout.h (INDEX_ROOT, INDEX_BLOCK, INDEX_ENTRY, FILE_NAME_ATTR).
"""

from __future__ import annotations

import struct
from typing import Iterator, List, Optional, Tuple

from ...errors import FileSystemInvalid
from ..bitmaps import set_runs
from ..extents import ExtentSet
from ..patterns import fold_by
from .contract import FileContent, FileTree, FolderEntry, cut
from .ntfs_attributes import (
    BITMAP,
    DATA,
    FILE_NAME,
    INDEX_ALLOCATION,
    INDEX_ROOT,
    IS_FOLDER,
    REFERENCE_MASK,
    Attribute,
    Malformed,
    Record,
    RunList,
    unprotect,
)
from .ntfs_table import SYSTEM_RECORDS, FileTable

ROOT, _UPPER_CASE = 5, 10
_UPPER_CASE_BYTES = 128 << 10
_INDEX = "$I30"
_DOS_NAME = 2  # the namespace of short names that stand beside long ones
_FOLDER, _REPARSE = 0x10000000, 0x400
_LAST = 0x0002
_MAX_BITMAP_BYTES = 4 << 20


class NtfsTree(FileTree):
    """The tree of a volume. A node is a file reference: number of its record and, above, its sequence number."""

    case_sensitive = False

    def __init__(self, table: FileTable) -> None:
        self._table = table
        self._upper: Optional[bytes] = None

    def root(self) -> int:
        return ROOT

    def children(self, node: int) -> Iterator[FolderEntry]:
        record = self._file(node)
        if record is None or not record.flags & IS_FOLDER:
            return
        root = self._table.joined(record.attributes, INDEX_ROOT, "a folder", _INDEX).content
        if root is None or len(root) < 32:
            raise self._table.invalid("a folder's index is malformed")
        yield from self._entries(root[16:])
        block_bytes = struct.unpack_from("<I", root, 8)[0]
        for block in self._blocks(record, block_bytes):
            yield from self._entries(block[24:])

    def confirms(self, folder: int, entry: FolderEntry) -> bool:
        """That the record is the file's that the index means, and has this name in this folder: an index may be stale."""
        if not entry.node >> 48:
            return False
        try:
            record = self._file(entry.node)
        except FileSystemInvalid:
            return False
        if record is None or bool(record.flags & IS_FOLDER) != entry.is_folder:
            return False
        return any(
            _is_name(attribute.content or b"", folder, entry.name)
            for attribute in record.attributes
            if attribute.kind == FILE_NAME
        )

    def fold(self, name: str) -> str:
        """Only where the volume's own table agrees: which letters are the same depends on the Windows that formatted it."""
        return name.upper() if name.isascii() else fold_by(self._upper_case(), name)

    def _upper_case(self) -> bytes:
        if self._upper is None:
            try:
                table = self._table.joined(self._table.attributes(_UPPER_CASE), DATA, "$UpCase")
                self._upper = b"".join(self._table.pieces(table, min(table.size_bytes, _UPPER_CASE_BYTES)))
            except FileSystemInvalid:
                self._upper = b""
        return self._upper

    def content(self, node: int) -> Optional[FileContent]:
        record = self._file(node)
        if record is None or record.flags & IS_FOLDER or node & REFERENCE_MASK < SYSTEM_RECORDS:
            return None
        streams = [attribute for attribute in record.attributes if attribute.kind == DATA]
        spaces = [
            (attribute.content or b"")[65:66] == bytes([_DOS_NAME])
            for attribute in record.attributes
            if attribute.kind == FILE_NAME
        ]
        # The header counts short names too; where the two disagree the file keeps the larger number of names.
        links = max(spaces.count(False), record.links - spaces.count(True))
        return FileContent(self._table.extents(streams), links)

    def ranges(self, node: int) -> Optional[List[Tuple[int, int]]]:
        """The unnamed stream alone; what is not initialized reads as zeros and is cut off."""
        record = self._file(node)
        if record is None or record.flags & IS_FOLDER or node & REFERENCE_MASK < SYSTEM_RECORDS:
            return None
        data = self._table.joined(record.attributes, DATA, "a file")
        length = min(data.size_bytes, data.initialized_bytes)
        if length and (data.content is not None or not data.is_plain):
            return None
        cluster = self._table.geometry.cluster_bytes
        found: List[Tuple[int, int]] = []
        for run in data.runs:
            if run.vcn * cluster >= length:
                break
            if run.lcn is None:
                return None
            found.append((run.lcn * cluster, run.clusters * cluster))
        return cut(found, length)

    def protected(self) -> ExtentSet:
        """The file system's own files, its boot area and its copy at the end."""
        return ExtentSet([(0, 8192)]).union(self._table.own_extents())

    def _file(self, node: int) -> Optional[Record]:
        """The record of a reference, or ``None`` when a newer file uses it: then the name is stale."""
        record = self._table.file(node & REFERENCE_MASK)
        sequence = node >> 48
        return None if sequence and record.sequence != sequence else record

    def _blocks(self, record: Record, block_bytes: int) -> Iterator[bytes]:
        """Yield the index blocks in use, without their protection, in the order of the disk."""
        if not any(attribute.kind == INDEX_ALLOCATION for attribute in record.attributes):
            return
        if block_bytes not in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
            raise self._table.invalid("a folder's index blocks have an impossible size")
        allocation = self._table.joined(record.attributes, INDEX_ALLOCATION, "a folder", _INDEX)
        bitmap = self._table.joined(record.attributes, BITMAP, "a folder", _INDEX)
        if bitmap.size_bytes > _MAX_BITMAP_BYTES:
            raise self._table.invalid("a folder is too large")
        bits = b"".join(self._table.pieces(bitmap, bitmap.size_bytes))
        count = min(allocation.size_bytes // block_bytes, len(bits) * 8)
        runs = _run_list(allocation)
        # Not bit by bit: a sparse bitmap of megabytes costs nothing to claim.
        for number in (first + more for first, length in set_runs(bits, count) for more in range(length)):
            block = self._table.read_runs(runs, number * block_bytes, block_bytes)
            if block[:4] != b"INDX":
                raise self._table.invalid("a block of a folder is damaged")
            try:
                yield unprotect(block)
            except Malformed as error:
                raise self._table.invalid("a block of a folder %s" % error) from None

    def _entries(self, node: bytes) -> Iterator[FolderEntry]:
        """Yield the entries of an index node, which begins with its header (INDEX_HEADER)."""
        position, end = struct.unpack_from("<II", node, 0)
        if not 16 <= position <= end <= len(node):
            raise self._table.invalid("a folder's index is malformed")
        while position + 16 <= end:
            reference, length, key_length, flags = struct.unpack_from("<QHHH", node, position)
            if flags & _LAST:
                return
            if length < 16 + key_length or position + length > end or key_length < 66:
                raise self._table.invalid("an entry of a folder is malformed")
            key = node[position + 16 : position + 16 + key_length]
            position += length
            attributes, name_length, space = struct.unpack_from("<I", key, 56)[0], key[64], key[65]
            number = reference & REFERENCE_MASK
            if space == _DOS_NAME or number < SYSTEM_RECORDS:
                continue
            if 66 + 2 * name_length > key_length:
                raise self._table.invalid("a name in a folder is malformed")
            name = key[66 : 66 + 2 * name_length].decode("utf-16-le", "surrogatepass")
            # A junction or a link leads elsewhere: its content is None, because its record is a folder's.
            is_folder = bool(attributes & _FOLDER) and not attributes & _REPARSE
            yield FolderEntry(name, reference, is_folder)


def _is_name(content: bytes, folder: int, name: str) -> bool:
    if len(content) < 66:
        return False
    parent = struct.unpack_from("<Q", content, 0)[0]
    is_there = parent & REFERENCE_MASK == folder & REFERENCE_MASK and (not folder >> 48 or parent == folder)
    return is_there and content[66 : 66 + 2 * content[64]] == name.encode("utf-16-le", "surrogatepass")


def _run_list(attribute: Attribute) -> RunList:
    return RunList(attribute.runs)  # joined already: there is no gap


def hibernation(table: FileTable) -> str:
    """Why ``hiberfil.sys`` says that a system sleeps on this volume, "" when it does not.

    Windows writes HIBR when it hibernates (a fast start counts), RSTR while it wakes, and WAKE or zeros afterwards.

    :raises FileSystemInvalid: when the root folder can't be understood.
    """
    tree = NtfsTree(table)
    for entry in tree.children(ROOT):
        if entry.name.upper() != "HIBERFIL.SYS" or entry.is_folder:
            continue
        head = _beginning(table, table.attributes(entry.node & REFERENCE_MASK))
        if head.upper() in (b"HIBR", b"RSTR"):
            return "Windows is hibernated on the NTFS volume (or shut down with fast startup)"
    return ""


def _beginning(table: FileTable, attributes: List[Attribute]) -> bytes:
    content = table.joined(attributes, DATA, "hiberfil.sys")
    if content.size_bytes < 4 or content.initialized_bytes < 4:
        return b""
    return b"".join(table.pieces(content, 4))
