# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which partitions may be moved, and which are named by their place somewhere that can't be changed with them."""

from __future__ import annotations

from typing import List, Sequence

from ...disk.layout import DiskLayout
from ...errors import RestoreCannotMove
from .boot_config import BootConfig, read_config
from .shift import Shift
from .volume import Volume

_RECOVERY = (
    "Partition %d is the recovery environment of Windows and moves: Windows starts without a change, but to find the recovery "
    "environment again run 'reagentc /disable' and then 'reagentc /enable' there."
)


def check_moves(disk: str, target: str, layout: DiskLayout, volumes: Sequence[Volume], shift: Shift) -> List[str]:
    """Refuse what can't be moved; return what a user must know about the others.

    :raises RestoreCannotMove: naming the partition and the reason.
    """
    moved = [one for one in volumes if shift.start(one.partition.start_bytes) != one.partition.start_bytes]
    if not moved:
        return []
    config = read_config(volumes)
    warnings = []
    for one in moved:
        reason = _why_not(layout, one, config)
        if reason:
            raise RestoreCannotMove(partition=one.number, disk=disk, target=target, reason=reason)
        if one.partition.role == "recovery" and one.is_ntfs:
            warnings.append(_RECOVERY % one.number)
    return warnings


def _why_not(layout: DiskLayout, one: Volume, config: BootConfig) -> str:
    if one.partition.role == "bios-boot":
        return "it contains the boot loader, which the boot code names by its place"
    if "BitLocker" in one.kind:
        return "it is encrypted with BitLocker, which notices a move at the next start"
    if layout.scheme != "mbr":
        return ""
    is_recovery = one.partition.role == "recovery"
    if one.partition.bootable:
        return "it is the active partition, whose boot code and boot configuration name its place"
    locked = config.why_locked()
    is_named = config.names(one.partition.start_bytes, layout.disk_id) and (config.stores or one.is_ntfs)
    if locked and is_named and not is_recovery:
        return "the boot configuration of Windows (BCD) names it by its place and can't be changed, because %s" % locked
    if one.system() == "Windows":
        return "Windows starts from it, and its boot configuration names its place"
    return ""
