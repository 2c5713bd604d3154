# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repeats what a system refuses only while a file is open elsewhere, on this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_patience import patiently
else:
    from .linux_patience import patiently

__all__ = ["patiently"]
