# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider that freezes by shadow copies, and says how the partitions of a disk are to be read.

A partition without a volume of Windows is read as it is. EFI and recovery partitions, and volumes that the service does not
support, are read until they stand still. All other volumes are frozen in one set. For what is left ``imaging_snapshot`` decides,
before anything is made where that can be known.
"""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Sequence, Tuple

from ...disk.filesystems.contract import VolumeState
from ...disk.layout import Partition
from ...disk.overlay import OverlaySource, linear
from ...disk.source import BlockSource
from ...errors import ShadowCopyFailed
from ...host.windows_names import NameKind, kind_of_name
from ..contract import (
    LIVE,
    OFFLINE,
    STABLE,
    VSS,
    DiskToFreeze,
    Freeze,
    FrozenDisk,
    LiveUse,
    is_imaged,
    partition_name,
    refuse_live,
    weakest,
)
from .codes import words_of
from .copies import ShadowCopies
from .crash_copies import CopyRefused, CrashCopies
from .filtered import FilteredVolumes
from .foreign import Foreign
from .interface import CONTEXT_BACKUP, Components, Refused
from .shadow_set import ShadowSet, VolumeRefused
from .source import ShadowSource
from .stale import remove_stale_shadow_copies
from .still import StillSource, stand_still
from .volumes import KnownVolumes, PlacedVolume

_NEVER_FROZEN = frozenset(["efi", "recovery", "microsoft-reserved", "bios-boot", "dynamic-database"])
_OTHER_ARCHITECTURE = "the agent is a 32-bit program on a 64-bit Windows: install its bundle windows-amd64"
_WRITTEN = "it was written to while it was read, and Windows makes no shadow copies of it"
_DECRYPTED = "%s is encrypted by BitLocker; the image holds it decrypted, and so does a disk that it is restored to."
_WITHOUT_WRITERS = (
    "The shadow copies were made without the writers of programs, because %s failed: %s. Their data is in the image as after a "
    "loss of power."
)
_Part = Tuple[Partition, BlockSource]


class _Plan:
    """The decisions for one disk. ``wanted``: the volume for each partition that needs a shadow copy."""

    def __init__(self, disk: DiskToFreeze) -> None:
        self.disk = disk
        self.hows: List[str] = []
        self.live: List[LiveUse] = []
        self.states: Dict[int, VolumeState] = {}
        self.points: Dict[int, Tuple[str, ...]] = {}
        self.parts: List[_Part] = []
        self.wanted: List[Tuple[Partition, PlacedVolume]] = []
        self.still: List[Tuple[Partition, PlacedVolume, str]] = []
        self.decrypted: List[str] = []
        self.volumes: List[PlacedVolume] = []
        self.filter_warnings: List[str] = []

    def name_of(self, partition: Partition) -> str:
        points = self.points.get(partition.number)
        return partition_name(self.disk, partition) + (" (%s)" % ", ".join(points) if points else "")

    def give_up(self, partition: Partition, volume: PlacedVolume, reason: str) -> None:
        if kind_of_name(self.disk.path) is NameKind.VOLUME:
            self.note_encryption(partition, volume)  # a volume that is read in place of its disk
        self.hows.append(LIVE)
        self.states[partition.number] = VolumeState.LIVE
        self.live.append(self.use_of(partition, volume, reason))

    def use_of(self, partition: Partition, volume: PlacedVolume, reason: str) -> LiveUse:
        return LiveUse(self.name_of(partition), ", ".join(volume.points) or volume.name, reason)

    def note_encryption(self, partition: Partition, volume: PlacedVolume) -> None:
        """Windows decrypts what it hands out of a volume of BitLocker."""
        if volume.is_encrypted:
            self.decrypted.append(self.name_of(partition))

    def take(self, partition: Partition, source: BlockSource, how: str) -> None:
        self.hows.append(how)
        self.states[partition.number] = VolumeState.FROZEN
        self.parts.append((partition, source))


class VssFreeze(Freeze):
    """The volumes of ``disks`` at one moment, until :meth:`close`.

    :raises VolumeMounted: ``required`` and a volume in use that can't be frozen.
    :raises ShadowCopyFailed: ``required`` and the service made none; nothing is left then.
    """

    def __init__(self, disks: Sequence[DiskToFreeze], setting: str, *, check_mode: bool = False) -> None:
        super().__init__()
        self._setting = setting
        self._set: Optional[ShadowCopies] = None
        self._also = ""  # how the way without writers failed
        self._foreign: Optional[Foreign] = None
        self._known: Optional[KnownVolumes] = None
        self._sources: List[ShadowSource] = []
        self._still: List[Tuple[StillSource, LiveUse]] = []
        try:
            self._freeze(disks, check_mode)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        while self._sources:
            self._sources.pop().close()
        if self._set is not None:
            made, self._set = self._set, None
            self.warnings += made.close()
        if self._foreign is not None:
            foreign, self._foreign = self._foreign, None
            self.warnings += foreign.gone()

    def changed_uses(self) -> List[LiveUse]:
        return [use for source, use in self._still if source.has_changed]

    def _freeze(self, disks: Sequence[DiskToFreeze], check_mode: bool) -> None:
        plans = [_Plan(disk) for disk in disks]
        for plan in plans:
            if plan.disk.source.is_device:
                self._decide(plan)
        filtered = FilteredVolumes(
            {volume.name: volume.points for plan in plans for volume in plan.volumes}, creates=not check_mode
        )
        try:
            if check_mode:
                self._foretell(plans)
            else:
                self._freeze_now(plans)
            self._warn_of_filters(plans, filtered, check_mode)
        finally:
            filtered.close()
        refuse_live(_live(plans), self._setting)
        for plan in plans:
            self.frozen[plan.disk.path] = _compose(plan)

    def _freeze_now(self, plans: Sequence[_Plan]) -> None:
        if any(plan.wanted for plan in plans):
            self.warnings += remove_stale_shadow_copies()[1]
        self._drop_unsupported(plans)
        self._hold_still(plans)
        refuse_live(_live(plans), self._setting)
        self._make(plans)

    def _warn_of_filters(self, plans: Sequence[_Plan], filtered: FilteredVolumes, check_mode: bool) -> None:
        shadows = self._set.shadows if self._set is not None else {}
        for plan in plans:
            for volume in plan.volumes:
                shadow = shadows.get(volume.name)
                device = None if check_mode else shadow.device if shadow else ""
                plan.filter_warnings += filtered.warnings(volume.name, device)

    # -- before anything is made --------------------------------------------------------------------------------------

    def _decide(self, plan: _Plan) -> None:
        imaged = [one for one in plan.disk.layout.partitions if is_imaged(plan.disk, one)]
        try:
            known = self._known = self._known or KnownVolumes()
            placed = [(partition, known.on(plan.disk, partition)) for partition in imaged]
        except (OSError, ValueError) as error:
            reason = "Windows does not tell which volumes are on it: %s" % (getattr(error, "strerror", "") or error)
            for partition in imaged:
                plan.give_up(partition, PlacedVolume("Windows", (), ""), reason)
            return
        for partition, volume in placed:
            self._decide_one(plan, partition, volume, known.unknown)

    def _decide_one(
        self, plan: _Plan, partition: Partition, volume: Optional[PlacedVolume], unknown: Sequence[str]
    ) -> None:
        if volume is None:
            if unknown:
                reason = "Windows does not tell where the volume %s is" % unknown[0]
                plan.give_up(partition, PlacedVolume("Windows", (), ""), reason)
            else:
                plan.hows.append(OFFLINE)
            return
        plan.points[partition.number] = volume.points
        plan.volumes.append(volume)
        if self._setting == "none":
            plan.give_up(partition, volume, "imaging_snapshot is none")
        elif partition.role in _NEVER_FROZEN:
            plan.still.append((partition, volume, "it is being written to, or holds too much"))
        elif volume.why_not:
            plan.give_up(partition, volume, volume.why_not)
        else:
            plan.wanted.append((partition, volume))

    @staticmethod
    def _foretell(plans: Sequence[_Plan]) -> None:
        """The run will read these partitions frozen: what is in use on them now is a good estimate."""
        for plan in plans:
            for partition, volume in plan.wanted:
                plan.note_encryption(partition, volume)
                plan.hows.append(VSS)
                plan.states[partition.number] = VolumeState.FORETOLD
            for partition, dummy, dummy_reason in plan.still:
                plan.hows.append(STABLE)
                plan.states[partition.number] = VolumeState.FORETOLD

    def _drop_unsupported(self, plans: Sequence[_Plan]) -> None:
        """Ask of each volume whether the service supports it; one that it does not may still stand still."""
        if not any(plan.wanted for plan in plans):
            return
        if os.environ.get("PROCESSOR_ARCHITEW6432"):
            names = [plan.name_of(partition) for plan in plans for partition, dummy in plan.wanted]
            raise ShadowCopyFailed(
                volume=" and ".join(names), step="CreateVssBackupComponents", reason=_OTHER_ARCHITECTURE
            )
        components: Optional[Components] = None
        try:
            components = Components()
            components.begin(CONTEXT_BACKUP)
            for plan in plans:
                for pair in list(plan.wanted):
                    if not components.is_supported(pair[1].name):
                        plan.wanted.remove(pair)
                        reason = "Windows makes no shadow copies of it, and it is being written to or holds too much"
                        plan.still.append((*pair, reason))
        except Refused:
            return  # the set fails at the same call; there another way is tried, or the failure is reported
        finally:
            if components is not None:
                components.release()

    def _hold_still(self, plans: Sequence[_Plan]) -> None:
        for plan in plans:
            for partition, volume, reason in plan.still:
                name, accepts = plan.name_of(partition), self._setting != "required"
                held = stand_still(plan.disk.source, partition, name, accepts_changes=accepts)
                if held is None:
                    plan.give_up(partition, volume, reason)
                else:
                    plan.take(partition, held, STABLE)
                    self._still.append((held, plan.use_of(partition, volume, _WRITTEN)))

    # -- shadow copies -------------------------------------------------------------------------------------------------

    def _make(self, plans: Sequence[_Plan]) -> None:
        """Freeze all wanted volumes in one set; one that the service refuses does not cost the others."""
        self._foreign = Foreign() if any(plan.wanted for plan in plans) else None
        while any(plan.wanted for plan in plans):
            volumes = _names(plans)
            try:
                made: ShadowCopies = _set_of(volumes)
                self._set = made
                break
            except VolumeRefused as error:
                self._lose(plans, error.volume, error.cause)
            except Refused as error:
                without = self._without_writers(plans, volumes, error)
                if without is not None:
                    made = self._set = without
                    break
                self._blame(plans, error)
        else:
            return
        if self._foreign is not None:
            self.notes += self._foreign.notes
        self.warnings += made.remarks
        for plan in plans:
            for partition, volume in plan.wanted:
                source = ShadowSource(made.shadows[volume.name], made, plan.name_of(partition))
                self._sources.append(source)
                plan.note_encryption(partition, volume)
                plan.take(partition, source, made.how)

    def _without_writers(
        self, plans: Sequence[_Plan], volumes: Sequence[str], error: Refused
    ) -> Optional[ShadowCopies]:
        """Where the requester of a backup fails as a whole, Windows may still make shadow copies without its writers."""
        try:
            made = CrashCopies(volumes)
        except CopyRefused as refused:
            whose = _whose(plans, refused.volume)
            self._also = "; without the writers of programs, a shadow copy of %s failed, too: %s" % (
                whose,
                refused.reason,
            )
            return None
        made.remarks.insert(0, _WITHOUT_WRITERS % (error.step, words_of(error.code)))
        return made

    def _blame(self, plans: Sequence[_Plan], error: Refused) -> None:
        """A set failed as a whole: find the volumes that fail alone, so that the others can be frozen without them."""
        names = _names(plans)
        if self._setting == "required" or len(names) == 1:
            self._fail(plans, error)
            return
        lost = 0
        for name in names:
            try:
                self.warnings += _set_of([name]).close()
            except VolumeRefused as refused:
                self._lose(plans, name, refused.cause)
                lost += 1
            except Refused as refused:
                self._lose(plans, name, refused)
                lost += 1
        if not lost:
            self._fail(plans, error)  # each alone succeeds, but all together do not

    def _lose(self, plans: Sequence[_Plan], name: str, error: Refused) -> None:
        """Read a volume live that the service refuses, where the setting allows it."""
        if self._setting == "required":
            self._raise(plans, name, error)
        for plan in plans:
            for pair in [one for one in plan.wanted if one[1].name == name]:
                plan.wanted.remove(pair)
                plan.give_up(*pair, "%s failed, because %s%s" % (error.step, words_of(error.code), self._also))

    def _fail(self, plans: Sequence[_Plan], error: Refused) -> None:
        """The service refuses all volumes."""
        for name in _names(plans):
            self._lose(plans, name, error)

    def _raise(self, plans: Sequence[_Plan], name: str, error: Refused) -> None:
        reason = words_of(error.code) + self._also
        raise ShadowCopyFailed(volume=_whose(plans, name), step=error.step, reason=reason) from error


def _names(plans: Sequence[_Plan]) -> List[str]:
    """The volumes that need a shadow copy, each once: two disks may hold parts of one."""
    return list(dict.fromkeys(volume.name for plan in plans for dummy, volume in plan.wanted))


def _whose(plans: Sequence[_Plan], name: str) -> str:
    """The partitions that a volume is on."""
    return " and ".join(plan.name_of(partition) for plan in plans for partition, one in plan.wanted if one.name == name)


def _set_of(volumes: Sequence[str]) -> ShadowSet:
    """Make a set. :raises VolumeRefused: :raises Refused: :raises ShadowCopyFailed: its record can't be written."""
    try:
        return ShadowSet(volumes)
    except OSError as error:
        step, reason = "the record of shadow copies", error.strerror or str(error)
        raise ShadowCopyFailed(volume=", ".join(volumes), step=step, reason=reason) from error


def _live(plans: Sequence[_Plan]) -> List[LiveUse]:
    return [use for plan in plans for use in plan.live]


def _compose(plan: _Plan) -> FrozenDisk:
    parts = [
        (linear(partition.start_bytes, min(partition.length_bytes, source.size_bytes)), source)
        for partition, source in plan.parts
    ]
    return FrozenDisk(
        OverlaySource(plan.disk.source, parts) if parts else plan.disk.source,
        weakest(plan.hows),
        lambda partition: plan.states.get(partition.number, VolumeState.OFFLINE),
        lambda dummy_partition: None,
        lambda partition: list(plan.points.get(partition.number, ())),
        [use.warning() for use in plan.live] + [_DECRYPTED % name for name in plan.decrypted] + plan.filter_warnings,
        tuple(plan.decrypted),
    )
