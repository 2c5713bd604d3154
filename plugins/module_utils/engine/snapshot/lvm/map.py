# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The places of LVM's logical volumes on a disk: linear and striped ones, in pieces of the disk."""

from __future__ import annotations

import os
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence

from ...disk.extents import ExtentSet
from ...disk.layout import Partition
from ...disk.overlay import OverlayPiece, linear
from ...host.stack import SYSFS_SECTOR_BYTES, BlockTree
from .report import LogicalVolume, LvmSegment, PhysicalVolume, Report

_MAX_METADATA_BYTES = 64 << 20
_GROUP_FLAGS = (
    (2, "x"),
    (3, "p"),
    (5, "c"),
    (5, "s"),
)  # of vg_attr: exported, with a disk missing, used by several machines


class LvmPlace(NamedTuple):
    """A physical volume that is a whole partition (or disk) of a disk that is imaged."""

    volume: PhysicalVolume
    partition: Partition
    extent_bytes: int

    @property
    def first_extent_bytes(self) -> int:
        """Where extent 0 begins on the disk."""
        return self.partition.start_bytes + self.volume.start_bytes

    @property
    def data(self) -> ExtentSet:
        """The bytes of the disk that are extents; around them lie the labels and metadata of LVM."""
        return ExtentSet([(self.first_extent_bytes, self.volume.extents * self.extent_bytes)])

    @property
    def free(self) -> ExtentSet:
        return ExtentSet(
            (self.first_extent_bytes + first * self.extent_bytes, count * self.extent_bytes)
            for first, count in self.volume.free
        )

    @property
    def everything(self) -> ExtentSet:
        return ExtentSet([(self.partition.start_bytes, self.partition.length_bytes)])

    @property
    def metadata(self) -> ExtentSet:
        return self.everything.difference(self.data)


def find_places(report: Report, disk_path: str, partitions: Sequence[Partition], tree: BlockTree) -> List[LvmPlace]:
    """The physical volumes that lie directly on partitions of the disk; one on LUKS or RAID is none of them."""
    disk = tree.by_path(disk_path)
    found = []
    for volume in report.physical:
        group = report.groups.get(volume.group)
        name = tree.by_path(os.path.realpath(volume.path))
        if not disk or not name or group is None or tree.slaves(name) or tree.parent(name) != disk:
            continue
        start = 0 if name == disk else tree.number(name, "start") * SYSFS_SECTOR_BYTES
        place = _place(volume, start, partitions, group.extent_bytes)
        if place is not None:
            found.append(place)
    return found


def _place(
    volume: PhysicalVolume, start: int, partitions: Sequence[Partition], extent_bytes: int
) -> Optional[LvmPlace]:
    for partition in partitions:
        if partition.start_bytes == start and partition.role != "extended":
            place = LvmPlace(volume, partition, extent_bytes)
            fits = volume.start_bytes + volume.extents * extent_bytes <= partition.length_bytes
            return place if fits and 0 < place.metadata.total_bytes <= _MAX_METADATA_BYTES else None
    return None


def why_not_mapped(report: Report, volume: LogicalVolume) -> str:
    """Why a logical volume can't be served from a separate snapshot, "" if it can."""
    group = report.groups.get(volume.group)
    if group is None or any(group.attributes[place : place + 1] == flag for place, flag in _GROUP_FLAGS):
        return "its volume group is exported, incomplete or shared with other machines"
    if volume.origin or any(other.origin == volume.name and other.group == volume.group for other in report.logical):
        return "it has, or is, another snapshot, and an image would separate the two"
    if volume.name.startswith("["):
        return "it is a part of another volume"
    kinds = sorted({segment.kind for segment in volume.segments if segment.kind not in ("linear", "striped")})
    if kinds:
        return "its type is %s; only linear and striped volumes are supported" % " and ".join(kinds)
    if not _is_whole(volume, group.extent_bytes):
        return "the LVM tools do not report the location of all of its extents"
    return ""


def _is_whole(volume: LogicalVolume, extent_bytes: int) -> bool:
    """Whether the segments hold each byte of the volume once."""
    end = 0
    for segment in sorted(volume.segments, key=lambda one: one.start_bytes):
        counts = {count for dummy_path, dummy_first, count in segment.runs}
        columns = len(segment.runs)
        if (
            segment.start_bytes != end
            or len(counts) != 1
            or columns * counts.pop() * extent_bytes != segment.length_bytes
        ):
            return False
        if columns > 1 and (segment.stripe_bytes <= 0 or extent_bytes % segment.stripe_bytes):
            return False
        end += segment.length_bytes
    return end == volume.size_bytes and end > 0


def pieces_of(volume: LogicalVolume, places: Iterable[LvmPlace]) -> List[OverlayPiece]:
    """The parts of a volume on the disk of ``places``."""
    by_path: Dict[str, LvmPlace] = {place.volume.path: place for place in places}
    return [piece for segment in volume.segments for piece in _pieces(segment, by_path)]


def _pieces(segment: LvmSegment, places: Dict[str, LvmPlace]) -> Iterable[OverlayPiece]:
    columns = len(segment.runs)
    for number, (path, first, count) in enumerate(segment.runs):
        place = places.get(path)
        if place is None:
            continue
        start = place.first_extent_bytes + first * place.extent_bytes
        length = count * place.extent_bytes
        if columns == 1:
            yield linear(start, length, segment.start_bytes)
        else:
            stripe = segment.stripe_bytes
            yield OverlayPiece(start, length, segment.start_bytes + number * stripe, stripe, columns * stripe)
