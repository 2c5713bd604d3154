# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes in memory for tests of what a clone looks at: files by path, in pieces that lie on the volume in any order."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Tuple, Union

from engine.disk.extents import ExtentSet
from engine.disk.filesystems.contract import FileContent, FileSystem, FileTree, FolderEntry, UsedMap, VolumeState
from engine.disk.layout import DiskLayout, Partition
from engine.disk.source import BlockSource, MemorySource
from engine.restore.identity.about import About
from engine.restore.resize.volume import Volume

MIB = 1 << 20
LINK, INLINE = "a link", "inline"
_PIECE = 4096
Content = Union[bytes, str]


class Tree(FileTree):
    """Nodes count the paths. The pieces of a file are stored backwards: the last one is the first on the volume."""

    def __init__(self, files: Dict[str, Content], case_sensitive: bool) -> None:
        self.case_sensitive = case_sensitive
        self.paths = [""]
        for path in files:
            parts = path.split("/")
            self.paths += ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        self.paths = list(dict.fromkeys(self.paths))
        self.files = files
        self.places: Dict[str, List[Tuple[int, int]]] = {}
        self.stored = bytearray()
        for path, content in files.items():
            if isinstance(content, bytes):
                pieces = [content[start : start + _PIECE] for start in range(0, len(content), _PIECE)]
                found = []
                for piece in reversed(pieces):
                    found.append((len(self.stored), len(piece)))
                    self.stored += piece.ljust(2 * _PIECE, b"-")
                self.places[path] = found[::-1]

    def root(self) -> int:
        return 0

    def children(self, node: int) -> Iterator[FolderEntry]:
        start = self.paths[node] + "/" if node else ""
        for number, path in enumerate(self.paths):
            if number and path.startswith(start) and "/" not in path[len(start) :]:
                yield FolderEntry(path[len(start) :], number, path not in self.files)

    def content(self, node: int) -> Optional[FileContent]:
        path = self.paths[node]
        return None if self.files.get(path) == LINK else FileContent(ExtentSet(self.places.get(path, [])), 1)

    def ranges(self, node: int) -> Optional[List[Tuple[int, int]]]:
        return self.places.get(self.paths[node])


class System(FileSystem):
    """A file system with such a tree."""

    def __init__(self, kind: str, uuid: str, files: Dict[str, Content]) -> None:
        self.kind, self.label, self.uuid = kind, "", uuid
        self.shown = Tree(files, kind.startswith("ext"))
        self.source = MemorySource(bytes(self.shown.stored) or bytes(512))

    @classmethod
    def probe(cls, source: BlockSource) -> Optional[FileSystem]:  # noqa: ARG003
        raise AssertionError("it is not on a disk")

    def used(self, state: VolumeState) -> UsedMap:  # noqa: ARG002
        raise AssertionError("it is not imaged")

    def tree(self) -> FileTree:
        return self.shown


def guid(number: int) -> str:
    return "12345678-9abc-4def-8123-%012x" % number


def partition(number: int, role: str = "", unique_id: str = "") -> Partition:
    return Partition(number, number * MIB, MIB, "", unique_id or guid(number), "", role, False)


def volume(number: int, kind: str, files: Dict[str, Content], *, uuid: str = "", role: str = "") -> Volume:
    system = System(kind, uuid, files)
    return Volume(partition(number, role), kind, "", system, system.source)


def closed(number: int, kind: str, content: bytes = b"", role: str = "") -> Volume:
    """A volume whose files nobody can list."""
    return Volume(partition(number, role), kind, "", None, MemorySource(content.ljust(MIB, b"\0")))


def about(volumes: List[Volume], *, scheme: str = "gpt", disk_id: str = "", moved_bytes: int = 0) -> About:
    """The disk of these volumes; on the target each starts so many bytes later."""
    layout = DiskLayout(scheme, disk_id or guid(0), 64 * MIB, 512, [one.partition for one in volumes], ExtentSet(), [])
    after = {one.number: one.partition.start_bytes + moved_bytes for one in volumes}
    return About("disk0", "/target", layout, volumes, after, [])


def of_signature(one: Volume, signature: str) -> Volume:
    """The same on a disk with an MBR of this signature."""
    return one._replace(partition=one.partition._replace(unique_id="%s-%02d" % (signature, one.number)))


def patched(one: Volume, path: str, patches: List[Tuple[int, bytes]]) -> bytes:
    """The content of a file after changes of its volume."""
    system = one.file_system
    assert isinstance(system, System)
    stored = bytearray(system.shown.stored)
    for place, data in patches:
        stored[place : place + len(data)] = data
    return b"".join(bytes(stored[start : start + length]) for start, length in system.shown.places[path])
