# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hives of Windows on the other disks of the image that name a disk or a partition of it: they are not changed with it."""

from __future__ import annotations

import struct
from typing import List, Optional, Sequence, Tuple

from ...errors import RestoreBootConfigLocked, RestoreCannotMove, RestoreIdentityImpossible
from ..resize.boot_config import named_at
from ..resize.volume import Volume
from .about import About, OtherDisk
from .draw import Drawn
from .windows_hives import Found, HiveFile, Names, places, read_hive


def letters_elsewhere(about: About, other: OtherDisk, drawn: Drawn, names: Names) -> List[str]:
    """The drive letters on another disk that will name the old ids.

    :raises RestoreIdentityImpossible: when a boot configuration there names this disk.
    """
    found = []
    for place in places(other.volumes):
        one, unread = _read(about, other, place)
        if unread:
            found.append(_elsewhere(about, other, place, "can't be read (%s)" % unread))
        if one is None or not any(word in one.content for word in _words(one, drawn, names)):
            continue
        if one.is_boot_config:
            reason = "%s on partition %d of %s names it" % (one.path, one.volume.number, other.disk)
            raise RestoreIdentityImpossible(disk=about.disk, target=about.target, reason=reason)
        found.append(_elsewhere(about, other, place, "names its old ids"))
    return found


def moves_elsewhere(about: About, other: OtherDisk, moved: Sequence[Volume], drawn: Drawn, names: Names) -> List[str]:
    """The drive letters on another disk that will name the old places of partitions of an MBR that move.

    :raises RestoreCannotMove: when a boot configuration there names one of them, or may name it because it can't be read. The
        recovery environment is found again with reagentc.
    """
    found = [
        _unread(about, other, what)
        for what in other.unread
        if any(one.is_ntfs and one.partition.role != "recovery" for one in moved)
    ]
    for place in places(other.volumes):
        one: Optional[HiveFile] = None  # two hives are never held at a time
        one, unread = _read(about, other, place)
        if place.is_boot_config:
            _refuse_named(about, other, moved, place, one.content if one is not None else b"", drawn, unread)
        elif unread:
            found.append(_elsewhere(about, other, place, "can't be read (%s)" % unread))
        elif one is not None and any(old in one.content for old, dummy in names[1]):
            found.append(_elsewhere(about, other, place, "names the old places of those that move"))
    return found


def _read(about: About, other: OtherDisk, place: Found) -> Tuple[Optional[HiveFile], str]:
    """A hive on another disk, None where there is none; and why one that is there can't be read."""
    try:
        return read_hive(other.disk, about.target, place), ""
    except RestoreBootConfigLocked as error:
        return None, str(error.fields["reason"])


def _refuse_named(
    about: About, other: OtherDisk, moved: Sequence[Volume], place: Found, store: bytes, drawn: Drawn, unread: str
) -> None:
    signature = struct.pack("<I", int(drawn.disk[0], 16))
    if not any(signature):
        return  # Windows gives a disk its signature before a boot configuration can name it
    for one in moved:
        if one.partition.role == "recovery":
            continue
        what = ""
        if named_at(store, one.partition.start_bytes, signature):
            what = "names it by its place and is not changed with it"
        elif unread and one.is_ntfs:
            what = "may name it by its place and can't be read (%s)" % unread
        if what:
            reason = "%s on partition %d of %s %s" % (place.name, place.volume.number, other.disk, what)
            raise RestoreCannotMove(partition=one.number, disk=about.disk, target=about.target, reason=reason)


def _unread(about: About, other: OtherDisk, what: str) -> str:
    return (
        "A boot configuration may name the old places of the partitions of %s that move, and could not be looked for: %s. If "
        "Windows on %s starts from %s, check its boot configuration with bcdedit."
        % (about.disk, what, about.disk, other.disk)
    )


def _elsewhere(about: About, other: OtherDisk, place: Found, what: str) -> str:
    return (
        "Windows on %s may give the partitions of %s other drive letters, because %s on partition %d of %s %s. Check the "
        "letters in Disk Management." % (other.disk, about.disk, place.name, place.volume.number, other.disk, what)
    )


def _words(one: HiveFile, drawn: Drawn, names: Names) -> List[bytes]:
    if one.is_boot_config and drawn.scheme == "mbr":
        return [struct.pack("<I", int(drawn.disk[0], 16))]
    return [old for old, dummy in names[0 if one.is_boot_config else 1]]
