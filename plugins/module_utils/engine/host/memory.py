# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the memory of this process small and closed to others, on this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_memory import close_memory, share_one_arena
else:
    from .linux_memory import close_memory, share_one_arena

__all__ = ["close_memory", "share_one_arena"]
