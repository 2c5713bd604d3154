# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans a restore: which bytes of which target are written, cleared and left, or the reason for a refusal. The plan does not write."""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..disk.extents import ExtentSet
from ..errors import (
    EngineError,
    RestoreBeyondRepair,
    RestoreInterruptedOther,
    RestoreMapInvalid,
    RestoreOnWindows,
    RestoreTableDiffers,
    RestoreTargetBusy,
    RestoreTargetHoldsData,
    RestoreTargetIsPartition,
    RestoreTargetTooSmall,
)
from ..image.format.manifest import DiskEntry
from ..image.reader import DiskReader, ImageReader
from ..image.source import ImageSource, TargetEnd, end_of
from .clearing import to_clear
from .fallback.fallback import Fallback, with_fallback
from .free_space import FreeSpace, Wanted, plan_free_space
from .held import held_in_words
from .identity.about import OtherDisk
from .imaged import ImagedDisk, imaged_disks
from .matching import Given, complete, in_words, proposal, refuse_other_disk
from .open_target import open_target
from .present import Claim, Present, partitions_of, present_on
from .resize.resizing import Resizing, TargetShape, resize
from .resize.volume import volumes_of
from .resize.wishes import NO_WISHES, ZERO, Wishes
from .salvage import SalvagingReader, salvaging
from .same import holds_already
from .scope import Scope, scope_of
from .selected import marked_name, only, selected
from .target import MARKER_BYTES, Target, marker

Progress = Callable[[str, int, int], None]


class Yeses(NamedTuple):
    """The agreements of a user."""

    overwrite: bool = False
    damaged: bool = False
    replace_table: Sequence[str] = ()
    wishes: Wishes = NO_WISHES


class Found(NamedTuple):
    """How a target stands: what decides what may be written to it, looked at twice."""

    resumes: bool
    data: str  # what is on the target now, "" when it looks blank
    present: Optional[Present]  # None: the target has no content to compare with
    table_stays: bool  # nothing but the volumes of the image is written
    going: List[Claim]  # partitions of the target that its new table does not have


class PlannedDisk(NamedTuple):
    """One disk of a restore, checked."""

    number: int
    reader: DiskReader
    target: Target
    marker: bytes
    blank: bool
    scope: Scope
    end: TargetEnd
    found: Found
    allowed: ExtentSet  # the bytes of the target that may be written
    cleared: ExtentSet  # of these, what becomes zeros before anything else is written
    stale: List[Tuple[int, int]]  # the partitions of the target's earlier life, start and length in bytes
    mark_place: int  # where the marker is while the restore is in progress
    is_done: bool = False  # the target already holds all that the image does
    image: Optional[DiskReader] = None  # the disk as it was imaged, where ``reader`` shows it resized
    resizing: Optional[Resizing] = None
    fallback: Optional[Fallback] = None
    free_space: Optional[FreeSpace] = None  # None: it stays as it is

    @property
    def warnings(self) -> List[str]:
        """The warnings of the plan about this disk."""
        resizing = self.resizing.warnings if self.resizing is not None else []
        return resizing + (self.fallback.warnings if self.fallback is not None else [])

    @property
    def name(self) -> str:
        return "disk%d" % self.number

    @property
    def resumes(self) -> bool:
        return self.found.resumes

    @property
    def data(self) -> str:
        return self.found.data

    @property
    def zeros(self) -> ExtentSet:
        """The ranges of the target that are zeros where the image has nothing: in full once volumes that shrink were made smaller aside."""
        if self.free_space is None or self.free_space.action != ZERO:
            return self.cleared
        return self.cleared.union(self.free_space.ranges(self.reader))

    @property
    def left_alone(self) -> List[int]:
        """The partitions whose volumes were not chosen when the image was made."""
        return self.scope.left_alone


def plan(
    reader: ImageReader,
    targets: Dict[str, str],
    overwrite: bool,
    *,
    damaged: bool = False,
    replace_table: Sequence[str] = (),
    wishes: Wishes = NO_WISHES,
    storage_folder: str = "",
    progress: Progress = lambda phase, done, total: None,
) -> List[PlannedDisk]:
    """Check every disk and target without writing.

    :param storage_folder: where the images are, if that is a directory of this machine.
    :raises RestoreError: the map names no such disk; a target is in use, too small, or holds data.
    """
    disks = imaged_disks(reader)
    names = [disk.name for disk in disks]
    if not targets:
        words = ", ".join(in_words(disks, proposal(disks, storage_folder)))
        raise RestoreMapInvalid(reason="it is empty; the image contains %s" % words)
    targets = complete(targets, disks, storage_folder)
    unknown = sorted(set(targets) - set(names))
    if unknown:
        raise RestoreMapInvalid(reason="the image has no %s, only %s" % (unknown[0], ", ".join(names)))
    opened = {name: open_target(path) for name, path in sorted(targets.items())}
    if len({target.identity for target in opened.values()}) != len(opened):
        raise RestoreMapInvalid(reason="two disks have the same target")
    yeses = Yeses(overwrite, damaged, replace_table, wishes)
    wanted = selected(reader, list(opened), wishes.only, lambda number: _open(reader, number, yeses))
    planned = [
        _plan_disk(reader, disks, names.index(name), target, yeses, wanted.get(name)) for name, target in opened.items()
    ]
    planned = [disk._replace(is_done=_is_done(disk, progress)) for disk in planned]
    for disk in planned:
        _refuse_without_yes(disk, yeses, len(planned) == 1)
    return planned


