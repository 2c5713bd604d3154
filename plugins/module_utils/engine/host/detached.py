# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a process that outlives its starter, on this system."""

from __future__ import annotations

import sys

from .linux_detached import Work

if sys.platform == "win32":
    from .windows_detached import spawn_detached
else:
    from .linux_detached import spawn_detached

__all__ = ["Work", "spawn_detached"]
