# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mounts of the system: Windows has no list like /proc/self/mountinfo (Windows)."""

from __future__ import annotations

from typing import List

from .linux_mountinfo import Mount, unescape

__all__ = ["Mount", "read_mounts", "unescape"]


def read_mounts(root: str = "/", process: str = "self") -> List[Mount]:
    """Return no mounts. A folder ``/proc`` of the current drive, which any user may create, is never read."""
    del root, process
    return []