def _plan_disk(
    reader: ImageReader,
    disks: Sequence[ImagedDisk],
    number: int,
    target: Target,
    yeses: Yeses,
    wanted: Optional[List[int]],
) -> PlannedDisk:
    entry = reader.manifest.disks[number]
    _refuse_unfit(target, entry, yeses)
    disk = _open(reader, number, yeses)
    scope = only(scope_of(reader, disk, entry.name), wanted)
    if target.parent and scope.layout.scheme != "none":
        raise RestoreTargetIsPartition(target=target.path, disk=entry.name, parent=target.parent)
    about = reader.manifest
    mark = marker(about.device, reader.image, about.sequence, marked_name(entry.name, wanted), about.key_id)
    found = look_at(target, mark, disk, scope)
    _refuse_wrong(disks, number, target, found, yeses)
    _refuse_interrupted(target, mark, scope)
    # Only a file that was never written reads as zeros everywhere; a device that looks blank was merely sampled.
    blank = not target.exists or (not target.is_device and target.size_bytes == 0)
    image = disk
    others = _others(reader, number, scope, yeses)
    resizing = _resizing(entry, disk, scope, target, yeses, found.table_stays, others)
    if resizing is not None and resizing.needs_tools and not target.runs_tools:
        raise RestoreOnWindows(target=target.path, reason="the programs that change file systems run on Linux only")
    if resizing is not None:
        disk, scope = resizing.reader, _scope_on_target(scope, resizing)
    why_not = "the image may be damaged" if isinstance(image, SalvagingReader) else ""
    disk, fallback = with_fallback(entry.name, target.path, disk, scope, yeses.wishes.fallback, why_not)
    end = end_of(disk, scope.layout, target.size_bytes)
    size_bytes = max(target.size_bytes, disk.size_bytes)
    allowed = scope.held if found.table_stays else _with_table(scope, size_bytes)
    stale = _stale_places(target, found)
    cleared = ExtentSet() if blank else to_clear(disk, scope, stale, found.table_stays, size_bytes)
    cleared = cleared.intersection(allowed)
    asides = resizing.reader.asides if resizing is not None else ()
    return PlannedDisk(
        number=number,
        reader=disk,
        target=target,
        marker=mark,
        blank=blank,
        scope=scope,
        end=end,
        found=found,
        allowed=allowed,
        cleared=cleared,
        stale=stale,
        mark_place=_first_of(scope) if found.table_stays else 0,
        image=image,
        resizing=resizing,
        fallback=fallback,
        free_space=plan_free_space(
            yeses.wishes.free_space,
            target,
            Wanted(entry.name, disk, scope, allowed, cleared, asides, why_not),
        ),
    )


def _refuse_wrong(disks: Sequence[ImagedDisk], number: int, target: Target, found: Found, yeses: Yeses) -> None:
    """:raises RestoreTargetIsOtherDisk: a disk of this machine that is another one of the image or its device."""
    if target.is_device and not target.parent and not found.resumes:
        table = found.present.layout.table_id if found.present is not None else ""
        given = Given(target.path, table, target.marker(), bool(found.data))
        refuse_other_disk(disks, number, given, yeses.replace_table)


def _refuse_interrupted(target: Target, mark: bytes, scope: Scope) -> None:
    """:raises RestoreInterruptedOther: when partitions would stay as another restore left them half-way."""
    starts = [one.start_bytes for one in scope.layout.partitions if one.number in scope.deselected]
    if scope.deselected and any(target.marker(place) not in (b"", mark) for place in (0, *starts)):
        raise RestoreInterruptedOther(target=target.path)


def _others(reader: ImageReader, number: int, scope: Scope, yeses: Yeses) -> List[OtherDisk]:
    """The other disks of the image, restored or not: what is on them may name a disk that gets a new identity, or by its place a
    partition of an MBR that moves."""
    found: List[OtherDisk] = []
    may_move = scope.layout.scheme == "mbr" and (yeses.wishes.shrink or bool(yeses.wishes.grow))
    if yeses.damaged or not (yeses.wishes.new_identity or may_move):
        return found
    for other, entry in enumerate(reader.manifest.disks):
        if other == number:
            continue
        disk = reader.disk(other)
        there = scope_of(reader, disk, entry.name)
        unread = ["partition %d of %s (not in the image)" % (one, entry.name) for one in there.left_alone]
        found.append(OtherDisk(entry.name, volumes_of(ImageSource(disk), there.volumes), unread))
    return found


