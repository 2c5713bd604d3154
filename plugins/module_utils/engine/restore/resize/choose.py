# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which partition ``imaging_restore_grow`` means, and whether it can be grown."""

from __future__ import annotations

from typing import List, Sequence

from ...errors import RestoreCannotGrow, RestoreGrowUnknown, RestoreVolumeUnclean
from .volume import Volume

LAST, SYSTEM = "last", "system"


def chosen(grow: str, disk: str, volumes: Sequence[Volume]) -> Volume:
    """Return the volume to grow.

    :raises RestoreGrowUnknown: when the disk has none that is meant, or several.
    """
    found: List[Volume] = []
    if grow == LAST:
        found = list(volumes[-1:])
    elif grow == SYSTEM:
        found = [one for one in volumes if one.system()]
    else:
        found = [one for one in volumes if str(one.number) == grow]
    if len(found) != 1:
        named = ", ".join("%d (%s)" % (one.number, one.kind or "unknown content") for one in volumes)
        raise RestoreGrowUnknown(grow=grow, disk=disk, partitions=named or "none")
    return found[0]


def check_growing(disk: str, target: str, one: Volume) -> None:
    """Refuse a volume that no tool can grow, or not as it is.

    :raises RestoreCannotGrow: for the kind of its content. :raises RestoreVolumeUnclean: for its state.
    """
    if not (one.is_ext or one.is_ntfs or one.is_xfs):
        reason = "no tool can grow %s" % (one.kind or "its unknown content")
        raise RestoreCannotGrow(partition=one.number, disk=disk, target=target, reason=reason)
    reason = one.why_unclean()
    if reason:
        raise RestoreVolumeUnclean(partition=one.number, disk=disk, reason=reason)
