# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens what a request images: the disks that imaging_drives chooses, each with the plan of what its image holds."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set

from ..device.choose import choose
from ..device.chosen import Chosen
from ..device.disk_hardware import hardware_of
from ..disk.layout import DiskLayout
from ..disk.layout_claims import settle, table_is_trusted
from ..disk.open import open_source
from ..disk.patterns import Pattern
from ..disk.sector_size import read_layout_of_device, read_layout_of_file
from ..disk.source import BlockSource, FileSource
from ..disk.tolerant import TolerantSource
from ..disk.trust import TABLE, Trust, trust_of, unknown_places
from ..disk.unclaimed import LOOK_BYTES
from ..disk.used import DiskPlan, plan_disk
from ..errors import DiskTooLarge, DriveUnknown
from ..host.mounts import swap_files, uses_of
from ..image.format import constants as fmt
from ..image.format.contents import DiskContents
from ..snapshot.contract import LIVE, DiskToFreeze, Freeze, FrozenDisk, weakest
from ..snapshot.open import open_freeze
from .contents import contents_of
from .request import ImageRequest

Pace = Callable[[BlockSource], BlockSource]
_ONLY_IN_THE_PLAN = ("in_use_bytes", "left_out_bytes", "reason", "trusted", "state", "mount_points")
_LOOK_SECONDS = 30  # what a look at bytes in no partition may take at the rate of the run


class OpenedDisk(NamedTuple):
    path: str
    source: TolerantSource
    layout: DiskLayout
    plan: DiskPlan
    stable_id: str
    how: str  # how still its volumes stand: a word of the manifest
    entries: List[str]  # of imaging_drives that chose it
    contents: DiskContents


class OpenedDisks:
    """The disks of a run with their volumes frozen, until :meth:`close`. ``warnings`` may grow when they are closed."""

    def __init__(self, request: ImageRequest, paced: Pace = lambda source: source) -> None:
        """:param paced: gives a source the pace that the run may read at."""
        self.disks: List[OpenedDisk] = []
        self.decrypted: List[str] = []  # volumes that are encrypted on the disk, and read in clear text
        self._freeze: Optional[Freeze] = None
        self._sources: List[FileSource] = []
        self._misplaced: List[str] = []
        trusts, rate = request.trust, request.limit_read_bytes
        look_bytes = min(LOOK_BYTES, int(rate * _LOOK_SECONDS)) if rate else LOOK_BYTES
        try:
            pairs = [
                (one, self._open(one, trust_of(trusts, number).of(0))) for number, one in enumerate(_chosen(request))
            ]
            disks = [disk for dummy, disk in pairs]
            self._freeze = open_freeze(disks, request.snapshot, request.run, check_mode=request.check)
            for number, (one, disk) in enumerate(pairs):
                planning = _Planning("disk%d" % number, request.exclude, trust_of(trusts, number), paced, look_bytes)
                frozen = self._freeze.frozen[disk.path]
                self.decrypted += frozen.decrypted
                self.disks.append(_plan(one, disk, frozen, planning))
            self._misplaced = unknown_places(trusts, [[one.number for one in disk.layout.partitions] for disk in disks])
        except BaseException:
            self.close()
            raise

    def _open(self, chosen: Chosen, trusted: str) -> DiskToFreeze:
        source = open_source(chosen.path)
        self._sources.append(source)
        if source.size_bytes > fmt.MAX_DISK_BYTES:
            raise DiskTooLarge(path=chosen.path, size_bytes=source.size_bytes, what="", most_bytes=fmt.MAX_DISK_BYTES)
        believed = table_is_trusted(trusted)
        read = read_layout_of_device if source.is_device else read_layout_of_file
        layout = read(source, table_is_trusted=believed)
        if source.is_device and not trusted and any(use.start_bytes for use in uses_of(chosen.path)):
            trusted = TABLE  # a partition of it is in use: the system itself says that the table is true
        layout = settle(source, layout, trusted)
        return DiskToFreeze(chosen.path, source, layout, _selected(chosen, layout))

    @property
    def how(self) -> str:
        """The word for all disks; one that no longer holds when they were read is replaced by a weaker one."""
        changed = [LIVE] if self._freeze is not None and self._freeze.changed_uses() else []
        return weakest([*(disk.how for disk in self.disks), *changed])

    @property
    def warnings(self) -> List[str]:
        return self._freeze.warnings if self._freeze else []

    @property
    def notes(self) -> List[str]:
        """Lines of the snapshots for the run's log."""
        return self._freeze.notes if self._freeze else []

    @property
    def remarks(self) -> List[str]:
        """Entries of imaging_trust that are about nothing here."""
        return ["imaging_trust lists %s, which is not part of this image." % name for name in self._misplaced]

    def late_warnings(self) -> List[str]:
        """Warnings that are known after reading: unreadable but unneeded parts, and volumes that did not stand still."""
        changed = self._freeze.changed_uses() if self._freeze is not None else []
        return [one for disk in self.disks for one in disk.source.warnings()] + [use.warning() for use in changed]

    def close(self) -> None:
        try:
            if self._freeze is not None:
                self._freeze.close()
        finally:
            while self._sources:
                self._sources.pop().close()


