# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks may come onto a target with sectors of another size: those whose file systems do not count in sectors of the disk."""

from __future__ import annotations

from typing import List, Sequence

from ...disk.layout import DiskLayout
from ...errors import RestoreSectorSizeDiffers
from .shift import Segment
from .volume import Volume

_LARGE = 4096


def check(
    disk: str, target: str, layout: DiskLayout, volumes: Sequence[Volume], old: int, new: int, first_bytes: int
) -> None:
    """Refuse what can't be converted.

    :param first_bytes: where the table of the target ends; in larger sectors it takes more room.
    :raises RestoreSectorSizeDiffers: naming the partition and the reason.
    """
    reason = "its table is an MBR, which systems read in sectors of one size" if layout.scheme != "gpt" else ""
    for one in volumes:
        if one.partition.start_bytes < first_bytes:
            reason = reason or "partition %d begins where the table of the target is" % one.number
        reason = reason or _why_not(one, old, new)
    if reason:
        raise RestoreSectorSizeDiffers(
            target=target, target_sector_bytes=new, disk=disk, sector_bytes=old, reason=reason
        )


def _why_not(one: Volume, old: int, new: int) -> str:
    name = "partition %d" % one.number
    if one.partition.start_bytes % new or one.partition.length_bytes % new:
        return "%s does not begin and end at a multiple of %d bytes" % (name, new)
    if one.partition.role == "bios-boot":
        return "%s contains a boot loader that counts in sectors" % name
    if one.kind == "swap" or one.partition.role == "microsoft-reserved":
        return ""
    if one.is_ext and one.block_bytes >= new:
        return ""
    if one.is_xfs and new < old:
        return ""
    return "%s (%s) counts in sectors of %d bytes or is not understood" % (name, one.kind or "unknown content", old)


def without_embedding(segments: Sequence[Segment], layout: DiskLayout) -> List[Segment]:
    """Without what lies before the first partition: tables in the other unit, and boot loaders that count in it."""
    first = min((one.start_bytes for one in layout.partitions), default=0)
    found = []
    for one in segments:
        cut = max(0, first - one.start_bytes)
        if cut < one.length_bytes:
            found.append(Segment(one.start_bytes + cut, one.length_bytes - cut, one.target_bytes + cut))
    return found
