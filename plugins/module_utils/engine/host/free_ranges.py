# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives free ranges of a disk or file back to the system, or zeroes them, on this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_free_ranges import Discarding, discard, discarding_of_device, discarding_of_file, zero
else:
    from .linux_free_ranges import Discarding, discard, discarding_of_device, discarding_of_file, zero

__all__ = ["Discarding", "discard", "discarding_of_device", "discarding_of_file", "zero"]
