# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the systems of storages put into any folder: thumbnails, attributes, recycle bins. They are deleted with
the folder."""

from __future__ import annotations

import re

# Synology, QNAP, netatalk and macOS, GNOME and KDE, Windows. Their plain files (.DS_Store, Thumbs.db) are deleted like
# all other files.
_FOLDERS = re.compile(
    r"@eadir|@synoeastream|@synoresource|@tmp|#recycle|@recycle|\.@__thumb|\.@upload_cache|\.appledouble|\.appledb|\.appledesktop"
    r"|\.temporaryitems|\.fseventsd|\.spotlight-v100|\.trashes|\.trash-\d{1,10}|\.directory|\$recycle\.bin",
    re.IGNORECASE | re.ASCII,
)
MAX_DEPTH = 6


def is_stray_folder(name: str) -> bool:
    """Whether a directory is one that a storage's system made, not a person."""
    return _FOLDERS.fullmatch(name) is not None
