# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a command of a site, and ends it with all its processes, on this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_commands import ProcessTree, start_command, start_tree
else:
    from .linux_commands import ProcessTree, start_command, start_tree

__all__ = ["ProcessTree", "start_command", "start_tree"]
