# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Identifies a process and the start of the system, on this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_process import boot_id, pid_namespace, process_start
else:
    from .linux_process import boot_id, pid_namespace, process_start

__all__ = ["boot_id", "pid_namespace", "process_start"]
