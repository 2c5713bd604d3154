# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides how a disk comes onto a target of another size, with other sectors or with new ids, or refuses, before anything is written."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from ...disk.extents import ExtentSet
from ...disk.gpt import read_gpt
from ...disk.layout import DiskLayout, Partition, read_layout
from ...disk.mbr import hybrid_entries, read_mbr
from ...disk.source import BlockSource
from ...errors import RestoreIdentityImpossible, RestoreResizeImpossible, RestoreSectorSizeDiffers
from ...image.reader import DiskReader
from ...image.source import ImageSource
from ..identity.about import About, OtherDisk
from ..identity.draw import Drawn
from ..identity.following import Following, follow_moves
from ..identity.renewal import Renewal, renew
from . import boot_sectors, gpt_table, mbr_table, sectors
from .choose import check_growing, chosen
from .fit import Room, to_grow, to_shrink
from .held import Held
from .moves import check_moves
from .shift import Cut, Segment, Shift
from .space import Scratch, scratch_for
from .tools import check_tools, tools_for
from .view import Aside, ResizedReader
from .volume import Volume, volumes_of
from .wishes import Wishes


class TargetShape(NamedTuple):
    """The properties of a target that count."""

    path: str
    size_bytes: int
    sector_bytes: int
    is_device: bool


class PartitionChange(NamedTuple):
    """A partition before and after; ``action`` is kept, moved, grown or shrunk, or two of these joined by "and"."""

    volume: Volume
    action: str
    start_bytes: int
    length_bytes: int


class Resizing(NamedTuple):
    """How the disk comes to fit its target."""

    disk: str
    target: TargetShape
    reader: ResizedReader
    layout: DiskLayout  # on the target
    partitions: List[PartitionChange]
    tools: List[str]
    scratch: Optional[Scratch]
    warnings: List[str]
    backup_lba: Optional[Tuple[int, int]]  # of the table's backup, before and after
    renewal: Optional[Renewal] = None
    hives: Sequence[Tuple[int, str]] = ()  # of Windows, that are changed: partition and path

    @property
    def grown(self) -> List[PartitionChange]:
        return [one for one in self.partitions if one.action == "grown"]

    @property
    def shrunk(self) -> List[PartitionChange]:
        return [one for one in self.partitions if "shrunk" in one.action]

    @property
    def needs_tools(self) -> bool:
        return bool(self.tools) or self.renewal is not None


class _Disk(NamedTuple):
    name: str
    reader: DiskReader
    source: BlockSource
    layout: DiskLayout
    target: TargetShape
    others: Sequence[OtherDisk]


def resize(
    name: str,
    reader: DiskReader,
    layout: DiskLayout,
    target: TargetShape,
    wishes: Wishes,
    why_not: str,
    others: Sequence[OtherDisk] = (),
) -> Optional[Resizing]:
    """Return how the disk fits its target, None where nothing of it changes.

    :param why_not: why nothing of this disk may be moved or resized, "" when nothing speaks against it.
    :param others: the other disks of the image, which may name a disk that gets a new identity, or a partition that moves.
    :raises RestoreError: for what can't be done, before anything is written.
    """
    sector = target.sector_bytes if target.is_device else reader.sector_bytes
    size = target.size_bytes // sector * sector
    if not wishes.new_identity and (not size or (size, sector) == (reader.size_bytes, reader.sector_bytes)):
        return None
    size = size or reader.size_bytes
    shape = target._replace(size_bytes=size, sector_bytes=sector)
    disk = _Disk(name, reader, ImageSource(reader), layout, shape, others)
    is_wanted = bool(wishes.grow) or wishes.new_identity or size < reader.size_bytes or sector != reader.sector_bytes
    reason = why_not or _why_impossible(disk)
    if reason and sector != reader.sector_bytes:
        raise RestoreSectorSizeDiffers(
            target=target.path,
            target_sector_bytes=sector,
            disk=name,
            sector_bytes=reader.sector_bytes,
            reason="its content can't be converted, because %s" % reason,
        )
    if reason and wishes.new_identity:
        raise RestoreIdentityImpossible(disk=name, target=target.path, reason=reason)
    if reason and is_wanted:
        raise RestoreResizeImpossible(disk=name, target=target.path, reason=reason)
    if reason or (layout.scheme == "mbr" and not is_wanted):
        return None
    return _resized(disk, wishes)


def _why_impossible(disk: _Disk) -> str:
    if disk.layout.scheme == "none":
        return "it has no partition table"
    there = read_layout(disk.source)
    places = [
        {(one.number, one.start_bytes, one.length_bytes) for one in what.partitions} for what in (there, disk.layout)
    ]
    if there.scheme != disk.layout.scheme or places[0] != places[1]:
        return "its partition table can't be read without the knowledge of the run that imaged it"
    if disk.layout.unnamed or (disk.layout.scheme == "gpt" and hybrid_entries(disk.source)):
        return "its partition table has entries that are not partitions (a hybrid table)"
    if disk.layout.scheme == "gpt" and gpt_table.read_table(disk.source) is None:
        return "its partition table is damaged"
    overlap = _overlap(disk.layout)
    return "its partitions %d and %d overlap" % overlap if overlap is not None else ""


