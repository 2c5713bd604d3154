# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wishes of a user for a target that is to differ from the imaged disk: in its size, its identity or its partitions."""

from __future__ import annotations

from typing import NamedTuple, Tuple


class Wishes(NamedTuple):
    """Grow a partition, shrink the disk, give it new ids."""

    grow: str = ""  # "last", "system", a number, or "" to grow none
    shrink: bool = False
    scratch: str = ""  # a directory
    new_identity: bool = False
    only: Tuple[str, ...] = ()  # the partitions to restore, such as "disk0p2"; () for all


NO_WISHES = Wishes()
