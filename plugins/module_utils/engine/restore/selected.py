# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore of some partitions only: which ones the user named, and how the marker on a target tells it from others."""

from __future__ import annotations

import hashlib
import re
from typing import Callable, Dict, List, Optional, Sequence

from ..errors import RestorePartitionUnknown
from ..image.reader import DiskReader, ImageReader
from .scope import Scope, restricted, scope_of

_NAME = re.compile(r"(?:(disk[0-9]{1,6})p)?([0-9]{1,6})")
_MOST_LISTED = 64
Open = Callable[[int], DiskReader]


def selected(reader: ImageReader, disks: Sequence[str], given: Sequence[str], open_disk: Open) -> Dict[str, List[int]]:
    """The numbers of the partitions to restore, by the disks of the map; empty when all are restored.

    :param given: such as ``disk0p2``; ``2`` where one disk is restored.
    :raises RestorePartitionUnknown: for a name that the image does not hold, or whose disk has no target, and for a disk
        with a target of which no partition is named.
    """
    found: Dict[str, List[int]] = {name: [] for name in disks} if given else {}
    held = {name: _held(reader, name, open_disk) for name in found}
    names = ["%sp%d" % (name, one) for name, numbers in held.items() for one in numbers]
    listed = ", ".join(names[:_MOST_LISTED]) or "none"
    for text in given:
        reason = ""
        named = _NAME.fullmatch(text)
        disk = (named.group(1) or (disks[0] if len(disks) == 1 else "")) if named else ""
        if named is None or not disk:
            reason = "%s does not name a partition of a disk" % text
        elif disk not in found:
            reason = "imaging_restore_map gives %s no target, so %s can't be restored" % (disk, text)
        elif int(named.group(2)) not in held[disk]:
            reason = "the image does not hold partition %s of %s" % (named.group(2), disk)
        if named is None or reason:
            raise RestorePartitionUnknown(reason=reason, partitions=listed)
        found[disk].append(int(named.group(2)))
    for name, numbers in found.items():
        if not numbers:
            reason = "it names no partition of %s, which has a target" % name
            raise RestorePartitionUnknown(reason=reason, partitions=listed)
    return {name: sorted(set(numbers)) for name, numbers in found.items()}


def _held(reader: ImageReader, name: str, open_disk: Open) -> List[int]:
    number = [disk.name for disk in reader.manifest.disks].index(name)
    scope = scope_of(reader, open_disk(number), name)
    return [one.number for one in scope.volumes if one.number] if scope.layout.scheme != "none" else []


def only(scope: Scope, wanted: Optional[Sequence[int]]) -> Scope:
    """The scope of the restore: all that the image holds, or the partitions that are named."""
    return scope if wanted is None else restricted(scope, set(wanted))


def marked_name(disk: str, wanted: Optional[Sequence[int]]) -> str:
    """The disk's name in the marker of a restore that is in progress: one of other partitions does not continue it."""
    if wanted is None:
        return disk
    return "%s/%s" % (disk, hashlib.sha256(",".join(map(str, wanted)).encode("ascii")).hexdigest()[:16])
