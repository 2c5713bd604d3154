# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the systems of storages put into any folder by themselves: thumbnails, attributes, recycle bins. It goes with the folder."""

from __future__ import annotations

import re

# Synology, QNAP, netatalk and macOS, GNOME and KDE, Windows. Files of theirs (.DS_Store, Thumbs.db) are files like any other.
_FOLDERS = re.compile(
    r"@eadir|@synoeastream|@synoresource|@tmp|#recycle|@recycle|\.@__thumb|\.@upload_cache|\.appledouble|\.appledb|\.appledesktop"
    r"|\.temporaryitems|\.fseventsd|\.spotlight-v100|\.trashes|\.trash-\d{1,10}|\.directory|\$recycle\.bin",
    re.IGNORECASE | re.ASCII,
)
MAX_DEPTH = 6


def is_stray_folder(name: str) -> bool:
    """Whether a directory is one that a storage's system made, not a person."""
    return _FOLDERS.fullmatch(name) is not None
