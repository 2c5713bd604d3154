# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of an imaged partition, as far as resizing needs it: file system, bytes in use, state, operating system."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

from ...disk.filesystems.contract import FileSystem, FileTree, VolumeState
from ...disk.filesystems.ext import Ext
from ...disk.filesystems.registry import detect
from ...disk.layout import Partition
from ...disk.signatures import recognise
from ...disk.source import BlockSource, WindowSource
from ...errors import EngineError

EXT = ("ext2", "ext3", "ext4")
NTFS, XFS = "ntfs", "xfs"


class Volume(NamedTuple):
    """``kind`` is the file system, or what else claims the partition; "" where nothing is recognised."""

    partition: Partition
    kind: str
    label: str
    file_system: Optional[FileSystem]
    source: BlockSource

    @property
    def number(self) -> int:
        return self.partition.number

    @property
    def end_bytes(self) -> int:
        return self.partition.start_bytes + self.partition.length_bytes

    @property
    def is_ext(self) -> bool:
        return self.file_system is not None and self.kind in EXT

    @property
    def block_bytes(self) -> int:
        """The size of a block of an ext volume, 0 for others."""
        return self.file_system.block_bytes if isinstance(self.file_system, Ext) else 0

    @property
    def is_ntfs(self) -> bool:
        return self.file_system is not None and self.kind == NTFS

    @property
    def is_xfs(self) -> bool:
        return self.file_system is not None and self.kind == XFS

    def why_unclean(self) -> str:
        """Why a tool must not change the volume, "" when it may."""
        if self.file_system is None:
            return ""
        try:
            return self.file_system.why_unclean()
        except EngineError as error:
            return str(error).rstrip(".")

    def used_bytes(self) -> Optional[int]:
        """How many bytes are in use, None where the file system does not tell reliably."""
        if self.file_system is None:
            return None
        try:
            used = self.file_system.used(VolumeState.FROZEN)
        except EngineError:
            return None
        return used.extents.total_bytes if used.trusted else None

    def system(self) -> str:
        """Which system starts from this volume: "Windows", "Linux", or "" for none."""
        names = {name.upper() for name in self.names_in()}
        if self.is_ntfs and "WINDOWS" in names and "SYSTEM32" in {one.upper() for one in self.names_in("Windows")}:
            return "Windows"
        if "ETC" in names and names & {"USR", "BIN", "SBIN"} and not self.is_ntfs:
            return "Linux"
        return ""

    def names_in(self, *path: str) -> List[str]:
        """The names in a folder of the volume, none where they can't be listed."""
        try:
            tree = self.file_system.tree() if self.file_system is not None else None
            node = None if tree is None else find(tree, path)
            return [] if tree is None or node is None else list(tree.names(node))
        except EngineError:
            return []


def find(tree: FileTree, path: Tuple[str, ...]) -> Optional[int]:
    """The node of a file or folder, None where there is none; case does not count."""
    node = tree.root()
    for name in path:
        found = next((entry.node for entry in tree.children(node) if entry.name.upper() == name.upper()), None)
        if found is None:
            return None
        node = found
    return node


class FileBytes(NamedTuple):
    """The content of a file, and where it is: start and length on the volume, in the order of the file."""

    ranges: List[Tuple[int, int]]
    content: bytes


def read_file(one: Volume, path: Tuple[str, ...], most_bytes: int) -> Optional[FileBytes]:
    """Read a small file of a volume. ``None`` where there is none; without ranges where it is empty, larger, or its bytes are not
    plain ranges of the volume."""
    tree = one.file_system.tree() if one.file_system is not None else None
    node = find(tree, path) if tree is not None else None
    if tree is None or node is None:
        return None
    ranges = tree.ranges(node) or []
    if sum(length for dummy, length in ranges) > most_bytes:
        ranges = []
    return FileBytes(ranges, b"".join(one.source.read(*part) for part in ranges))


def volumes_of(source: BlockSource, partitions: List[Partition]) -> List[Volume]:
    """The content of each partition but extended ones, in the order of the disk."""
    found = []
    for one in sorted(partitions, key=lambda partition: partition.start_bytes):
        if one.role == "extended":
            continue
        window = WindowSource(source, one.start_bytes, min(one.length_bytes, source.size_bytes - one.start_bytes))
        kind, label, file_system = "", "", None
        try:
            kind = recognise(window)
            if kind.lower() in ("", XFS):  # XFS has a mark and a parser
                file_system = detect(window)
        except EngineError as error:
            kind = str(error).rstrip(".")
        if file_system is not None:
            kind, label = file_system.kind, file_system.label
        found.append(Volume(one, kind, label, file_system, window))
    return found
