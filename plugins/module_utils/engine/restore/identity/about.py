# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk whose ids or places change, and the other disks of the same image."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence

from ...disk.layout import DiskLayout
from ..resize.volume import Volume


class About(NamedTuple):
    """The disk that gets new ids, or whose partitions move."""

    disk: str
    target: str
    layout: DiskLayout
    volumes: Sequence[Volume]
    after: Dict[int, int]  # the start of each partition on the target, by number
    shrunk: Sequence[int]  # partitions that become smaller


class OtherDisk(NamedTuple):
    """Another disk of the image; ``unread`` says in words what of it is not in the image."""

    disk: str
    volumes: Sequence[Volume]
    unread: List[str]
