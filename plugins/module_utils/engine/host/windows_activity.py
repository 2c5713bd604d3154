# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The use of a disk by others: not read on Windows (Windows)."""

from __future__ import annotations

from typing import Optional

from . import linux_activity
from .linux_activity import Activity

__all__ = ["Activity", "DiskActivity"]


class DiskActivity(linux_activity.DiskActivity):
    """The contract of the Linux twin. No disk is known, so that a run reads at the pace for disks of unknown use."""

    @classmethod
    def of(cls, path: str) -> Optional[DiskActivity]:
        """Return None for every path."""
        del path
        return None
