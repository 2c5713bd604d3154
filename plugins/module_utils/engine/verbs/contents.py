# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of the manifest for an opened disk: its model, its table's id, the volumes whose content is in the image."""

from __future__ import annotations

from collections import Counter
from typing import List

from ..device.disk_hardware import hardware_of
from ..disk.layout import DiskLayout, Partition
from ..disk.used import PlannedVolume
from ..image.format.contents import DiskContents, VolumeEntry, bounded

_EMPTY_GUID = "00000000-0000-0000-0000-000000000000"


def contents_of(path: str, layout: DiskLayout, volumes: List[PlannedVolume]) -> DiskContents:
    """Volumes are known by what stays when others come and go: not by their number."""
    partitions = {partition.number: partition for partition in layout.partitions if partition.number}
    twice = Counter(partition.unique_id.lower() for partition in partitions.values())
    found = []
    for volume in volumes:
        partition = partitions.get(volume.number)
        # Logical volumes are not told: one that has a snapshot today is part of what holds it, and not missing.
        if volume.selected and partition is not None and not volume.name:
            found.append(VolumeEntry(volume.number, _id(layout, partition, twice), volume.size_bytes))
    return bounded(hardware_of(path).model, layout.table_id, found)


def _id(layout: DiskLayout, partition: Partition, twice: Counter[str]) -> str:
    """The partition's GUID; its start in bytes where there is none, or one that tells nothing."""
    guid = partition.unique_id.lower()
    if layout.scheme == "gpt" and guid and guid != _EMPTY_GUID and twice[guid] == 1:
        return guid
    return "%d" % partition.start_bytes
