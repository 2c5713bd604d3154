# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of all file system parsers: name and identity of a file system, and which bytes are in use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import Callable, ClassVar, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from ..extents import ExtentSet
from ..patterns import fold
from ..source import BlockSource

MAX_EXTENTS = 1 << 23  # of a map, in flat arrays of 128 MiB; a volume in more pieces is imaged whole
_MOST_TREE_BYTES = 8 << 30


def reading_budget(size_bytes: int) -> int:
    """How many bytes a parser may read for the structures of one volume, so that structures that lead in circles end.

    A volume may claim to be as large as a sparse file: its size alone does not bound the reading.
    """
    return min(4 * size_bytes + (64 << 20), _MOST_TREE_BYTES)


class VolumeState(Enum):
    """How the volume stands while it is read; decides whether its bitmap may be trusted."""

    OFFLINE = "offline"  # not mounted for writing anywhere
    FROZEN = "frozen"  # a snapshot or shadow copy: one moment, but the journal may be unclean
    LIVE = "live"  # mounted and written to while we read
    FORETOLD = "foretold"  # live now, and frozen in the coming run: good for an estimate, not for an image


class UsedMap(NamedTuple):
    """Which bytes of a volume are in use. When ``trusted`` is false ``extents`` is the whole volume.

    ``wanted`` are those of them that the file system itself calls bad: they are read where they can be.
    """

    extents: ExtentSet
    trusted: bool
    reason: str  # why it is not trusted, in a sentence for the user's log; "" when trusted
    wanted: ExtentSet = ExtentSet()


class FolderEntry(NamedTuple):
    """A name in a folder. ``node`` is opaque; the same node in two places is the same file (a hard link)."""

    name: str
    node: int
    is_folder: bool


class FileContent(NamedTuple):
    """Where a file's bytes are: everything that is allocated to it, alternate streams and preallocation included.

    ``extents`` are bytes of the volume, in whole clusters that no other file uses; empty when the file's bytes lie
    inside metadata (resident, inline). ``links`` is how many names the file has.
    """

    extents: ExtentSet
    links: int


class FileTree(ABC):
    """The folders and files of a volume, as far as the exclusion of files needs them.

    Nodes come from :meth:`root` and :meth:`children` only. Everything read is hostile: bounds first, bounded time and
    memory, ``FileSystemInvalid`` for what contradicts itself. All calls on one tree together read no more than
    :func:`reading_budget`; a tree that would read more raises ``FileSystemInvalid``. The walk visits a folder once, so
    a tree need not look for cycles itself.
    """

    case_sensitive: bool

    @abstractmethod
    def root(self) -> int:
        """The node of the root folder."""

    @abstractmethod
    def children(self, node: int) -> Iterator[FolderEntry]:
        """Yield the names in a folder but "." and "..", each name of a file once (no second, short name for it).

        A node that is neither a plain file nor a folder (links, devices, reparse points that lead elsewhere) comes as a
        file whose :meth:`content` is None; folders reached through links are not followed.
        """

    @abstractmethod
    def content(self, node: int) -> Optional[FileContent]:
        """The extents of a file's bytes, or ``None`` for a file that is never excluded (the file system's own, links,
        devices)."""

    def ranges(self, node: int) -> Optional[List[Tuple[int, int]]]:  # noqa: ARG002
        """Where a file's own bytes are: start and length on the volume, in the order of the file, at most to the end of its last
        cluster. ``None`` for a file whose bytes are not plain ranges of the volume (inline, sparse, compressed, a link), or where
        that is not known."""
        return None

    def names(self, folder: int) -> Iterator[str]:
        """Yield every name in a folder, those of files without content included."""
        return (entry.name for entry in self.children(folder))

    def confirms(self, folder: int, entry: FolderEntry) -> bool:  # noqa: ARG002
        """Whether what an entry of a folder leads to says that it is there by this name; in doubt a file stays in the image."""
        return True

    def fold(self, name: str) -> str:
        """A name as the volume compares it; asked where it does not tell upper from lower case."""
        return fold(name)

    def protected(self) -> ExtentSet:
        """Bytes that are never excluded even if a file claims them: the file system's own structures, boot areas."""
        return ExtentSet()

    def reachable(self, folders: Set[int]) -> Iterator[int]:
        """Yield the node of every file and folder below the root, a folder once even if several names lead to it.

        :param folders: the nodes that stand for the root; those of the folders that were met are added.
        """
        pending = [self.root()]
        while pending:
            for entry in self.children(pending.pop()):
                if entry.is_folder:
                    if entry.node in folders:
                        continue
                    folders.add(entry.node)
                    pending.append(entry.node)
                yield entry.node


# Excluded from every volume that Windows may have used: memory written to the disk, useless or harmful on a restored
# machine, and the difference areas of shadow copies (the registry's FilesNotToBackup names the same).
WINDOWS_LEFT_OUT = (
    "\\pagefile.sys",
    "\\hiberfil.sys",
    "\\swapfile.sys",
    "\\System Volume Information\\*{3808876b-c176-4e48-b7ae-04046e6cc752}",
)


class FileSystem(ABC):
    """A recognised file system on a volume. Constructing one reads only its superblock.

    Everything read from the volume is hostile: a parser checks every bound before it allocates or seeks, ends in
    bounded time, and raises nothing but errors of the catalogue (``FileSystemInvalid`` and the ``DiskError`` family).
    """

    kind: str  # "ntfs", "ext4", "fat32", ...
    label: str
    uuid: str  # as blkid shows it, "" when there is none
    cluster_bytes: int
    source: BlockSource
    end_bytes: int  # where it ends on its volume; the bytes behind belong to another system
    always_left_out: ClassVar[Tuple[str, ...]] = ()  # patterns of files whose content no image of such a volume holds

    @classmethod
    @abstractmethod
    def probe(cls, source: BlockSource) -> Optional[FileSystem]:
        """Return the file system if its signature is there, else None.

        :raises FileSystemInvalid: when the signature is there but the superblock contradicts itself.
        """

    @abstractmethod
    def used(self, state: VolumeState) -> UsedMap:
        """Return which bytes of the volume are in use; boot areas and backup boot sectors always are.

        Never guesses: a volume that is not understood, or not trusted in this ``state``, yields its whole extent with a
        reason. The extents are within the source.
        """

    def why_unclean(self) -> str:
        """Why no tool may resize the volume as it is (errors, hibernation), "" when nothing speaks against it.

        :raises FileSystemInvalid: when its structures contradict themselves.
        """
        return ""

    def tree(self) -> Optional[FileTree]:
        """The volume's folders and files, ``None`` where they are not understood: then no file is excluded.

        Asked for only where :meth:`used` gave a trusted map and the volume is frozen or offline.
        """
        return None


def whole(source: BlockSource, reason: str) -> UsedMap:
    """The answer for a volume that is not understood: everything, with the reason."""
    return UsedMap(ExtentSet([(0, source.size_bytes)]), False, reason)


def cut(ranges: Iterable[Tuple[int, int]], length_bytes: int) -> List[Tuple[int, int]]:
    """The ranges of the first bytes of a file that is stored in these ranges, one after another."""
    found: List[Tuple[int, int]] = []
    for start, length in ranges:
        if length_bytes <= 0:
            break
        found.append((start, min(length, length_bytes)))
        length_bytes -= length
    return found


Probe = Callable[[BlockSource], Optional[FileSystem]]
