# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider that freezes by LVM, and says how volumes are to be read.

An unmounted or read-only volume is read as it is. A logical volume in use is read from a snapshot, a small EFI partition from
memory. For all else in use ``imaging_snapshot`` decides, before anything is made.
"""

from __future__ import annotations

import os
import re
import secrets
from typing import Dict, List, Optional, Sequence, Tuple

from ...disk.filesystems.contract import VolumeState
from ...disk.overlay import OverlaySource
from ...disk.source import BlockSource, FileSource
from ...disk.used import InnerVolume, Inside
from ...errors import SnapshotFailed
from ..contract import DiskToFreeze, Freeze, FrozenDisk, refuse_live, weakest
from ..decisions import Decisions, Part
from ..stable import write_out
from . import snapshots as lvm
from .map import pieces_of
from .report import LogicalVolume, Report, find_tool, read_report

_RUN = re.compile(r"[a-z0-9-]{1,64}")


class LvmFreeze(Freeze):
    """The volumes of ``disks`` at one moment, until :meth:`close`. ``frozen`` has a disk's answer by its path.

    :raises VolumeMounted: ``required`` and a volume in use that can't be frozen; nothing was made then.
    :raises SnapshotFailed: a snapshot could not be made; those made before are removed again.
    """

    def __init__(self, disks: Sequence[DiskToFreeze], setting: str, run: str = "", *, check_mode: bool = False) -> None:
        """``check_mode``: decide everything, create and remove nothing; what would be frozen is then ``FORETOLD``."""
        super().__init__()
        self._setting = setting
        self._check_mode = check_mode
        self._run = run if _RUN.fullmatch(run) else secrets.token_hex(4)
        self._snapshots: List[lvm.Snapshot] = []
        self._sources: List[FileSource] = []
        self._lock = -1
        try:
            self._freeze(disks)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give everything free; what can't be removed stays as a warning, and the next run removes it."""
        while self._sources:
            self._sources.pop().close()
        while self._snapshots:
            self._remove(self._snapshots.pop().full_name)
        if self._lock >= 0:
            lvm.unlock_snapshots(self._lock)
            self._lock = -1

    # -- volumes and snapshots that exist ------------------------------------------------------------------------------

    def _freeze(self, disks: Sequence[DiskToFreeze]) -> None:
        report = self._report(disks)
        plans = [Decisions(disk, report, self._setting) for disk in disks]
        shares = self._shares(report, plans)
        refuse_live([use for plan in plans for use in plan.live], self._setting)
        is_made = bool(shares) and not self._check_mode
        metadata = {plan.disk.path: plan.metadata() for plan in plans} if is_made else {}
        made = self._make(report, shares) if is_made else {}
        if shares and self._check_mode:
            self._foretell(plans, shares)
        for plan in plans:
            self.frozen[plan.disk.path] = self._compose(plan, made, metadata.get(plan.disk.path, []))

    @staticmethod
    def _foretell(plans: Sequence[Decisions], shares: Dict[str, int]) -> None:
        """The run will read these volumes from snapshots: what is in use on them now is a good estimate."""
        for plan in plans:
            for volume in plan.wanted:
                if volume.full_name in shares:
                    plan.inner_states[volume.full_name] = VolumeState.FORETOLD
                    if plan.point_of(volume).startswith("/"):
                        write_out(plan.point_of(volume))

    def _report(self, disks: Sequence[DiskToFreeze]) -> Report:
        nothing = Report([], {}, [])
        if not any(disk.source.is_device for disk in disks) or not find_tool() or os.geteuid():
            return nothing
        report = read_report()
        if not report.physical:
            return nothing
        left = lvm.stale_snapshots(report)
        if self._check_mode:
            return report._replace(logical=[one for one in report.logical if one not in left])
        self._lock = lvm.lock_snapshots()
        for one in left:
            self._remove(one.full_name)
        return read_report() if left else report

    def _remove(self, full_name: str) -> None:
        reason = lvm.remove(full_name)
        if reason:
            self.warnings.append("Removing the snapshot %s failed: %s. The next run retries." % (full_name, reason))

    # -- snapshots ----------------------------------------------------------------------------------------------------

    def _shares(self, report: Report, plans: Sequence[Decisions]) -> Dict[str, int]:
        """The extents for the snapshot of each volume in use, by its full name; those without room become live."""
        wanted = {one.full_name: one for plan in plans for one in plan.wanted}
        shares: Dict[str, int] = {}
        for group in report.groups.values():
            volumes = [one for one in wanted.values() if one.group == group.name]
            found, reason = lvm.share_room(group, volumes)
            for volume in volumes:
                if reason:
                    for plan in plans:
                        plan.give_up(volume, reason)
                else:
                    shares[volume.full_name] = found[volume.name]
        return shares

    def _make(self, report: Report, shares: Dict[str, int]) -> Dict[str, lvm.SnapshotSource]:
        """Make the snapshots one right after the other, then check that their places are those that were read before."""
        volumes = [one for one in report.logical if one.full_name in shares]
        for number, volume in enumerate(volumes):
            name = "plantops_%s_%d" % (self._run, number)
            group = report.groups[volume.group]
            # On the list before it is there: a run that is interrupted in this call still removes it.
            self._snapshots.append(lvm.Snapshot(group.name, name, volume.name, 0))
            self._snapshots[-1] = lvm.make(group, volume, shares[volume.full_name], name)
        after = read_report()
        lvm.check_unchanged(report, after, sorted({volume.group for volume in volumes}))
        found: Dict[str, lvm.SnapshotSource] = {}
        for snapshot in self._snapshots:
            paths = [one.path for one in after.logical if one.full_name == snapshot.full_name and one.path]
            if not paths:
                raise SnapshotFailed(volume=snapshot.origin, reason="its snapshot %s is missing" % snapshot.full_name)
            source = lvm.SnapshotSource(paths[0], snapshot)
            self._sources.append(source)
            found["%s/%s" % (snapshot.group, snapshot.origin)] = source
        return found

    # -- what is read -------------------------------------------------------------------------------------------------

    def _compose(self, plan: Decisions, made: Dict[str, lvm.SnapshotSource], held: List[Part]) -> FrozenDisk:
        if plan.itself is not None:
            return _of_volume(plan, plan.itself, made.get(plan.itself.full_name))
        parts = [*plan.stable, *held]
        inner: Dict[int, List[InnerVolume]] = {}
        for volume in plan.mapped:
            source: BlockSource
            if volume.full_name in made:
                source, state = made[volume.full_name], VolumeState.FROZEN
            else:
                source, state = self._open(volume.path), plan.inner_states[volume.full_name]
            pieces = pieces_of(volume, plan.places)
            parts += [(piece, source) for piece in pieces]
            points = [use.mount_point for use in plan.inner_uses(volume) if use.mount_point.startswith("/")]
            number = plan.partition_of(pieces[0])
            inner.setdefault(number, []).append(InnerVolume(volume.full_name, source, state, points, pieces))
        inside = {place.partition.number: Inside("LVM", plan.held(place), ()) for place in plan.places}
        for number, volumes in inner.items():
            inside[number] = inside[number]._replace(volumes=volumes)
        return FrozenDisk(
            OverlaySource(plan.disk.source, parts) if parts else plan.disk.source,
            weakest(plan.hows),
            lambda partition: plan.states.get(partition.number, VolumeState.OFFLINE),
            lambda partition: inside.get(partition.number),
            plan.mount_points,
            [use.warning() for use in plan.live],
        )

    def _open(self, path: str) -> FileSource:
        source = FileSource(path)
        self._sources.append(source)
        return source


