# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS: whether ``$Bitmap`` and the master file table agree, where the journal leaves it open.

After a crash either may be behind the other. The bitmap is trusted when every cluster that a file in use claims is
marked, and no two files claim the same: then a file's content is never taken for free space.
"""

from __future__ import annotations

from array import array

from ..extents import ExtentSet
from .ntfs_attributes import IN_USE, Malformed, parse_record
from .ntfs_table import FileTable

_MAX_RECORDS = 8_000_000
_MAX_RUNS = 4_000_000


def why_inconsistent(table: FileTable, used: ExtentSet) -> str:
    """Compare every record in use with the map from ``$Bitmap``; return what contradicts it, "" when nothing does.

    Takes about 20 seconds and at most 50 MB for a million files; a volume with far more of them is not understood.
    """
    if table.record_count > _MAX_RECORDS:
        return "it has too many files to be checked"
    starts, ends = array("Q"), array("Q")
    cluster_bytes, cluster_count = table.geometry.cluster_bytes, table.geometry.cluster_count
    for number, block in table.blocks():
        if block[:4] != b"FILE":
            if block[:4] == b"BAAD" or (number < 16 and any(block)):
                return "record %d of its master file table is damaged" % number
            continue  # never used
        if not block[22] & IN_USE:
            continue
        try:
            record = parse_record(block, cluster_count)
        except Malformed as error:
            return "record %d of its master file table %s" % (number, error)
        for attribute in record.attributes:
            for run in attribute.runs:
                if run.lcn is not None:
                    starts.append(run.lcn * cluster_bytes)
                    ends.append((run.lcn + run.clusters) * cluster_bytes)
        if len(starts) > _MAX_RUNS:
            return "its files have too many pieces to be checked"
    return _why_overlapping(starts, ends, used)


def _why_overlapping(starts: array[int], ends: array[int], used: ExtentSet) -> str:
    # Ranges are disjoint exactly when, both sorted, none starts before the one before it ends.
    first, last = sorted(starts), sorted(ends)
    if any(start < end for start, end in zip(first[1:], last)):
        return "two of its files claim the same clusters"
    claimed = ExtentSet.from_sorted((start, end - start) for start, end in zip(first, last))
    if claimed.difference(used):
        return "files use clusters that its bitmap marks as free"
    return ""
