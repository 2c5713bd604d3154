# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks ``imaging_drives`` means on this machine (Windows): image files and raw names of disks and volumes.

The choice never asks the file system for the parent of a name: that of ``C:\\`` is itself.
"""

from __future__ import annotations

import os
from typing import Dict, List, Sequence

from ..errors import DiskNotFound, DriveUnknown, NoDriveChosen
from ..host.windows_devices import disk_names
from ..host.windows_names import NameKind, kind_of_name
from .chosen import Chosen


def choose(entries: Sequence[str]) -> List[Chosen]:
    """Return what to open, each once, in the order of ``entries``.

    :raises DriveUnknown: an entry that names nothing here. :raises DiskNotFound: an image file that is not there.
    :raises NoDriveChosen: ``all`` or ``system``: which disks there are is not asked yet.
    """
    found: Dict[str, Chosen] = {}
    for entry in entries:
        one = _entry(entry)
        key = one.path.replace("/", "\\").rstrip("\\").casefold()
        before = found.get(key)
        found[key] = one if before is None else before._replace(entries=before.entries + one.entries)
    return list(found.values())


def _entry(entry: str) -> Chosen:
    if entry in ("all", "system"):
        raise NoDriveChosen(drives=entry, disks=_present())
    kind = kind_of_name(entry)
    if kind in (NameKind.DISK, NameKind.VOLUME):
        return Chosen(entry.rstrip("\\/"), None, (entry,))
    if kind is not NameKind.FILE:
        raise _unknown(entry, _WHY[kind])
    if os.path.isdir(entry):
        raise _unknown(entry, "it is a folder")
    if not os.path.exists(entry):
        raise DiskNotFound(path=entry)
    if not os.path.isfile(entry):
        raise _unknown(entry, "it is not a file")
    return Chosen(os.path.realpath(entry), None, (entry,))


_WHY = {
    NameKind.LETTER: "it is a drive letter, and this version images whole disks of Windows",
    NameKind.SHARE: "it is on a server, not on this device",
    NameKind.OTHER: "it is not the full name of a file, nor of a disk",
}


def _unknown(entry: str, reason: str) -> DriveUnknown:
    return DriveUnknown(drive=entry, reason=reason, disks=_present())


def _present() -> str:
    return ", ".join(disk_names()) or "none"