def _overlap(layout: DiskLayout) -> Optional[Tuple[int, int]]:
    """Two partitions that share bytes, None where there are none."""
    shown = sorted((one for one in layout.partitions if one.role != "extended"), key=lambda one: one.start_bytes)
    end, number = 0, 0
    for one in shown:
        if one.start_bytes < end:
            return number, one.number
        end, number = one.start_bytes + one.length_bytes, one.number
    return None


def _resized(disk: _Disk, wishes: Wishes) -> Resizing:
    volumes = volumes_of(disk.source, disk.layout.partitions)
    recreated = _tables(disk)
    room = Room(
        disk=disk.name,
        target=disk.target.path,
        layout=disk.layout,
        volumes=volumes,
        held=Held(disk.reader, recreated),
        ebrs=_ebrs(disk),
        limit_bytes=_limit(disk),
        target_bytes=disk.target.size_bytes,
    )
    if disk.target.sector_bytes != disk.reader.sector_bytes:
        old, new = disk.reader.sector_bytes, disk.target.sector_bytes
        sectors.check(disk.name, disk.target.path, disk.layout, volumes, old, new, _table_end(disk))
    cuts: List[Cut] = []
    given: List[Tuple[Volume, int]] = []
    grown: Optional[Volume] = None
    warnings: List[str] = []
    if room.end_bytes > room.limit_bytes:
        cuts, given = to_shrink(room)
        if wishes.grow:
            warnings.append("%s is too small for %s as it was: nothing is grown." % (disk.target.path, disk.name))
    elif wishes.grow:
        grown = chosen(wishes.grow, disk.name, volumes)
        cuts = to_grow(room, grown)
        if cuts:
            check_growing(disk.name, disk.target.path, grown)
        else:
            warnings.append(
                "%s has no room behind its partitions on %s: nothing is grown." % (disk.name, disk.target.path)
            )
            grown = None
    shift = Shift(cuts)
    warnings += check_moves(disk.name, disk.target.path, disk.layout, volumes, shift)
    return _put_together(disk, room, shift, [one for one, dummy in given], grown, warnings, wishes)


