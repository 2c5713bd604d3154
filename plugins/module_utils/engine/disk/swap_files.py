# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Excludes the content of a running system's swap files: memory of programs, secrets among it, worthless on a restored
machine.

The first page stays: with it the restored system swaps to the file again [Linux include/linux/swap.h, union swap_header].
"""

from __future__ import annotations

from typing import List, NamedTuple, Sequence

from .exclusions import LeftOut, leave_out
from .extents import ExtentSet
from .filesystems.contract import FileSystem, FileTree
from .filesystems.swap import PAGE_SIZES, SIGNATURE
from .patterns import Pattern

_WILD = frozenset("*?[]")


class WithoutSwap(NamedTuple):
    """The bytes of a volume to keep, the excluded ones, and why a file stays nevertheless."""

    kept: ExtentSet
    left_out: List[LeftOut]
    remarks: List[str]


def leave_out_swap(
    file_system: FileSystem, tree: FileTree, used: ExtentSet, paths: Sequence[str], mount_points: Sequence[str]
) -> WithoutSwap:
    """Return ``used`` without the content of those files of ``paths`` that are on this volume.

    :param paths: from the system's root.
    :param mount_points: where the system has the volume; none of its files is known where that is empty.
    """
    left_out: List[LeftOut] = []
    remarks: List[str] = []
    for path in paths if mount_points else []:
        if _WILD & set(path):
            remarks.append("the swap file %s stays in the image, because its name looks like a pattern." % path)
            continue
        pattern = Pattern.parse(path)
        outcome = leave_out(used, tree, [pattern.below(mount_points, tree.case_sensitive)])
        content = used.difference(outcome.kept)
        if not content:
            continue  # it is another volume's, or an exclusion has left it out already
        head = _head(file_system, content)
        if not head:
            remarks.append("the swap file %s stays in the image, because its first page was not found." % path)
            continue
        kept = outcome.kept.union(head)
        left_out.append(LeftOut(path, True, outcome.matched[0].files, used.total_bytes - kept.total_bytes))
        used = kept
    return WithoutSwap(used, left_out, remarks)


def _head(file_system: FileSystem, content: ExtentSet) -> ExtentSet:
    """The first page of a swap file, whose extents are not in the file's order."""
    for extent in content:
        for page_bytes in PAGE_SIZES:
            place = extent.start_bytes + page_bytes - len(SIGNATURE)
            if page_bytes <= extent.length_bytes and file_system.source.read(place, len(SIGNATURE)) == SIGNATURE:
                return ExtentSet([(extent.start_bytes, page_bytes)])
    return ExtentSet()
