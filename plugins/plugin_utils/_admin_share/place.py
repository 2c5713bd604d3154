# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of files of a device and their paths in its share.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows_layout import SERVICE

_ABSOLUTE = re.compile(r"[A-Za-z]:\\")
_FORBIDDEN = re.compile(r'[<>:"/|?*\x00-\x1f]')
_FOLDER = SERVICE  # as the engine names it on a device
_PROGRAMS = "Program Files"


class SharePlace(NamedTuple):
    """A share, and the folder of the device behind it: ``C:\\``, or ``D:\\folder`` without a backslash at its end."""

    share: str
    folder: str

    @property
    def base_in_share(self) -> str:
        """The agent's folder: among the programs where the share is a whole drive, else directly in it."""
        return "%s\\%s" % (_PROGRAMS, _FOLDER) if self.folder.endswith("\\") else _FOLDER

    @property
    def base(self) -> str:
        """The agent's folder as the device names it."""
        return self.on_device(self.base_in_share)

    def on_device(self, path: str) -> str:
        """Return the device's name of a path of the share."""
        return self.folder.rstrip("\\") + "\\" + path

    def in_share(self, name: str) -> str:
        """Return the path in the share of a file of the device, or of one that is relative to the share.

        :raises ValueError: when it is outside of the share, or not a plain path.
        """
        path = name.replace("/", "\\")
        if _ABSOLUTE.match(path):
            folder = self.folder.rstrip("\\") + "\\"
            if not path.casefold().startswith(folder.casefold()):
                raise ValueError("it is not below %s, which the share %s is" % (self.folder, self.share))
            path = path[len(folder) :]
        parts = path.split("\\")
        if not all(parts) or any(_FORBIDDEN.search(part) or part.strip(" .") != part.strip(" ") for part in parts):
            raise ValueError("it is not a plain path")
        return path


def place_of(share: str, folder: str) -> SharePlace:
    """Return the place for what a device or a user calls the share's folder.

    :raises ValueError: when it is not a folder of a drive.
    """
    folder = folder.replace("/", "\\")
    parts = folder[3:].rstrip("\\").split("\\") if _ABSOLUTE.match(folder) else [""]
    if not _ABSOLUTE.match(folder) or any(
        _FORBIDDEN.search(part) or part in (".", "..") or (not part and len(parts) > 1) for part in parts
    ):
        raise ValueError("%s is not a folder of a drive" % (folder[:80] or "nothing"))
    return SharePlace(share, folder[:3] + "\\".join(parts))
