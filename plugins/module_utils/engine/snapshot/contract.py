# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of freezing the volumes of disks, and the words for the kinds of freezing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..disk.layout import DiskLayout, Partition
from ..disk.source import BlockSource, FileSource
from ..disk.used import InsideOf, MountPointsOf, StateOf, is_wanted
from ..errors import VolumeMounted

OFFLINE, LVM, STABLE, LIVE = "offline", "lvm", "stable", "live"
VSS, VSS_CRASH = "vss", "vss-crash"
# A partition that stood still promises more than one moment of a volume in use: a disk with both is called "vss".
_FROM_WEAK_TO_STRONG = (LIVE, VSS_CRASH, VSS, STABLE, LVM, OFFLINE)


class DiskToFreeze(NamedTuple):
    """A disk whose volumes are to be frozen. The opener of ``source`` closes it. ``selected`` are partitions, or None for all."""

    path: str
    source: FileSource
    layout: DiskLayout
    selected: Optional[Set[int]] = None


class FrozenDisk(NamedTuple):
    """The basis for planning and reading an image of the disk. ``source`` is good until the freeze is released."""

    source: BlockSource
    how: str
    state_of: StateOf
    inside_of: InsideOf
    mount_points_of: MountPointsOf
    warnings: List[str]
    decrypted: Tuple[str, ...] = ()  # volumes that the disk holds encrypted, and ``source`` in clear text


class Freeze(ABC):
    """The volumes of disks at one moment, until :meth:`close`: what a provider of snapshots gives.

    ``frozen`` has a disk's answer by its path; ``warnings`` what could not be removed; ``notes`` what the log of the run tells.
    """

    def __init__(self) -> None:
        self.frozen: Dict[str, FrozenDisk] = {}
        self.warnings: List[str] = []
        self.notes: List[str] = []

    @abstractmethod
    def close(self) -> None:
        """Give everything free; what can't be removed stays as a warning, and the next run removes it."""

    def changed_uses(self) -> List[LiveUse]:
        """The volumes that were not frozen but stood still, and that a program wrote to while they were read."""
        return []

    def __enter__(self) -> Freeze:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.close()


class LiveUse(NamedTuple):
    """A volume in use that can't be frozen, and why."""

    what: str
    mount_point: str
    reason: str

    def warning(self) -> str:
        return "%s is in use at %s and was read live: %s." % (self.what, self.mount_point, self.reason)


def refuse_live(uses: Sequence[LiveUse], setting: str) -> None:
    """:raises VolumeMounted: when a volume would be read live, and the ``setting`` does not allow that."""
    if uses and setting == "required":
        raise VolumeMounted(path=uses[0].what, mount_point=uses[0].mount_point, reason=uses[0].reason)


def is_imaged(disk: DiskToFreeze, partition: Partition) -> bool:
    """Whether the content of a partition is in the image at all."""
    return partition.role != "extended" and is_wanted(partition, disk.selected)


def weakest(hows: Iterable[str]) -> str:
    """One word for several volumes: of those that were used, the one that promises least."""
    found = set(hows)
    return next((how for how in _FROM_WEAK_TO_STRONG if how in found), OFFLINE)


def partition_name(disk: DiskToFreeze, partition: Partition) -> str:
    return "Partition %d of %s" % (partition.number, disk.path) if partition.number else disk.path
