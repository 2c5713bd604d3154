# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which provider freezes the volumes of this machine. Callers know the contract alone."""

from __future__ import annotations

import sys
from typing import List, Sequence, Tuple

from .contract import DiskToFreeze, Freeze
from .lvm import freeze as lvm


def open_freeze(disks: Sequence[DiskToFreeze], setting: str, run: str = "", *, check_mode: bool = False) -> Freeze:
    """Freeze the volumes of ``disks`` as ``imaging_snapshot`` wants it; what no provider freezes is read as it stands.

    :param run: what the snapshots are named by, so that a later run knows them.
    :param check_mode: decide everything, create and remove nothing; what would be frozen is then ``FORETOLD``.
    :raises VolumeMounted: ``required`` and a volume in use that can't be frozen; nothing was made then.
    :raises SnapshotFailed: :raises ShadowCopyFailed: a snapshot could not be made; those made before are removed again.
    """
    if sys.platform == "win32":
        from .vss.freeze import VssFreeze

        return VssFreeze(disks, setting, check_mode=check_mode)
    return lvm.LvmFreeze(disks, setting, run, check_mode=check_mode)


def remove_stale_snapshots() -> Tuple[List[str], List[str]]:
    """Remove the snapshots that killed runs of this machine left; return their names, and why others stay."""
    if sys.platform == "win32":
        from .vss.stale import remove_stale_shadow_copies

        return remove_stale_shadow_copies()
    return lvm.remove_stale_snapshots()
