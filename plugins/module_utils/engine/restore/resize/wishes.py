# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wishes of a user for a target of another size than the imaged disk."""

from __future__ import annotations

from typing import NamedTuple


class Wishes(NamedTuple):
    """Grow a partition, shrink the disk."""

    grow: str = ""  # "last", "system", a number, or "" to grow none
    shrink: bool = False
    scratch: str = ""  # a directory


NO_WISHES = Wishes()
