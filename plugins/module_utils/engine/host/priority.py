# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lowest priority for this process, on this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_priority import lower_priority
else:
    from .linux_priority import lower_priority

__all__ = ["lower_priority"]
