# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes a share of the older packs in each run, so that damage is found while the disk still holds what heals it."""

from __future__ import annotations

import contextlib
from itertools import chain, islice
from typing import List, MutableMapping

from ...errors import StorageFailed, StorageNotFound, StoragePermissionDenied
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.pack_names import PackSizes
from ..second_look import damage_of
from .restore_from_trash import restore_from_trash

RUNS_FOR_ALL = 30  # every pack is read once in about a month of daily images, if the budget allows
BUDGET_BYTES = 256 << 20


def scrub(
    directory: DeviceDirectory,
    present: MutableMapping[str, int],
    turn: int,
    budget_bytes: int = BUDGET_BYTES,
) -> List[str]:
    """Hash the packs whose turn it is; return those that are damaged, which are out of use then.

    :param present: name and size of every pack; a damaged one is removed from it.
    :param turn: the number of this run; the share moves on with it.
    """
    if not present or budget_bytes <= 0:
        return []
    share = -(-len(present) // RUNS_FOR_ALL)
    start = turn * share % len(present)
    names = present if isinstance(present, PackSizes) else sorted(present)  # those come in order
    damaged = []
    for name in list(islice(chain(names, names), start, start + share)):
        if present[name] > budget_bytes:
            break
        budget_bytes -= present[name]
        try:
            path = fmt.pack_path(directory.device, name)
            if not damage_of(directory.storage, path, name, most_bytes=present[name]):
                continue
            with contextlib.suppress(StoragePermissionDenied):  # who may not rename leaves it to the operator's verify
                directory.move_to_trash(name, None)
                if name in restore_from_trash(directory, {name}):
                    continue  # a whole copy was there
        except (StorageFailed, StorageNotFound):
            continue  # moved since it was listed, or not to be read now: a verify says so
        present.pop(name)
        damaged.append(name)
    return damaged
