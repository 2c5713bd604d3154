# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans which bytes of a disk an image holds: its structures, and the bytes in use of each selected volume."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..amounts import size
from ..errors import DiskError
from .claim_sentences import Contested, partition_device
from .claims import Claim, claims_of, judge
from .exclusions import LeftOut, leave_out
from .extents import ExtentSet
from .filesystems.contract import FileSystem, UsedMap, VolumeState
from .hibernation import always_left_out
from .layout import DiskLayout, Partition
from .mark_table import LVM_KIND
from .overlay import OverlayPiece, on_disk
from .partition_types import BY_TYPE
from .patterns import Pattern
from .source import BlockSource, WindowSource
from .swap_files import leave_out_swap
from .trust import NOBODY, Trust, is_called
from .unclaimed import LOOK_BYTES, Named, Unclaimed, look_at

_ALWAYS_ROLES = frozenset(["efi", "bios-boot", "microsoft-reserved", "dynamic-database"])
_SMALL_BOOT_BYTES = 1 << 30
_MUCH_BEHIND_BYTES = 64 << 20


class PlannedVolume(NamedTuple):
    """The plan for one partition; ``reason`` says why it is imaged whole, "" when it is not."""

    number: int
    kind: str
    label: str
    uuid: str
    size_bytes: int
    in_use_bytes: int
    trusted: bool
    reason: str
    selected: bool
    left_out_bytes: int = 0  # content of excluded files, not in in_use_bytes
    name: str = ""  # of a logical volume inside the partition, "group/volume"
    state: str = VolumeState.OFFLINE.value  # how it stands while it is read
    mount_points: Tuple[str, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        return self._asdict()


class DiskPlan(NamedTuple):
    used: ExtentSet
    volumes: List[PlannedVolume]
    warnings: List[str]
    left_out: List[LeftOut] = []  # for each volume and pattern; a pattern that matched nothing comes too
    wanted: ExtentSet = ExtentSet()  # of ``used``: what file systems call bad, read where it can be
    notes: List[str] = []  # for the log of the run
    contested: List[Contested] = []  # what more than one system claims
    outside: List[Named] = []  # outside of all partitions, and not in the image as a whole


class InnerVolume(NamedTuple):
    """A logical volume with ``pieces`` on the disk; ``source`` is all of it, as it is to be read."""

    name: str
    source: BlockSource
    state: VolumeState
    mount_points: Sequence[str]
    pieces: Sequence[OverlayPiece]


class Inside(NamedTuple):
    """The inside of a partition that other volumes are made of: a physical volume of LVM.

    ``held`` are the bytes of the disk in it that every image holds: its metadata, and all bytes that no inner volume
    explains. Bytes that are neither held nor in an inner volume are free.
    """

    kind: str
    held: ExtentSet
    volumes: Sequence[InnerVolume]


StateOf = Callable[[Partition], VolumeState]
InsideOf = Callable[[Partition], Optional[Inside]]
MountPointsOf = Callable[[Partition], Sequence[str]]


def plan_disk(
    source: BlockSource,
    layout: DiskLayout,
    state_of: StateOf,
    selected: Optional[Set[int]] = None,
    *,
    exclude: Sequence[Pattern] = (),
    mount_points_of: MountPointsOf = lambda partition: (),
    inside_of: InsideOf = lambda partition: None,
    swap_files: Sequence[str] = (),
    trust: Trust = NOBODY,
    name: str = "disk0",
    paced: Optional[BlockSource] = None,
    look_bytes: int = LOOK_BYTES,
) -> DiskPlan:
    """Return the bytes that an image of the disk holds. ``selected`` are partition numbers, ``None`` for all.

    Partition structures, boot areas and small boot partitions are held always. A volume that is not understood, that
    two systems claim, or whose bitmap can't be trusted as it stands, is held whole, with a warning; no file of such a
    volume is excluded. An image of all partitions also holds the rest of the disk, as far as it is not zero.

    :param exclude: files whose content is excluded, besides those that the volume's file system always excludes.
    :param mount_points_of: where the device has a volume ("C:\\", "/var"); empty where that is not known.
    :param inside_of: the logical volumes of a partition, None where it holds a file system itself or nothing is known.
    :param swap_files: where the running system swaps to; their content is excluded.
    :param trust: which system is believed where more than one claims a volume.
    :param name: what ``imaging_trust`` calls the disk.
    :param paced: the disk, read at the pace that the run allows; for bytes outside of all partitions.
    :param look_bytes: how much of those may be read to decide which are held.
    """
    used, wanted_bytes, volumes = layout.structures, ExtentSet(), []
    contested = [Contested(name, source.path, 0, layout.rivals, source.size_bytes)] if layout.rivals else []
    warnings = [*layout.warnings, *("%s: %s" % (source.path, one.advice()) for one in contested)]
    left_out: List[LeftOut] = [LeftOut(pattern.text) for pattern in exclude]
    for partition in layout.partitions:
        if partition.role == "extended":
            continue
        wanted = is_wanted(partition, selected)
        inside = _inside(source, partition, inside_of, trust) if wanted else None
        if inside is not None:
            volumes.append(_of_partition(partition, inside))
            used = used.union(inside.held)
        for part, pieces in _parts_of(source, partition, inside, state_of, mount_points_of):
            because = layout.whole_because or _named("it contains %s", BY_TYPE.get(partition.type_id, ""))
            trusted, key = trust.of(partition.number, part.name), part.name or _key_of(name, partition)
            planned = _plan_part(source, part, _How(partition, wanted, because, exclude, swap_files, trusted, key))
            volumes.append(planned.volume)
            left_out += planned.left_out
            warnings += planned.warnings
            contested += planned.contested
            used = used.union(on_disk(pieces, planned.extents))
            wanted_bytes = wanted_bytes.union(on_disk(pieces, planned.wanted))
    rest = (
        _rest_of(paced or source, layout, used, look_bytes) if selected is None else Unclaimed(ExtentSet(), [], [], [])
    )
    warnings += rest.warnings
    used = used.union(rest.held).intersection(ExtentSet([(0, source.size_bytes)]))
    wanted_bytes = wanted_bytes.intersection(used)
    return DiskPlan(used, volumes, warnings, left_out, wanted_bytes, rest.notes, contested, rest.named)


def is_wanted(partition: Partition, selected: Optional[Set[int]]) -> bool:
    """Whether a partition is in the image: one that was selected (None for all), or a small one that a machine boots with."""
    small_boot = partition.role in _ALWAYS_ROLES or (
        (partition.role == "recovery" or partition.bootable) and partition.length_bytes <= _SMALL_BOOT_BYTES
    )
    return selected is None or partition.number in selected or small_boot


class _Volume(NamedTuple):
    """The unit of planning: a partition, or a logical volume inside of one."""

    number: int
    source: BlockSource
    state: VolumeState
    mount_points: Sequence[str]
    name: str = ""


class _How(NamedTuple):
    """The conditions for a volume's plan. ``because`` says why it is imaged whole without a look at it, "" when it is
    not."""

    partition: Partition
    wanted: bool
    because: str
    exclude: Sequence[Pattern]
    swap_files: Sequence[str]
    trusted: str
    key: str


class _Planned(NamedTuple):
    """The plan for a volume, and its bytes in use (of the volume)."""

    volume: PlannedVolume
    extents: ExtentSet
    wanted: ExtentSet = ExtentSet()
    file_system: Optional[FileSystem] = None
    rivals: Tuple[Claim, ...] = ()
    left_out: List[LeftOut] = []
    warnings: List[str] = []
    contested: List[Contested] = []


def _of_partition(partition: Partition, inside: Inside) -> PlannedVolume:
    held_bytes = inside.held.total_bytes
    return PlannedVolume(partition.number, inside.kind, "", "", partition.length_bytes, held_bytes, True, "", True)


def _parts_of(
    source: BlockSource,
    partition: Partition,
    inside: Optional[Inside],
    state_of: StateOf,
    mount_points_of: MountPointsOf,
) -> List[Tuple[_Volume, Sequence[OverlayPiece]]]:
    """The volumes of a partition, each with its pieces of the disk."""
    if inside is not None:
        return [
            (_Volume(partition.number, inner.source, inner.state, inner.mount_points, inner.name), inner.pieces)
            for inner in inside.volumes
        ]
    window = WindowSource(source, partition.start_bytes, partition.length_bytes)
    whole = [OverlayPiece(partition.start_bytes, window.size_bytes, 0, window.size_bytes, window.size_bytes)]
    return [(_Volume(partition.number, window, state_of(partition), mount_points_of(partition)), whole)]


def _is_contested(source: BlockSource, partition: Partition, trusted: str) -> bool:
    """Whether another system claims a partition that LVM's tools call a physical volume."""
    if trusted:
        return not is_called(trusted, LVM_KIND, "LVM2_member")
    window = WindowSource(source, partition.start_bytes, partition.length_bytes)
    return any(claim.name != LVM_KIND for claim in claims_of(window, partition.type_id))


def _inside(source: BlockSource, partition: Partition, inside_of: InsideOf, trust: Trust) -> Optional[Inside]:
    """The logical volumes of a partition, None where it has none, or where another system claims it."""
    inside = inside_of(partition)
    is_contested = inside is not None and _is_contested(source, partition, trust.of(partition.number))
    return None if is_contested else inside


def _key_of(disk: str, partition: Partition) -> str:
    """The name of a partition in ``imaging_trust``, or of the disk where it has none."""
    return "%sp%d" % (disk, partition.number) if partition.number else disk


def _rest_of(source: BlockSource, layout: DiskLayout, used: ExtentSet, look_bytes: int) -> Unclaimed:
    """The bytes that an image of all partitions holds besides them."""
    rest = look_at(source, _outside(source, layout, used), look_bytes)
    warnings = [*_unnamed(layout, source), *rest.warnings]
    return rest._replace(held=layout.unnamed.union(rest.held), warnings=warnings)


def _outside(source: BlockSource, layout: DiskLayout, used: ExtentSet) -> ExtentSet:
    """The bytes outside of all partitions that are not held for another reason."""
    if layout.scheme == "none":
        return ExtentSet()
    return layout.shown().union(layout.unnamed).union(used).complement(source.size_bytes)


def _unnamed(layout: DiskLayout, source: BlockSource) -> List[str]:
    return [
        (
            "%s: an entry of its table that systems do not show as a partition covers %d bytes at byte %d; all of them "
            "are imaged."
        )
        % (source.path, extent.length_bytes, extent.start_bytes)
        for extent in layout.unnamed
    ]


def _plan_part(disk: BlockSource, part: _Volume, how: _How) -> _Planned:
    """Return the plan for a volume, its excluded bytes, and warnings."""
    planned = _plan_volume(part, how)
    volume, extents, file_system = planned.volume, planned.extents, planned.file_system
    found: List[LeftOut] = []
    warnings: List[str] = []
    name = _name(disk, volume, part.mount_points)
    if file_system is not None and volume.trusted and part.state is not VolumeState.LIVE:
        extents, found, remarks = _leave_out(file_system, extents, how.exclude, part.mount_points, how.swap_files)
        behind_bytes = part.source.size_bytes - file_system.end_bytes
        if behind_bytes > _MUCH_BEHIND_BYTES:
            remarks = [
                *remarks,
                "its file system ends %s before its end; these bytes are imaged too." % size(behind_bytes),
            ]
        warnings += ["%s: %s" % (name, remark) for remark in remarks]
        volume = volume._replace(
            in_use_bytes=extents.total_bytes, left_out_bytes=volume.in_use_bytes - extents.total_bytes
        )
    contested = [_contested(disk, planned, how)] if planned.rivals else []
    if how.wanted and volume.reason:
        warnings.append(" ".join([_warning(name, volume), *(one.advice() for one in contested)]))
    volume = volume._replace(state=part.state.value, mount_points=tuple(part.mount_points))
    return planned._replace(volume=volume, extents=extents, left_out=found, warnings=warnings, contested=contested)


def _leave_out(
    file_system: FileSystem,
    used: ExtentSet,
    exclude: Sequence[Pattern],
    mount_points: Sequence[str],
    swap_files: Sequence[str],
) -> Tuple[ExtentSet, List[LeftOut], List[str]]:
    tree = file_system.tree() if exclude or file_system.always_left_out or swap_files else None
    if tree is None:
        reason = "this version can't exclude files of %s." % file_system.kind
        return used, [], [reason] if any(pattern.below(mount_points, True) for pattern in exclude) else []
    always = always_left_out(file_system, tree)
    patterns = [*always, *exclude]
    below = [pattern.below(mount_points, tree.case_sensitive) for pattern in patterns]
    outcome = leave_out(used, tree, below, with_heads=len(always))
    found = [
        LeftOut(pattern.text, number < len(always), *matched)
        for number, (pattern, matched) in enumerate(zip(patterns, outcome.matched))
        if below[number]  # else it is about another volume
    ]
    without = leave_out_swap(file_system, tree, outcome.kept, swap_files, mount_points)
    return without.kept, [*found, *without.left_out], [*outcome.warnings, *without.remarks]


def _plan_volume(part: _Volume, how: _How) -> _Planned:
    window = part.source
    if not how.wanted:
        return _Planned(PlannedVolume(part.number, "", "", "", window.size_bytes, 0, True, "", False), ExtentSet())
    whole = PlannedVolume(
        part.number, "", "", "", window.size_bytes, window.size_bytes, False, how.because, True, name=part.name
    )
    everything = ExtentSet([(0, window.size_bytes)])
    if how.because:
        return _Planned(whole, everything)
    try:
        verdict = judge(window, how.partition.type_id, how.trusted)
        if verdict.file_system is None:
            # The reserved partitions are not expected to hold a known system.
            is_reserved = how.partition.role in ("microsoft-reserved", "bios-boot")
            reason = verdict.reason or ("" if is_reserved else "no file system was recognised")
            return _Planned(whole._replace(kind=verdict.kind, reason=reason), everything, rivals=verdict.rivals)
        answer = verdict.file_system.used(part.state)
    except DiskError as error:
        return _Planned(whole._replace(reason=str(error)), everything)
    extents = _with_what_is_behind(answer, verdict.file_system, window)
    planned = whole._replace(
        kind=verdict.file_system.kind,
        label=verdict.file_system.label,
        uuid=verdict.file_system.uuid,
        in_use_bytes=extents.total_bytes,
        trusted=answer.trusted,
        reason=answer.reason,
    )
    return _Planned(planned, extents, answer.wanted.intersection(extents), verdict.file_system)


def _with_what_is_behind(answer: UsedMap, file_system: FileSystem, window: BlockSource) -> ExtentSet:
    """Other systems' data behind a file system belong to it: hash trees of dm-verity, metadata of DRBD."""
    if not answer.trusted:
        return answer.extents
    end = file_system.end_bytes
    return answer.extents.union(ExtentSet([(end, max(0, window.size_bytes - end))]))


def _named(words: str, name: str) -> str:
    return words % name if name else ""


def _name(source: BlockSource, volume: PlannedVolume, mount_points: Sequence[str]) -> str:
    """The volume as a person knows it: where it is mounted, and its disk."""
    where = _named(" (%s)", ", ".join(mount_points))
    if volume.name:
        return "Volume %s on %s%s" % (volume.name, source.path, where)
    return ("Partition %d of %s" % (volume.number, source.path) if volume.number else source.path) + where


def _warning(what: str, volume: PlannedVolume) -> str:
    reason = volume.reason.rstrip(".")
    return "%s is imaged whole (%s): %s." % (what, size(volume.size_bytes), reason)


def _contested(source: BlockSource, planned: _Planned, how: _How) -> Contested:
    volume = planned.volume
    device = "/dev/" + volume.name if volume.name else partition_device(source.path, volume.number)
    if device:
        return Contested(how.key, device, 0, planned.rivals, volume.size_bytes)
    return Contested(how.key, source.path, how.partition.start_bytes, planned.rivals, volume.size_bytes)
