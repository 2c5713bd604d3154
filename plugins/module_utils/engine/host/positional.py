# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes at a place of an open file, on this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_positional import read_at, write_at
else:
    from .linux_positional import read_at, write_at

__all__ = ["read_at", "write_at"]
