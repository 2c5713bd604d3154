# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hives of Windows on the other disks of the image that name a disk: they are not changed with it."""

from __future__ import annotations

import struct
from typing import List

from ...errors import RestoreBootConfigLocked, RestoreIdentityImpossible
from .about import About, OtherDisk
from .draw import Drawn
from .windows_hives import Found, HiveFile, Names, places, read_hive


def letters_elsewhere(about: About, other: OtherDisk, drawn: Drawn, names: Names) -> List[str]:
    """The drive letters on another disk that will name the old ids.

    :raises RestoreIdentityImpossible: when a boot configuration there names this disk.
    """
    found = []
    for place in places(other.volumes):
        try:
            one = read_hive(other.disk, about.target, place)
        except RestoreBootConfigLocked as error:
            found.append(_elsewhere(about, other, place, "can't be read (%s)" % error.fields["reason"]))
            continue
        if one is None or not any(word in one.content for word in _words(one, drawn, names)):
            continue
        if one.is_boot_config:
            reason = "%s on partition %d of %s names it" % (one.path, one.volume.number, other.disk)
            raise RestoreIdentityImpossible(disk=about.disk, target=about.target, reason=reason)
        found.append(_elsewhere(about, other, place, "names its old ids"))
    return found


def _elsewhere(about: About, other: OtherDisk, place: Found, what: str) -> str:
    return (
        "Windows on %s may give the partitions of %s other drive letters, because %s on partition %d of %s %s. Check the "
        "letters in Disk Management." % (other.disk, about.disk, place.name, place.volume.number, other.disk, what)
    )


def _words(one: HiveFile, drawn: Drawn, names: Names) -> List[bytes]:
    if one.is_boot_config and drawn.scheme == "mbr":
        return [struct.pack("<I", int(drawn.disk[0], 16))]
    return [old for old, dummy in names[0 if one.is_boot_config else 1]]
