# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of a device's trash, and when a rollover deletes it for good."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterable, NamedTuple, Optional

from ...errors import EngineError
from ...moments import moment
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..pack_listing import TrashEntry
from .trash_age import TRASH_SECONDS

_LAST_SECONDS = 253402300799  # the end of the year 9999


class TrashState(NamedTuple):
    """The packs that no image needs any more, and damaged ones. Damaged packs that an image needs stay as long as it does."""

    packs: int
    size_bytes: int
    due_bytes: int  # old enough for the next rollover
    next_due_seconds: Optional[int]  # from when more of it is
    last_due_seconds: Optional[int]  # from when all of it is, but for damaged packs
    needs_image: bool  # part of it also waits for an image that is made after it left

    def as_dict(self) -> Dict[str, Any]:
        """The field ``trash`` of a result."""
        return {
            "packs": self.packs,
            "bytes": self.size_bytes,
            "due_bytes": self.due_bytes,
            "next_due": _moment(self.next_due_seconds),
            "last_due": _moment(self.last_due_seconds),
            "needs_image": self.needs_image,
        }


def trash_state(entries: Iterable[TrashEntry], newest: int, now_seconds: int) -> TrashState:
    """:param newest: the number of the newest image; what left the packs since has seen no successful run."""
    packs = size_bytes = due_bytes = 0
    coming = []
    needs_image = False
    for entry in entries:
        packs += 1
        size_bytes += entry.size_bytes
        if entry.sequence is None:
            continue  # a damaged pack goes when no image needs it any more, which may be never: nothing is promised
        due_seconds = entry.since_seconds + TRASH_SECONDS
        waits = entry.sequence >= newest
        needs_image = needs_image or waits
        if due_seconds > now_seconds:
            coming.append(due_seconds)
        elif not waits:
            due_bytes += entry.size_bytes
    return TrashState(packs, size_bytes, due_bytes, min(coming, default=None), max(coming, default=None), needs_image)


def look_into_trash(directory: DeviceDirectory) -> Optional[TrashState]:
    """Look at the trash as it is now: a listing, and the newest manifest; ``None`` where the storage does not answer."""
    try:
        entries = directory.trash()
        newest = directory.newest() if entries else None
    except EngineError:
        return None  # the caller reports something else, which matters more
    return trash_state(entries, newest.sequence if newest else fmt.MAX_SEQUENCE, int(time.time()))


def _moment(seconds: Optional[int]) -> Optional[str]:
    return None if seconds is None else moment(min(seconds, _LAST_SECONDS))