def _resizing(
    entry: DiskEntry,
    disk: DiskReader,
    scope: Scope,
    target: Target,
    yeses: Yeses,
    table_stays: bool,
    others: Sequence[OtherDisk],
) -> Optional[Resizing]:
    """How the disk fits a target of another size; a file that is made or extended becomes as large as the imaged disk."""
    why_not = ""
    if scope.is_partial:
        why_not = "only some of its partitions are restored"
    elif isinstance(disk, SalvagingReader):
        why_not = "the image may be damaged, and a damaged file system can't be resized"
    if (
        table_stays
        and not yeses.wishes.new_identity
        and not (target.is_device and target.sector_bytes != disk.sector_bytes)
    ):
        return None
    shape = TargetShape(target.path, target.size_bytes, target.sector_bytes, target.is_device)
    return resize(entry.name, disk, scope.layout, shape, yeses.wishes, why_not, others)


def _scope_on_target(scope: Scope, resizing: Resizing) -> Scope:
    volumes = [one for one in resizing.layout.partitions if one.role != "extended"]
    return scope._replace(layout=resizing.layout, volumes=volumes)


def _refuse_unfit(target: Target, entry: DiskEntry, yeses: Yeses) -> None:
    uses = target.uses()
    if uses:
        raise RestoreTargetBusy(target=target.path, reason=uses[0])
    too_small = target.exists and target.size_bytes < entry.size_bytes and not yeses.wishes.shrink
    if too_small and (target.is_device or target.size_bytes > 0):
        raise RestoreTargetTooSmall(
            target=target.path, target_bytes=target.size_bytes, disk=entry.name, needed_bytes=entry.size_bytes
        )


def _open(reader: ImageReader, number: int, yeses: Yeses) -> DiskReader:
    if not yeses.damaged:
        return reader.disk(number)
    try:
        return salvaging(reader, number)
    except EngineError as error:
        reason = "the root of the index of disk%d is unreadable: %s" % (number, str(error).rstrip("."))
        raise RestoreBeyondRepair(image=reader.image, reason=reason) from error


def _with_table(scope: Scope, size_bytes: int) -> ExtentSet:
    """All but the partitions that were not chosen; the first sector is always the table's."""
    everything = ExtentSet([(0, size_bytes)])
    return everything.difference(scope.kept).union(ExtentSet([(0, MARKER_BYTES)]))


def _stale_places(target: Target, found: Found) -> List[Tuple[int, int]]:
    """The partitions that the target has, or had when the restore that is continued began."""
    if found.present is None:
        return target.marked_places() if found.resumes else []
    return [(one.start_bytes, one.length_bytes) for one in found.present.claims]


def _first_of(scope: Scope) -> int:
    return min(one.start_bytes for one in scope.volumes)


def look_at(target: Target, mark: bytes, disk: DiskReader, scope: Scope) -> Found:
    """Determine the state of a target: an interrupted restore to continue, else its data and partitions."""
    if target.marker() == mark:
        return Found(True, "", None, False, [])
    present = present_on(target, disk.sector_bytes) if target.exists and target.size_bytes else None
    if present is None or not scope.is_partial:
        return Found(False, target.data_found(), present, False, [])
    imaged = partitions_of(ImageSource(disk), scope.layout, looks_inside=False).claims
    going = present.lacking_in(imaged)
    there = {one.identity for one in present.claims}
    wanted = {one.number for one in scope.volumes}
    lacking = [one for one in imaged if one.number in set(map(str, wanted)) and one.identity not in there]
    stays = bool(present.claims and present.is_shown and scope.volumes) and not going and not lacking
    resumes = stays and target.marker(_first_of(scope)) == mark
    return Found(resumes, "" if resumes else target.data_found(), present, stays, going)


def _is_done(disk: PlannedDisk, progress: Progress) -> bool:
    """Whether the same restore has ended already: everything that the image holds is on the target, byte for byte."""
    if disk.resumes or not disk.data or (disk.resizing is not None and disk.resizing.needs_tools):
        return False  # a file system that was resized differs from the image
    return holds_already(disk.reader, disk.target, disk.allowed, disk.zeros, progress)


def _refuse_without_yes(disk: PlannedDisk, yeses: Yeses, is_only: bool) -> None:
    if disk.is_done:
        return
    present = disk.found.present
    if disk.data and not yeses.overwrite:
        words = held_in_words(disk.target.path, present.layout) if present is not None else ""
        raise RestoreTargetHoldsData(target=disk.target.path, reason=words or disk.data)
    going = disk.found.going
    claims = present.claims if present is not None else []
    if not all(one.is_named_by(yeses.replace_table, disk.name, is_only, claims) for one in going):
        raise RestoreTableDiffers(
            target=disk.target.path,
            disk=disk.name,
            partitions="; ".join(one.words for one in going),
            names=", ".join('"%s%s"' % ("" if is_only else disk.name + "p", one.number) for one in going),
        )
