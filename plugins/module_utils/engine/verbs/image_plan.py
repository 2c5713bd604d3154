# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an image holds each disk and volume: what is in use, how still it stands, and why a volume is imaged whole."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from ..disk.used import PlannedVolume
from .opened_disks import OpenedDisk


def image_plan(disks: Sequence[OpenedDisk]) -> List[Dict[str, Any]]:
    """Return a document for each disk, with one for each of its volumes."""
    return [_of_disk("disk%d" % number, disk) for number, disk in enumerate(disks)]


def _of_disk(name: str, disk: OpenedDisk) -> Dict[str, Any]:
    return {
        "disk": name,
        "path": disk.path,
        "stable_id": disk.stable_id,
        "size_bytes": disk.source.size_bytes,
        "in_use_bytes": disk.plan.used.total_bytes,
        "snapshot": disk.how,
        "volumes": [_of_volume(volume) for volume in disk.plan.volumes],
    }


def _of_volume(volume: PlannedVolume) -> Dict[str, Any]:
    return {
        "number": volume.number,
        "name": volume.name,
        "kind": volume.kind,
        "label": volume.label,
        "mount_points": list(volume.mount_points),
        "size_bytes": volume.size_bytes,
        "in_use_bytes": volume.in_use_bytes,
        "left_out_bytes": volume.left_out_bytes,
        "selected": volume.selected,
        "state": volume.state,
        "reason": volume.reason,
    }
