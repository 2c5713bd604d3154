# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time that this process waited for a processor: Windows does not count it for a process (Windows)."""

from __future__ import annotations

from typing import Optional


class ProcessorWait:
    """The contract of the Linux twin."""

    def seconds(self) -> Optional[float]:
        """Return None: unknown."""
        return None
