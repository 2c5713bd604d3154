# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes a share of the older packs in each run, so that damage is found while the disk still holds what heals it."""

from __future__ import annotations

import contextlib
from itertools import chain, islice
from typing import Dict, List, MutableMapping, Set

from ...errors import StorageFailed, StorageNotFound, StoragePermissionDenied
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.pack_names import PackSizes
from ..second_look import damage_of
from .restore_from_trash import restore_from_trash
from .sweep_time import SweepTime

RUNS_FOR_ALL = 30  # every pack is read once in about a month of daily images, if the budget allows
BUDGET_BYTES = 256 << 20
LONGEST_SECONDS = 60.0  # a crowd of small foreign packs takes no budget, but a call each; 256 packs are always read


def scrub(
    directory: DeviceDirectory,
    present: MutableMapping[str, int],
    turn: int,
    budget_bytes: int = BUDGET_BYTES,
) -> List[str]:
    """Hash the packs whose turn it is; return those that are damaged, which are out of use then.

    The copies in the trash are listed once for all damaged packs: a listing for each would take hours in a crowd of them.

    :param present: name and size of every pack; a damaged one is removed from it.
    :param turn: the number of this run; the share moves on with it.
    """
    if not present or budget_bytes <= 0:
        return []
    share = -(-len(present) // RUNS_FOR_ALL)
    start = turn * share % len(present)
    names = present if isinstance(present, PackSizes) else sorted(present)  # those come in order
    time_left = SweepTime(longest_seconds=LONGEST_SECONDS)
    damaged: Dict[str, int] = {}
    moved: Set[str] = set()
    for name in list(islice(chain(names, names), start, start + share)):
        if present[name] > budget_bytes or not time_left.allows_next():
            break
        budget_bytes -= present[name]
        try:
            path = fmt.pack_path(directory.device, name)
            if not damage_of(directory.storage, path, name, most_bytes=present[name]):
                continue
            with contextlib.suppress(StoragePermissionDenied):  # who may not rename leaves it to the operator's verify
                directory.move_to_trash(name, None)
                moved.add(name)
        except (StorageFailed, StorageNotFound):
            continue  # moved since it was listed, or not to be read now: a verify says so
        damaged[name] = present.pop(name)
    with contextlib.suppress(StorageFailed, StorageNotFound):  # the run sends their chunks again
        for name in restore_from_trash(directory, moved):  # an intact copy was there
            present[name] = damaged.pop(name)
    return list(damaged)
