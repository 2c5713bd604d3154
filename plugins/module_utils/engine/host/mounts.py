# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a part of a disk is in use, on this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_mounts import Use, is_held, swap_files, uses_of
else:
    from .linux_mounts import Use, is_held, swap_files, uses_of

__all__ = ["Use", "is_held", "swap_files", "uses_of"]
