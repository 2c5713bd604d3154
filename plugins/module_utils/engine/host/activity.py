# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The use of a disk by others, on this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_activity import Activity, DiskActivity
else:
    from .linux_activity import Activity, DiskActivity

__all__ = ["Activity", "DiskActivity"]
