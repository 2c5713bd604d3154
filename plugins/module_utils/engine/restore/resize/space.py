# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory where volumes are made smaller before the first byte goes to the target, and the space it needs."""

from __future__ import annotations

import os
from typing import List, NamedTuple, Optional, Sequence

from ...errors import RestoreScratchTooSmall
from ..place import why_not_on_disk
from .volume import Volume

_MORE_BYTES = 64 << 20  # metadata that the tool adds
_MORE_PART = 8


class Scratch(NamedTuple):
    """``needed_bytes`` at once: one volume after the other is copied there, less its free space."""

    directory: str
    needed_bytes: int
    free_bytes: int


def scratch_for(disk: str, target: str, is_device: bool, shrunk: Sequence[Volume], given: str) -> Optional[Scratch]:
    """Choose the directory, None where nothing is shrunk.

    :raises RestoreScratchTooSmall: when none has the room.
    """
    if not shrunk:
        return None
    # Every shrunk volume stays there until it is written.
    needed = sum(_needed(one) for one in shrunk)
    last = shrunk[-1].number
    found: List[Scratch] = []
    for directory in [given] if given else _usual(target, is_device):
        try:
            status = os.statvfs(directory)
        except OSError as error:
            if given:
                raise RestoreScratchTooSmall(
                    directory=given, partition=last, disk=disk, reason=error.strerror or str(error)
                ) from error
            continue
        found.append(Scratch(directory, needed, status.f_bavail * status.f_frsize))
    best = max(found, key=lambda one: one.free_bytes, default=None)
    if best is None or best.free_bytes < needed:
        where = best.directory if best is not None else "(none on a disk)"
        reason = "it needs %d bytes, and %d are free" % (needed, best.free_bytes if best is not None else 0)
        raise RestoreScratchTooSmall(directory=where, partition=last, disk=disk, reason=reason)
    return best


def _needed(one: Volume) -> int:
    used = one.used_bytes() or one.partition.length_bytes
    return min(one.partition.length_bytes, used + used // _MORE_PART) + _MORE_BYTES


def _usual(target: str, is_device: bool) -> List[str]:
    """Directories on disks: what is in memory is chosen by hand only."""
    places = [] if is_device else [os.path.dirname(os.path.abspath(target))]
    places += [os.environ.get("TMPDIR", ""), "/var/tmp", "/tmp"]
    return [one for one in places if one and os.path.isdir(one) and not why_not_on_disk(os.path.join(one, "x"))]
