# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks before a run reads or freezes a disk: the storage works, the password fits, clocks and room.

All checks together cost a dozen small calls. The run itself checks again, and finds faults that are unknown here.
"""

from __future__ import annotations

import time
from typing import List, NamedTuple, Optional

from ...amounts import size
from ...entries import Space
from ...errors import EngineError, RunCancelled, StorageSpaceTooSmall, StorageUnreachable
from ...storage.check import StorageCheck, check_storage
from ...storage.contract import Storage
from ..access import Passwords, prove_passwords
from ..device_directory import DeviceDirectory
from ..format.keys import MasterKey
from ..format.manifest import Manifest

_PROBE_BYTES = 4096
_MOST_SKEW_SECONDS = 300
# A first image: system files compress to a third of their size, packed files not at all, zeros to almost no bytes. No
# disk with data was ever stored in less than a fiftieth.
_LIKELY_SHARE, _LEAST_SHARE = 2, 50
# A later one: a day's changes, seldom more than a twentieth of what the last image needs (docs/performance.md).
_CHANGED_SHARE = 20


class Preflight(NamedTuple):
    """The findings. ``newest`` is the device's newest image that can be read."""

    storage: str
    device: str
    check: StorageCheck
    newest: Optional[Manifest]
    was_interrupted: bool
    warnings: List[str]

    def check_room(self, in_use_bytes: int) -> List[str]:
        """Return a warning when an image of ``in_use_bytes`` may not fit; asks the storage nothing.

        :raises StorageSpaceTooSmall: when it surely does not fit.
        """
        return check_room(self.storage, self.device, self.newest, self.was_interrupted, self.check.space, in_use_bytes)


def likely_bytes(newest: Optional[Manifest], in_use_bytes: int, held_bytes: int = 0) -> int:
    """Return the likely size of the next image: of a first one half of what is in use; of a later one a twentieth of what
    the last one needs in packs, and half of what came into use since.

    :param held_bytes: what is in use in the fullest kept image, where that is known.
    """
    if newest is None:
        return in_use_bytes // _LIKELY_SHARE
    grown_bytes = max(0, in_use_bytes - max(newest.in_use_bytes, held_bytes))
    return newest.pack_bytes // _CHANGED_SHARE + grown_bytes // _LIKELY_SHARE


def check_room(
    storage: str,
    device: str,
    newest: Optional[Manifest],
    was_interrupted: bool,
    space: Optional[Space],
    in_use_bytes: int,
) -> List[str]:
    """Return a warning when an image of ``in_use_bytes`` may not fit into ``space``.

    An error is certain only for a first image, where less than a fiftieth of what is in use is free; not after an
    interrupted run, whose packs may hold nearly all of it.

    :raises StorageSpaceTooSmall: when it surely does not fit.
    """
    if space is None:
        return []
    needed_bytes = likely_bytes(newest, in_use_bytes)
    least_bytes = in_use_bytes // _LEAST_SHARE if newest is None else 0
    if space.free_bytes < least_bytes and not was_interrupted:
        raise StorageSpaceTooSmall(
            storage=storage, device=device, free=size(space.free_bytes), needed=size(least_bytes)
        )
    if space.free_bytes >= needed_bytes:
        return []
    return [
        "The storage %s has %s free, but this image may need about %s. Free space or lower imaging_keep."
        % (storage, size(space.free_bytes), size(needed_bytes))
    ]


def preflight(
    storage: Storage, device: str, passwords: Passwords, controller_seconds: Optional[float] = None
) -> Preflight:
    """Try with a file of our own what a run needs, prove the password, compare the clocks. Makes ``device``.

    :param controller_seconds: the controller's time when it started this run, where a controller did.
    :raises StorageError: what does not work. :raises KeyProblem: rule 6, before anything is read.
    """
    found = check_storage(storage, device, _PROBE_BYTES)
    directory = DeviceDirectory(storage, device)
    key = prove_passwords(directory, passwords)
    newest = newest_usable(directory, key)
    was_interrupted = newest is None and bool(directory.image_names() or directory.put_aside())
    warnings = clock_warnings(storage.description, found.clock_ahead_seconds, controller_seconds)
    return Preflight(storage.description, device, found, newest, was_interrupted, warnings)


def newest_usable(directory: DeviceDirectory, key: Optional[MasterKey]) -> Optional[Manifest]:
    """The manifest of the newest image, one of the key if there is any; ``None`` where none can be read now."""
    try:
        return (directory.newest(key) if key is not None else None) or directory.newest()
    except (StorageUnreachable, RunCancelled):
        raise
    except EngineError:
        return None  # the run itself reports images that can't be read


def clock_warnings(storage: str, ahead_seconds: Optional[float], controller_seconds: Optional[float]) -> List[str]:
    """Say where clocks differ by more than five minutes: order does not suffer, but names and logs mislead."""
    warnings = []
    if ahead_seconds is not None and abs(ahead_seconds) > _MOST_SKEW_SECONDS:
        warnings.append(_skew("the storage %s" % storage, ahead_seconds))
    if controller_seconds is not None:
        ahead_seconds = controller_seconds - time.time()
        if abs(ahead_seconds) > _MOST_SKEW_SECONDS:
            warnings.append(_skew("the controller", ahead_seconds))
    return warnings


def _skew(whose: str, ahead_seconds: float) -> str:
    minutes = abs(ahead_seconds) / 60
    amount = "%d minutes" % minutes if minutes < 120 else "%d hours" % (minutes / 60)
    if minutes >= 48 * 60:
        amount = "%d days" % (minutes / 60 / 24)
    side = "behind" if ahead_seconds > 0 else "ahead of"
    return "This machine's clock is %s %s that of %s; the order of the images is not affected." % (amount, side, whose)