def _chosen(request: ImageRequest) -> List[Chosen]:
    return choose(request.drives, request.storage.folder)


def _selected(chosen: Chosen, layout: DiskLayout) -> Optional[Set[int]]:
    """The numbers of the partitions that were chosen, None for all."""
    if chosen.spans is None:
        return None
    found = {
        partition.number
        for partition in layout.partitions
        for start, end in chosen.spans
        if partition.role != "extended"
        and partition.start_bytes < end
        and start < partition.start_bytes + partition.length_bytes
    }
    if not found:
        reason = "it is not in a partition of %s" % chosen.path
        raise DriveUnknown(drive=", ".join(chosen.entries), reason=reason, disks=chosen.path)
    return found


class _Planning(NamedTuple):
    name: str
    patterns: List[Pattern]
    trust: Trust
    paced: Pace
    look_bytes: int


def _plan(chosen: Chosen, disk: DiskToFreeze, frozen: FrozenDisk, how: _Planning) -> OpenedDisk:
    planned = plan_disk(
        frozen.source,
        disk.layout,
        frozen.state_of,
        disk.selected,
        exclude=how.patterns,
        mount_points_of=frozen.mount_points_of,
        inside_of=frozen.inside_of,
        swap_files=swap_files(),
        trust=how.trust,
        name=how.name,
        paced=how.paced(frozen.source),
        look_bytes=how.look_bytes,
    )
    if planned.used.total_bytes > fmt.MAX_IN_USE_BYTES:
        in_use, most = planned.used.total_bytes, fmt.MAX_IN_USE_BYTES
        raise DiskTooLarge(path=disk.path, size_bytes=in_use, what=" in use", most_bytes=most)
    planned.warnings.extend(frozen.warnings)
    name = stable_id(disk.path, disk.layout)
    contents = contents_of(disk.path, disk.layout, planned.volumes)
    source = TolerantSource(frozen.source, planned.wanted)
    return OpenedDisk(disk.path, source, disk.layout, planned, name, frozen.how, list(chosen.entries), contents)


def stable_ids(opened: List[OpenedDisk]) -> Dict[str, List[str]]:
    """For each entry of imaging_drives the stable ids of the disks that it chose."""
    found: Dict[str, List[str]] = {}
    for disk in opened:
        for entry in disk.entries:
            found.setdefault(entry, []).append(disk.stable_id)
    return found


def not_chosen(opened: List[OpenedDisk]) -> List[Dict[str, Any]]:
    """The partitions of the imaged disks whose content is not in the image."""
    return [
        {"path": disk.path, "partition": volume.number, "size_bytes": volume.size_bytes}
        for disk in opened
        for volume in disk.plan.volumes
        if not volume.selected
    ]


def stable_id(path: str, layout: DiskLayout) -> str:
    """A stable name of the disk: its WWN or serial number, else its table's id, else its path."""
    return hardware_of(path).stable_id or layout.table_id or "path:%s" % path


def describe(number: int, disk: OpenedDisk) -> Dict[str, Any]:
    return {
        "name": "disk%d" % number,
        "stable_id": disk.stable_id,
        "layout": disk.layout.as_dict(),
        "volumes": [
            {key: value for key, value in volume.as_dict().items() if key not in _ONLY_IN_THE_PLAN}
            for volume in disk.plan.volumes
        ],
    }
