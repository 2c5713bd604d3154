# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The block devices of the system: Windows has no /sys. Its disks are found by other calls (Windows)."""

from __future__ import annotations

from . import linux_stack
from .linux_stack import SYSFS_SECTOR_BYTES, Range, file_text, first_line, listing, to_number

__all__ = ["SYSFS_SECTOR_BYTES", "BlockTree", "Range", "file_text", "first_line", "listing", "to_number"]
_NOWHERE = "\\\\.\\GLOBALROOT\\none"


class BlockTree(linux_stack.BlockTree):
    """The contract of the Linux twin, with no device in it.

    On Windows ``/sys`` would be a folder of the current drive, which any user may create there: it is never read.
    """

    def __init__(self, root: str = "/") -> None:
        super().__init__(root)
        self.base = _NOWHERE
