# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of a target, in words by which a person knows his disk: file systems, labels, sizes, how full they are."""

from __future__ import annotations

from typing import List

from ..amounts import size
from ..disk.filesystems.contract import VolumeState
from ..disk.filesystems.registry import detect
from ..disk.layout import DiskLayout
from ..disk.open import open_source
from ..disk.source import BlockSource, WindowSource
from ..errors import DiskError, FileSystemInvalid

_MOST_NAMED = 8


def held_in_words(path: str, layout: DiskLayout) -> str:
    """Return the volumes with a known file system on a disk or image file, "" where there is none.

    :param layout: of it, as the plan found it: with the sector size of its table.
    """
    try:
        with open_source(path) as source:
            found = _volumes(source, layout)
    except DiskError:
        return ""
    more = " and %d more" % (len(found) - _MOST_NAMED) if found[_MOST_NAMED:] else ""
    return "; ".join(found[:_MOST_NAMED]) + more


def _volumes(source: BlockSource, layout: DiskLayout) -> List[str]:
    places = [
        ("partition %d: " % one.number if one.number else "", one.start_bytes, one.length_bytes)
        for one in layout.partitions
        if one.role != "extended" and one.start_bytes + one.length_bytes <= source.size_bytes
    ]
    return [
        words
        for name, start, length in places or [("", 0, source.size_bytes)]
        if (words := _volume(source, name, start, length))
    ]


def _volume(source: BlockSource, name: str, start_bytes: int, length_bytes: int) -> str:
    window = WindowSource(source, start_bytes, length_bytes)
    try:
        file_system = detect(window)
        if file_system is None:
            return ""
        used = file_system.used(VolumeState.OFFLINE)
    except (DiskError, FileSystemInvalid):
        return ""
    label = " '%s'" % file_system.label if file_system.label else ""
    full = ", %s used" % size(used.extents.total_bytes) if used.trusted else ""
    return "%s%s%s, %s%s" % (name, file_system.kind, label, size(length_bytes), full)
