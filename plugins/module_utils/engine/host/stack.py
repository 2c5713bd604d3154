# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The block devices of this system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows_stack import SYSFS_SECTOR_BYTES, BlockTree, Range, file_text, first_line, listing, to_number
else:
    from .linux_stack import SYSFS_SECTOR_BYTES, BlockTree, Range, file_text, first_line, listing, to_number

__all__ = ["SYSFS_SECTOR_BYTES", "BlockTree", "Range", "file_text", "first_line", "listing", "to_number"]
