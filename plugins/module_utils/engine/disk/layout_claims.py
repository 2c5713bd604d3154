# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects a second claim to a partitioned disk: marks of a file system outside of all partitions.

A stick that was one volume and was partitioned with a tool that keeps the boot code, an ISO 9660 whose table names the
boot partitions only: an image of the partitions would lack the data of the other system.
"""

from __future__ import annotations

from typing import List

from .claims import TABLE_CLAIM, Claim, claims_of, join_names
from .layout import DiskLayout, imaged_whole
from .signatures import array_member
from .source import BlockSource
from .trust import TABLE, is_called


def settle(source: BlockSource, layout: DiskLayout, trusted: str = "") -> DiskLayout:
    """The layout of a disk, one whole where its partitions and a file system both claim it.

    :param trusted: what ``imaging_trust`` says of the disk: a table, or the system that all of it is.
    """
    if trusted and not is_called(trusted, TABLE):
        return imaged_whole(source, "")
    if trusted:
        return layout
    if layout.scheme == "none":
        # Members of an array may begin like the content of the array; a stale mark of a member is on a disk outside of
        # any array.
        rivals = claims_of(source) if layout.whole_because and array_member(source) else []
    else:
        beside = _beside(source, layout)
        rivals = [*beside, TABLE_CLAIM] if beside else []
    if len(rivals) < 2:
        return layout
    reason = "%s %s claim the disk" % (join_names(rivals), "all" if len(rivals) > 2 else "both")
    return imaged_whole(source, reason)._replace(rivals=tuple(rivals))


def table_is_trusted(trusted: str) -> bool:
    return bool(trusted) and is_called(trusted, TABLE)


def _beside(source: BlockSource, layout: DiskLayout) -> List[Claim]:
    """The claims with a mark that lies neither in a partition nor in the table itself.

    Two bytes are not enough here: an ext superblock must fit the disk.
    """
    if array_member(source):
        return []  # said already
    shown = layout.shown()
    first = min((extent.start_bytes for extent in shown), default=0)
    table = 34 * layout.sector_bytes if layout.scheme == "gpt" else 0
    found = []
    for claim in claims_of(source):
        if claim.name in (TABLE, "DRBD") or (claim.error and not claim.file_system and claim.name == "ext"):
            continue
        marks = [
            mark
            for mark in claim.marks
            if not any(shown.clipped(mark.place, mark.place + mark.size))
            and not (layout.sector_bytes <= mark.place < min(table, first))
        ]
        if marks:
            found.append(claim._replace(marks=tuple(marks)))
    return found
