# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every file system parser answers: who it is, which bytes are in use, and where named files lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

from ..extents import ExtentSet
from ..source import BlockSource


class VolumeState(Enum):
    """How the volume stands while it is read; decides whether its bitmap may be trusted."""

    OFFLINE = "offline"  # nobody has it mounted for writing
    FROZEN = "frozen"  # a snapshot or shadow copy: one moment, but the journal may be unclean
    LIVE = "live"  # mounted and written to while we read


class UsedMap(NamedTuple):
    """Which bytes of a volume are in use. When ``trusted`` is false ``extents`` is the whole volume."""

    extents: ExtentSet
    trusted: bool
    reason: str  # why it is not trusted, in a sentence for the user's log; "" when trusted


class FoundFile(NamedTuple):
    """A file whose content may be left out."""

    path: str  # from the volume's root, "/" between the names, as stored on disk (case kept)
    size_bytes: int
    extents: ExtentSet  # the clusters of its content, its alternate streams included; nothing that other files share
    links: Tuple[str, ...]  # every path of this file (hard links), this one included
    skipped: str  # why its content stays all the same ("" when it may be left out), e.g. a hard link outside


# A test on a path of ``FoundFile.path`` form. ``descend(directory)`` says whether anything below can match, so that a
# walk can leave out whole trees.
class PathTest(ABC):
    """Which files are meant. Built from the user's patterns by ``disk/patterns.py``."""

    ignore_case: bool

    @abstractmethod
    def matches(self, path: str) -> bool:
        """Whether the file ``path`` (from the root, "/" between names, no leading slash) is meant."""

    @abstractmethod
    def descend(self, directory: str) -> bool:
        """Whether a file below ``directory`` ("" is the root) could be meant."""


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

    @classmethod
    @abstractmethod
    def probe(cls, source: BlockSource) -> Optional[FileSystem]:
        """Return the file system if its signature is there, else None.

        :raises FileSystemInvalid: when the signature is there but the superblock contradicts itself.
        """

    @abstractmethod
    def used(self, state: VolumeState) -> UsedMap:
        """Return which bytes of the volume are in use; boot areas and backup boot sectors always are.

        Never guesses: what is not understood, or not trusted in this ``state``, yields the whole volume with a reason.
        The extents lie inside the source.
        """

    @abstractmethod
    def find(self, test: PathTest) -> Iterator[FoundFile]:
        """Yield the regular files that ``test`` matches, with the clusters of their content.

        Only meaningful where the volume is offline or frozen. Directories, links and special files are never yielded;
        file system metadata never lies in the extents.
        """

    def always_excluded(self) -> List[str]:
        """Paths (from the root) whose content never needs to be kept, such as ``pagefile.sys``; none by default."""
        return []


def whole(source: BlockSource, reason: str) -> UsedMap:
    """The answer for a volume that is not understood: everything, with the reason."""
    return UsedMap(ExtentSet([(0, source.size_bytes)]), False, reason)


Probe = Callable[[BlockSource], Optional[FileSystem]]
