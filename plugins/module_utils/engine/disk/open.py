# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens what a name stands for: an image file, a block device, or a raw device of Windows."""

from __future__ import annotations

import sys

from ..host.windows_names import is_raw
from .source import FileSource


def open_source(path: str) -> FileSource:
    """Open ``path`` read-only.

    :raises DiskNotFound: when it is not there. :raises DiskAccessDenied: :raises DiskUnreadable:
    """
    if sys.platform == "win32" and is_raw(path):
        from .raw_source import RawSource

        return RawSource(path)
    return FileSource(path)
