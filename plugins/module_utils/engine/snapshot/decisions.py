# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides for each volume of a disk how it is read: as it is, from a snapshot, from memory, or live."""

from __future__ import annotations

from typing import Dict, List, Optional, Set, Tuple

from ..disk.extents import ExtentSet
from ..disk.filesystems.contract import VolumeState
from ..disk.layout import Partition
from ..disk.overlay import OverlayPiece, linear
from ..disk.signatures import LVM_KIND, recognise
from ..disk.source import BlockSource, MemorySource, WindowSource
from ..host.mounts import Use, uses_of
from ..host.stack import BlockTree
from .contract import LIVE, LVM, OFFLINE, STABLE, DiskToFreeze, LiveUse, is_imaged, partition_name
from .lvm.map import LvmPlace, find_places, pieces_of, why_not_mapped
from .lvm.report import LogicalVolume, Report
from .stable import read_stable

Part = Tuple[OverlayPiece, BlockSource]


class Decisions:
    """The decisions for each volume of one disk. ``wanted`` are those that need a snapshot."""

    def __init__(self, disk: DiskToFreeze, report: Report, setting: str) -> None:
        self.disk = disk
        self.setting = setting
        self.places: List[LvmPlace] = []
        if disk.source.is_device:
            imaged = [partition for partition in disk.layout.partitions if is_imaged(disk, partition)]
            self.places = find_places(report, disk.path, imaged, BlockTree())
        self.live: List[LiveUse] = []
        self.hows: List[str] = []
        self.stable: List[Part] = []
        self.states: Dict[int, VolumeState] = {}
        self.mapped: List[LogicalVolume] = []
        self.wanted: List[LogicalVolume] = []
        self.inner_states: Dict[str, VolumeState] = {}
        self._points: Dict[str, str] = {}
        self._uses = uses_of(disk.path)
        tree = BlockTree()
        self._names = {one.path: tree.by_path(one.path) for one in report.logical if one.path}
        self.itself = self._volume_itself(report, tree)
        if self.itself is not None:
            self._decide_inner(report, self.itself)
            return
        uuids = {one.uuid for one in report.logical}
        for partition in disk.layout.partitions:
            if not is_imaged(disk, partition):
                continue
            uses = self._uses_of(partition)
            if any(place.partition == partition for place in self.places):
                uses = [use for use in uses if not _is_part_of(tree, use, uuids)]
            self._decide(partition, uses)
        for volume in report.logical:
            if pieces_of(volume, self.places):
                self._decide_inner(report, volume)

    def _volume_itself(self, report: Report, tree: BlockTree) -> Optional[LogicalVolume]:
        """The logical volume that was named to be imaged in place of a disk, None for a disk."""
        name = tree.by_path(self.disk.path) if self.disk.source.is_device else ""
        return next((one for one in report.logical if name and self._names.get(one.path) == name), None)

    def _uses_of(self, partition: Partition) -> List[Use]:
        return [use for use in self._overlapping(partition) if not use.read_only]

    def _overlapping(self, partition: Partition) -> List[Use]:
        end = partition.start_bytes + partition.length_bytes
        return [use for use in self._uses if use.start_bytes < end and use.end_bytes > partition.start_bytes]

    def _decide(self, partition: Partition, uses: List[Use]) -> None:
        if not uses:
            self.hows.append(OFFLINE)
            return
        self.states[partition.number] = VolumeState.LIVE
        if all(use.mount_point == "swap" for use in uses):
            return  # of swap space only the header is imaged, which never changes
        point = uses[0].mount_point
        is_of_the_system = partition.role == "efi" or point in ("/boot", "/efi") or point.startswith("/boot/")
        if is_of_the_system and self.setting != "none" and point.startswith("/"):
            held = read_stable(self.disk.source, partition, point)
            if held is not None:
                self.states[partition.number] = VolumeState.FROZEN
                self.hows.append(STABLE)
                self.stable += held
                return
            reason = "it is being written to, or is too large to be kept in memory"
        elif point.startswith("/"):
            reason = "it is not on a logical volume"
        else:
            reason = "its content can't be frozen on this device"
            window = WindowSource(self.disk.source, partition.start_bytes, partition.length_bytes)
            if recognise(window) == LVM_KIND and not any(place.partition == partition for place in self.places):
                reason = "it is an LVM volume, but the tools (lvm2) are missing on this device or do not list it"
        self._live(partition_name(self.disk, partition), point, reason)

    def _decide_inner(self, report: Report, volume: LogicalVolume) -> None:
        uses = self.inner_uses(volume)
        reason = why_not_mapped(report, volume)
        if not volume.is_active:
            self.hows.append(OFFLINE)
            return
        if not reason:
            self.mapped.append(volume)
            self.inner_states[volume.full_name] = VolumeState.OFFLINE
        if not (volume.is_open or uses) or (uses and all(use.read_only for use in uses)):
            self.hows.append(OFFLINE)
            return
        self._points[volume.full_name] = next((one.mount_point for one in uses if not one.read_only), "a program")
        self.inner_states[volume.full_name] = VolumeState.LIVE
        if uses and all(use.mount_point == "swap" for use in uses):
            return
        if not reason and self.setting == "none":
            reason = "imaging_snapshot is none"
        if reason:
            self._live_inner(volume, reason)
        else:
            self.hows.append(LVM)
            self.wanted.append(volume)

    def point_of(self, volume: LogicalVolume) -> str:
        """Where a volume in use is mounted, or what else uses it."""
        return self._points.get(volume.full_name, "")

    def inner_uses(self, volume: LogicalVolume) -> List[Use]:
        """The uses of a logical volume; its path may be a separate node or a link to that of the kernel's name."""
        name = self._names.get(volume.path, "")
        return uses_of("/dev/" + name) if name else []

    def mount_points(self, partition: Partition) -> List[str]:
        """Where the file system of a partition is mounted."""
        return [use.mount_point for use in self._overlapping(partition) if use.mount_point.startswith("/")]

    def give_up(self, volume: LogicalVolume, reason: str) -> None:
        """A volume that should have had a snapshot has no room for one."""
        if volume in self.wanted:
            self.wanted.remove(volume)
            self.hows.remove(LVM)
            self._live_inner(volume, reason)

    def _live_inner(self, volume: LogicalVolume, reason: str) -> None:
        what = "Volume %s on %s" % (volume.full_name, self.disk.path)
        self._live(what, self._points[volume.full_name], reason)

    def _live(self, what: str, point: str, reason: str) -> None:
        self.hows.append(LIVE)
        self.live.append(LiveUse(what, point, reason))

    def partition_of(self, piece: OverlayPiece) -> int:
        """The number of the partition that contains a piece of a volume."""
        return next(
            one.partition.number
            for one in self.places
            if any(one.everything.clipped(piece.start_bytes, piece.end_bytes))
        )

    def held(self, place: LvmPlace) -> ExtentSet:
        """The bytes of a physical volume that are always imaged: metadata, and volumes that are not mapped."""
        mapped = ExtentSet(
            (piece.start_bytes, piece.length_bytes) for volume in self.mapped for piece in pieces_of(volume, [place])
        )
        return place.everything.difference(place.free).difference(mapped)

    def metadata(self) -> List[Part]:
        """The labels and metadata of LVM as they are before there is a snapshot.

        A disk restored with the metadata of a moment later would have a snapshot without its content, which keeps the volume
        from being activated.
        """
        self.disk.source.forget_cache()
        return [
            (
                linear(extent.start_bytes, extent.length_bytes),
                MemorySource(
                    self.disk.source.read(extent.start_bytes, extent.length_bytes),
                    self.disk.source.sector_bytes,
                    self.disk.path,
                ),
            )
            for place in self.places
            for extent in place.metadata
        ]


def _is_part_of(tree: BlockTree, use: Use, uuids: Set[str]) -> bool:
    """Whether a device on a physical volume is (a part of) one of these logical volumes.

    Its uuid is "LVM-", that of the group and that of the volume, 32 characters each, and of hidden parts a word behind.
    """
    uuid = tree.text(use.mount_point.split(" ")[-1], "dm/uuid")
    return uuid.startswith("LVM-") and uuid[36:68] in uuids
