# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the disks that ``imaging_drives`` lists, by the rules of this system."""

from __future__ import annotations

import sys
from typing import List, Sequence

from .chosen import Chosen


def choose(entries: Sequence[str], storage_folder: str) -> List[Chosen]:
    """Return what to open, each once, in the order of ``entries``.

    :param storage_folder: where the images go when that is a folder of this machine: its disk is not in ``all``.
    :raises DriveUnknown: an entry that names nothing here; the message lists what there is.
    :raises DriveAmbiguous: an id that more than one disk has.
    :raises NoDriveChosen: ``all`` or ``system`` on a machine without such a disk.
    :raises DiskNotFound: a path that is not there.
    :raises WindowsSilent: Windows does not tell what the choice depends on.
    """
    if sys.platform == "win32":
        from .windows_selection import WindowsSelection

        return WindowsSelection(storage_folder).choose(entries)
    from .selection import Selection

    return Selection(storage_folder=storage_folder).choose(entries)
