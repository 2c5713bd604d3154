# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wishes of a user for a target that is to differ from the imaged disk: in its size, identity, partitions, boot loader or free space."""

from __future__ import annotations

from typing import NamedTuple, Tuple

YES = "yes"
KEEP, DISCARD, ZERO = "keep", "discard", "zero"
FREE_SPACE = (KEEP, DISCARD, ZERO)


class Wishes(NamedTuple):
    """Grow a partition, shrink the disk, give it new ids, add its boot fallback, treat its free space."""

    grow: str = ""  # "last", "system", a number, or "" to grow none
    shrink: bool = False
    scratch: str = ""  # a directory
    new_identity: bool = False
    only: Tuple[str, ...] = ()  # the partitions to restore, such as "disk0p2"; () for all
    fallback: str = ""  # YES, or the path of the loader that becomes the boot fallback
    free_space: str = KEEP  # one of FREE_SPACE


NO_WISHES = Wishes()
