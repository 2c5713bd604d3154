# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every file system parser answers: who it is, and which bytes are in use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import Callable, NamedTuple, Optional

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


def whole(source: BlockSource, reason: str) -> UsedMap:
    """The answer for a volume that is not understood: everything, with the reason."""
    return UsedMap(ExtentSet([(0, source.size_bytes)]), False, reason)


Probe = Callable[[BlockSource], Optional[FileSystem]]
