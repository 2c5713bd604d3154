# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the disk that a stable id names: ``serial:...``, ``wwn:...``, ``gpt:<guid>``, ``mbr:<signature>``, or one of these without
the word in front (rule 11).
"""

from __future__ import annotations

from typing import Callable, Iterable, List, Sequence

from ..errors import DriveAmbiguous, DriveUnknown
from .disks import Disk, normal_wwn

_WORDS = ("serial", "wwn", "gpt", "mbr")
TableIdOf = Callable[[Disk], str]
Describe = Callable[[Iterable[Disk]], str]


def disk_with_id(entry: str, disks: Sequence[Disk], table_id_of: TableIdOf, describe: Describe) -> Disk:
    """The only disk with the id.

    :param describe: words for disks, for the messages of errors.
    :raises DriveUnknown: no disk has it. :raises DriveAmbiguous: more than one has.
    """
    word, separator, value = entry.partition(":")
    if not separator or word not in _WORDS:
        word, value = "", entry
    value = value.strip().lower()
    found: List[Disk] = [disk for disk in disks if value and _has_id(disk, word, value, table_id_of)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DriveAmbiguous(drive=entry, disks=describe(found))
    reason = "no disk has this id" if word or value else "it is empty"
    raise DriveUnknown(drive=entry, reason=reason, disks=describe(disks))


def _has_id(disk: Disk, word: str, value: str, table_id_of: TableIdOf) -> bool:
    if word in ("", "serial") and disk.serial.lower() == value:
        return True
    if word in ("", "wwn") and disk.wwn and disk.wwn == normal_wwn(value):
        return True
    if word in ("", "gpt", "mbr"):
        scheme, dummy, table_id = table_id_of(disk).partition(":")
        return bool(table_id) and table_id == value and word in ("", scheme)
    return False
