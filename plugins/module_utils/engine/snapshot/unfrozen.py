# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider of a system whose volumes the engine can't freeze yet: what is in use is read live, or not at all."""

from __future__ import annotations

from typing import List, Sequence

from ..disk.filesystems.contract import VolumeState
from ..disk.layout import Partition
from ..errors import VolumeMounted
from ..host.mounts import uses_of
from .contract import LIVE, OFFLINE, DiskToFreeze, Freeze, FrozenDisk, LiveUse, is_imaged, partition_name

_REASON = "this version has no snapshots on this system"


class Unfrozen(Freeze):
    """The disks as they stand.

    :raises VolumeMounted: ``required`` and a volume that is in use.
    """

    def __init__(self, disks: Sequence[DiskToFreeze], setting: str) -> None:
        super().__init__()
        for disk in disks:
            live = _live(disk)
            if live and setting == "required":
                raise VolumeMounted(path=live[0].what, mount_point=live[0].mount_point, reason=live[0].reason)
            self.frozen[disk.path] = FrozenDisk(
                disk.source,
                LIVE if live else OFFLINE,
                _is_live if live else _is_offline,
                lambda dummy_partition: None,
                lambda dummy_partition: [],
                [use.warning() for use in live],
            )

    def close(self) -> None:
        """Release the disks: this provider made no snapshots."""


def _is_live(dummy_partition: Partition) -> VolumeState:
    return VolumeState.LIVE


def _is_offline(dummy_partition: Partition) -> VolumeState:
    return VolumeState.OFFLINE


def _live(disk: DiskToFreeze) -> List[LiveUse]:
    """The uses of the imaged partitions; one in use makes its disk's state that of all."""
    uses = uses_of(disk.path)

    def point(partition: Partition) -> str:
        end = partition.start_bytes + partition.length_bytes
        found = [use for use in uses if use.start_bytes < end and partition.start_bytes < use.end_bytes]
        return found[0].mount_point if found else ""

    imaged = [partition for partition in disk.layout.partitions if is_imaged(disk, partition)]
    return [LiveUse(partition_name(disk, one), point(one), _REASON) for one in imaged if point(one)]
