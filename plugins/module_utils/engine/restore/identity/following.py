# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows partitions of an MBR that move in the hives of Windows, which name them by their place; the ids stay."""

from __future__ import annotations

import struct
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ...errors import RestoreBootConfigLocked, RestoreCannotMove
from ..resize.boot_config import named_at
from ..resize.volume import Volume
from .about import About, OtherDisk
from .draw import Drawn, device_names, same
from .elsewhere import moves_elsewhere
from .windows_hives import HiveFile, Patch, changes_in, places, read_hive


class Following(NamedTuple):
    """The changes in the hives of Windows because partitions of an MBR move; the ids stay."""

    hives: List[Tuple[int, str]]
    patches: Dict[int, List[Patch]]
    warnings: List[str]


def follow_moves(about: About, others: Sequence[OtherDisk] = ()) -> Following:
    """Have the boot configuration and the drive letters name the new places. Drive letters that can't be changed are a warning.

    :param others: the other disks of the image, whose hives are not changed.
    :raises RestoreCannotMove: when a boot configuration names a partition that moves and can't be changed, or a file that
        must be changed is on a partition that is shrunk.
    """
    moved = [one for one in about.volumes if about.after[one.number] != one.partition.start_bytes]
    if about.layout.scheme != "mbr" or not moved:
        return Following([], {}, [])
    drawn = same(about.layout)
    names = device_names(drawn, [one.partition for one in moved], about.after)
    found = Following([], {}, [])
    for place in places(about.volumes):
        one: Optional[HiveFile] = None
        try:
            one = read_hive(about.disk, about.target, place)
            changed = changes_in(about.disk, about.target, one, drawn, names) if one is not None else []
        except RestoreBootConfigLocked as error:
            if one is not None and one.is_boot_config:
                _refuse_left(about, moved, one, drawn, [])
            found.warnings.append(_letters(about.disk, moved, place.name, str(error.fields["reason"])))
            continue
        if one is None:
            continue
        if one.is_boot_config:
            _refuse_left(about, moved, one, drawn, [start for start, dummy in changed])
        if changed and one.volume.number in about.shrunk:
            reason = "%s on partition %d names it by its place, and that partition is shrunk"
            reason = reason % (one.path, one.volume.number)
            raise RestoreCannotMove(partition=moved[0].number, disk=about.disk, target=about.target, reason=reason)
        if changed:
            found.hives.append((one.volume.number, one.path))
            found.patches.setdefault(one.volume.number, []).extend(one.on_volume(changed))
    for other in others:
        found.warnings.extend(moves_elsewhere(about, other, moved, drawn, names))
    return found


def _refuse_left(about: About, moved: Sequence[Volume], store: HiveFile, drawn: Drawn, changed: Sequence[int]) -> None:
    """Every mention of an old place is changed; the recovery environment is found again with reagentc.

    :raises RestoreCannotMove: when one is not.
    """
    signature = struct.pack("<I", int(drawn.disk[0], 16))
    for one in moved:
        left = set(named_at(store.content, one.partition.start_bytes, signature)).difference(changed)
        if left and one.partition.role != "recovery":
            reason = "%s on partition %d names it by its place and can't be changed" % (
                store.path,
                store.volume.number,
            )
            raise RestoreCannotMove(partition=one.number, disk=about.disk, target=about.target, reason=reason)


def _letters(disk: str, moved: Sequence[Volume], path: str, reason: str) -> str:
    return (
        "Windows may give partition %s of %s another drive letter, because it moves and %s can't be changed: %s. Check the "
        "letters in Disk Management." % (", ".join(str(one.number) for one in moved), disk, path, reason)
    )
