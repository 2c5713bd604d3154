# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mounts of this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_mountinfo import Mount, read_mounts, unescape
else:
    from .linux_mountinfo import Mount, read_mounts, unescape

__all__ = ["Mount", "read_mounts", "unescape"]