def remove_stale_snapshots() -> Tuple[List[str], List[str]]:
    """Remove the snapshots that killed runs of this machine left; return their names, and why others stay.

    If a running run has snapshots, this does nothing: that run removed the others when it began.
    """
    if not find_tool() or os.geteuid() or not lvm.stale_snapshots(read_report()):
        return [], []
    try:
        lock = lvm.lock_snapshots(tries=1)
    except SnapshotFailed:
        return [], []
    try:
        names = [one.full_name for one in lvm.stale_snapshots(read_report())]
        reasons = {name: lvm.remove(name) for name in names}
    finally:
        lvm.unlock_snapshots(lock)
    stays = ["Removing the snapshot %s failed: %s." % (name, reason) for name, reason in reasons.items() if reason]
    return [name for name, reason in reasons.items() if not reason], stays


def _of_volume(plan: Decisions, volume: LogicalVolume, snapshot: Optional[BlockSource]) -> FrozenDisk:
    """The answer for a logical volume that is imaged as if it were a disk."""
    state = VolumeState.FROZEN if snapshot else plan.inner_states.get(volume.full_name, VolumeState.OFFLINE)
    points = [use.mount_point for use in plan.inner_uses(volume) if use.mount_point.startswith("/")]
    return FrozenDisk(
        snapshot or plan.disk.source,
        weakest(plan.hows),
        lambda partition: state,
        lambda partition: None,
        lambda partition: points,
        [use.warning() for use in plan.live],
    )