def _put_together(
    disk: _Disk,
    room: Room,
    shift: Shift,
    shrunk: Sequence[Volume],
    grown: Optional[Volume],
    warnings: List[str],
    wishes: Wishes,
) -> Resizing:
    changes = [_change(one, shift, shrunk, grown) for one in room.volumes]
    asides = [Aside(one.start_bytes, one.length_bytes) for one in changes if "shrunk" in one.action]
    tools = [tool for one in shrunk for tool in tools_for(one, has_own_file=True)]
    tools += tools_for(grown, has_own_file=False) if grown is not None else []
    check_tools(disk.name, tools)
    scratch = scratch_for(disk.name, disk.target.path, disk.target.is_device, shrunk, wishes.scratch)
    end = min(room.end_bytes, disk.reader.size_bytes)
    segments = list(shift.segments(end))
    if disk.target.sector_bytes != disk.reader.sector_bytes:
        segments = sectors.without_embedding(segments, disk.layout)
    segments = _without_tables(segments, _tables(disk), disk.layout)
    after = {one.volume.number: one.start_bytes for one in changes}
    about = About(disk.name, disk.target.path, disk.layout, room.volumes, after, [one.number for one in shrunk])
    renewal = renew(about, disk.others) if wishes.new_identity else None
    hives = renewal or follow_moves(about, disk.others)
    patches = _patches(disk, shift, changes, renewal.drawn if renewal is not None else None) + _of_hives(hives, after)
    view = ResizedReader(disk.reader, disk.target.size_bytes, disk.target.sector_bytes, segments, patches, asides)
    layout = read_layout(ImageSource(view))
    _check_layout(disk, changes, layout, renewal)
    backup = None
    table = gpt_table.read_table(disk.source) if disk.layout.scheme == "gpt" else None
    if table is not None:
        backup = (table.backup_lba, disk.target.size_bytes // disk.target.sector_bytes - 1)
    return Resizing(
        disk=disk.name,
        target=disk.target,
        reader=view,
        layout=layout,
        partitions=changes,
        tools=list(dict.fromkeys(tools)),
        scratch=scratch,
        warnings=warnings + _of_ntfs(shrunk, grown) + hives.warnings,
        backup_lba=backup,
        renewal=renewal,
        hives=hives.hives,
    )


def _change(one: Volume, shift: Shift, shrunk: Sequence[Volume], grown: Optional[Volume]) -> PartitionChange:
    start = shift.start(one.partition.start_bytes)
    length = shift.end(one.end_bytes) - start
    actions = []
    if start != one.partition.start_bytes:
        actions.append("moved")
    if one in shrunk:
        actions.append("shrunk")
    if one == grown:
        actions.append("grown")
    return PartitionChange(one, " and ".join(actions) or "kept", start, length)


def _limit(disk: _Disk) -> int:
    """Where partitions must end on the target."""
    size, sector = disk.target.size_bytes, disk.target.sector_bytes
    if disk.layout.scheme == "gpt":
        table = gpt_table.read_table(disk.source)
        if table is None:
            raise AssertionError("the disk has no GPT")
        return table.usable_end(size, sector)
    return min(size, mbr_table.MOST_SECTORS * sector)


def _table_end(disk: _Disk) -> int:
    """The end of the primary table on a target with sectors of another size, 0 for an MBR."""
    table = gpt_table.read_table(disk.source) if disk.layout.scheme == "gpt" else None
    return table.end(disk.target.sector_bytes) if table is not None else 0


def _tables(disk: _Disk) -> ExtentSet:
    """The copies of the table in the image, which are recreated; an MBR and its records are patched in their place."""
    gpt = read_gpt(disk.source) if disk.layout.scheme == "gpt" else None
    sector = disk.reader.sector_bytes
    return ExtentSet((lba * sector, count * sector) for lba, count in gpt.areas) if gpt is not None else ExtentSet()


def _without_tables(segments: Sequence[Segment], tables: ExtentSet, layout: DiskLayout) -> List[Segment]:
    """The segments without the copies of the old table outside the boot area: the new one has another place."""
    first = min((one.start_bytes for one in layout.partitions), default=0)
    found = []
    for one in segments:
        room = ExtentSet([(one.start_bytes, one.length_bytes)]).difference(tables)
        if one.end_bytes <= first:
            found.append(one)
            continue
        found += [
            Segment(part.start_bytes, part.length_bytes, one.target_bytes + part.start_bytes - one.start_bytes)
            for part in room
        ]
    return found


def _ebrs(disk: _Disk) -> List[Tuple[int, int]]:
    mbr = read_mbr(disk.source) if disk.layout.scheme == "mbr" else None
    return mbr_table.ebr_ranges(disk.source, mbr.tables_lba) if mbr is not None else []


def _patches(
    disk: _Disk, shift: Shift, changes: Sequence[PartitionChange], drawn: Optional[Drawn]
) -> List[gpt_table.Patch]:
    if disk.layout.scheme == "gpt":
        table = gpt_table.read_table(disk.source)
        if table is None:
            raise AssertionError("the disk has no GPT")
        new_ids = None
        if drawn is not None:
            new_ids = gpt_table.NewIds(drawn.disk_bytes, {one: drawn.partition_bytes(one) for one in drawn.partitions})
        found = gpt_table.patches(table, shift, disk.target.size_bytes, disk.target.sector_bytes, new_ids)
    else:
        mbr = read_mbr(disk.source)
        if mbr is None:
            raise AssertionError("the disk has no MBR")
        extended = [one.start_lba for one in mbr.partitions if one.type_code in mbr_table.EXTENDED]
        if len(extended) > 1:
            reason = "it has more than one extended partition"
            raise RestoreResizeImpossible(disk=disk.name, target=disk.target.path, reason=reason)
        signature = drawn.disk_bytes if drawn is not None else b""
        found = mbr_table.patches(disk.source, mbr.tables_lba, extended[0] if extended else 0, shift, signature)
    for one in changes:
        if one.action == "moved":
            old = one.volume.partition.start_bytes
            moved = boot_sectors.patches(one.volume.source, old, one.start_bytes, disk.target.sector_bytes)
            found += [(one.start_bytes + place, data) for place, data in moved]
    return found


def _of_hives(hives: Union[Renewal, Following], after: Dict[int, int]) -> List[gpt_table.Patch]:
    return [(after[number] + place, data) for number, mine in hives.patches.items() for place, data in mine]


def _check_layout(
    disk: _Disk, changes: Sequence[PartitionChange], layout: DiskLayout, renewal: Optional[Renewal]
) -> None:
    """The new table, read as any system reads it, says what was planned; everything else of a partition stays.

    :raises RestoreResizeImpossible: when it does not.
    """
    new = {one.number: one for one in layout.partitions}
    for one in changes:
        wanted: Partition = one.volume.partition._replace(start_bytes=one.start_bytes, length_bytes=one.length_bytes)
        if renewal is not None:
            wanted = wanted._replace(unique_id=renewal.drawn.unique_id(wanted))
        if new.get(wanted.number) != wanted:
            reason = "the new partition table would not show partition %d as planned" % wanted.number
            raise RestoreResizeImpossible(disk=disk.name, target=disk.target.path, reason=reason)


def _of_ntfs(shrunk: Sequence[Volume], grown: Optional[Volume]) -> List[str]:
    return [
        "Windows checks partition %d at its next start, as after every resizing with ntfsresize." % one.number
        for one in [*shrunk, *([grown] if grown is not None else [])]
        if one.is_ntfs
    ]
