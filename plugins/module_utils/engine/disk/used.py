# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a disk goes into an image: its structures, and what each selected volume has in use."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..errors import DiskError
from .exclusions import LeftOut, leave_out
from .extents import ExtentSet
from .filesystems.contract import FileSystem, VolumeState
from .filesystems.registry import detect
from .layout import DiskLayout, Partition
from .overlay import Piece, on_disk
from .patterns import Pattern
from .signatures import BY_TYPE, container, recognise, system
from .source import BlockSource, WindowSource
from .swap_files import leave_out_swap

_ALWAYS_ROLES = frozenset(["efi", "bios-boot", "microsoft-reserved", "dynamic-database"])
_SMALL_BOOT_BYTES = 1 << 30
_OWN_NAMES = {"xfs": "XFS", "exfat": "exFAT"}  # what a system that a parser understands is called among signatures
_MUCH_BEHIND_BYTES = 64 << 20


class PlannedVolume(NamedTuple):
    """What is done with one partition; ``reason`` says why it is taken whole, "" when it is not."""

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

    def as_dict(self) -> Dict[str, Any]:
        return self._asdict()


class DiskPlan(NamedTuple):
    used: ExtentSet
    volumes: List[PlannedVolume]
    warnings: List[str]
    left_out: List[LeftOut] = []  # for each volume and pattern; a pattern that matched nothing comes too


class InnerVolume(NamedTuple):
    """A logical volume of which ``pieces`` lie on the disk; ``source`` is all of it, as it is to be read."""

    name: str
    source: BlockSource
    state: VolumeState
    mount_points: Sequence[str]
    pieces: Sequence[Piece]


class Inside(NamedTuple):
    """What is known of a partition that other volumes are made of: a physical volume of LVM.

    ``held`` are the bytes of the disk in it that every image holds: its metadata, and what no inner volume explains.
    What is neither held nor in an inner volume is free.
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
) -> DiskPlan:
    """Return what an image of the disk holds. ``selected`` are partition numbers, None for all.

    Partition structures, boot areas and small boot partitions are held always. A volume that is not understood, or
    whose bitmap can't be trusted as it stands, is held whole, with a warning; of such a volume no file is left out.

    :param exclude: files whose content is left out, besides those that the volume's file system always leaves out.
    :param mount_points_of: where the device has a volume ("C:\\", "/var"); empty where that is not known.
    :param inside_of: the logical volumes of a partition, None where it holds a file system itself or nothing is known.
    :param swap_files: where the running system swaps to; what it put there is left out.
    """
    used = layout.structures
    volumes = []
    warnings = list(layout.warnings)
    left_out: List[LeftOut] = [LeftOut(pattern.text) for pattern in exclude]
    for partition in layout.partitions:
        if partition.role == "extended":
            continue
        wanted = is_wanted(partition, selected)
        inside = inside_of(partition) if wanted else None
        if inside is not None:
            volumes.append(_of_partition(partition, inside))
            used = used.union(inside.held)
            parts = [
                (_Volume(partition.number, inner.source, inner.state, inner.mount_points, inner.name), inner.pieces)
                for inner in inside.volumes
            ]
        else:
            window = WindowSource(source, partition.start_bytes, partition.length_bytes)
            mount_points = mount_points_of(partition)
            whole = [Piece(partition.start_bytes, window.size_bytes, 0, window.size_bytes, window.size_bytes)]
            parts = [(_Volume(partition.number, window, state_of(partition), mount_points), whole)]
        for part, pieces in parts:
            because = layout.whole_because or _named("it holds %s", BY_TYPE.get(partition.type_id, ""))
            volume, extents, found, remarks = _plan_part(
                source, part, partition.role, wanted, exclude, because, swap_files
            )
            volumes.append(volume)
            left_out += found
            warnings += remarks
            used = used.union(on_disk(pieces, extents))
    disk = ExtentSet([(0, source.size_bytes)])
    return DiskPlan(used.intersection(disk), volumes, warnings, left_out)


def is_wanted(partition: Partition, selected: Optional[Set[int]]) -> bool:
    """Whether a partition is in the image: one that was selected (None for all), or a small one that a machine boots with."""
    small_boot = partition.role in _ALWAYS_ROLES or (
        (partition.role == "recovery" or partition.bootable) and partition.length_bytes <= _SMALL_BOOT_BYTES
    )
    return selected is None or partition.number in selected or small_boot


class _Volume(NamedTuple):
    """What is planned as one: a partition, or a logical volume inside of one."""

    number: int
    source: BlockSource
    state: VolumeState
    mount_points: Sequence[str]
    name: str = ""


def _of_partition(partition: Partition, inside: Inside) -> PlannedVolume:
    held_bytes = inside.held.total_bytes
    return PlannedVolume(partition.number, inside.kind, "", "", partition.length_bytes, held_bytes, True, "", True)


def _plan_part(
    disk: BlockSource,
    part: _Volume,
    role: str,
    wanted: bool,
    exclude: Sequence[Pattern],
    because: str,
    swap_files: Sequence[str],
) -> Tuple[PlannedVolume, ExtentSet, List[LeftOut], List[str]]:
    """Return what is done with a volume, its bytes in use (of the volume), what was left out, and warnings.

    :param because: why it is imaged whole whatever is on it, "" when nothing says so.
    """
    volume, extents, file_system = _plan_volume(part, role, wanted, because)
    found: List[LeftOut] = []
    warnings: List[str] = []
    if file_system is not None and volume.trusted and part.state is not VolumeState.LIVE:
        extents, found, remarks = _leave_out(file_system, extents, exclude, part.mount_points, swap_files)
        behind_bytes = part.source.size_bytes - file_system.end_bytes
        if behind_bytes > _MUCH_BEHIND_BYTES:
            remarks = [*remarks, "its file system ends %d bytes before it; they are imaged too." % behind_bytes]
        warnings += ["%s: %s" % (_name(disk, volume), remark) for remark in remarks]
        volume = volume._replace(
            in_use_bytes=extents.total_bytes, left_out_bytes=volume.in_use_bytes - extents.total_bytes
        )
    if wanted and volume.reason:
        warnings.append(_warning(disk, volume))
    return volume, extents, found, warnings


def _leave_out(
    file_system: FileSystem,
    used: ExtentSet,
    exclude: Sequence[Pattern],
    mount_points: Sequence[str],
    swap_files: Sequence[str],
) -> Tuple[ExtentSet, List[LeftOut], List[str]]:
    always = [Pattern.parse(text) for text in file_system.always_left_out]
    tree = file_system.tree() if exclude or always or swap_files else None
    if tree is None:
        reason = "files of %s can't be left out by this version." % file_system.kind
        return used, [], [reason] if any(pattern.below(mount_points, True) for pattern in exclude) else []
    patterns = [*always, *exclude]
    below = [pattern.below(mount_points, tree.case_sensitive) for pattern in patterns]
    outcome = leave_out(used, tree, below, with_heads=len(always))
    found = [
        LeftOut(pattern.text, number < len(always), *matched)
        for number, (pattern, matched) in enumerate(zip(patterns, outcome.matched))
    ]
    without = leave_out_swap(file_system, tree, outcome.kept, swap_files, mount_points)
    return without.kept, [*found, *without.left_out], [*outcome.warnings, *without.remarks]


def _plan_volume(
    part: _Volume, role: str, wanted: bool, because: str
) -> Tuple[PlannedVolume, ExtentSet, Optional[FileSystem]]:
    window = part.source
    if not wanted:
        empty = PlannedVolume(part.number, "", "", "", window.size_bytes, 0, True, "", False)
        return empty, ExtentSet(), None
    whole = PlannedVolume(
        part.number, "", "", "", window.size_bytes, window.size_bytes, False, because, True, name=part.name
    )
    everything = ExtentSet([(0, window.size_bytes)])
    if because:
        return whole, everything, None
    try:
        kind = container(window)
        file_system = None if kind else detect(window)
        if file_system is None:
            kind = kind or recognise(window)
            # Nothing that is recognised is expected in the reserved partitions.
            unknown = "" if role in ("microsoft-reserved", "bios-boot") else "no file system was recognised"
            return whole._replace(kind=kind, reason=_named("it holds %s", kind) or unknown), everything, None
        other = system(window)
        if other and other != _OWN_NAMES.get(file_system.kind):
            # One of them is what an earlier use of the volume has left. Which one, nobody can tell.
            return (
                whole._replace(reason="%s and %s both claim the volume" % (file_system.kind, other)),
                everything,
                None,
            )
        answer = file_system.used(part.state)
    except DiskError as error:
        return whole._replace(reason=str(error)), everything, None
    extents = answer.extents
    if answer.trusted:
        # What others keep behind a file system belongs to it: hash trees of dm-verity, metadata of DRBD.
        behind = ExtentSet([(file_system.end_bytes, max(0, window.size_bytes - file_system.end_bytes))])
        extents = extents.union(behind)
    planned = whole._replace(
        kind=file_system.kind,
        label=file_system.label,
        uuid=file_system.uuid,
        in_use_bytes=extents.total_bytes,
        trusted=answer.trusted,
        reason=answer.reason,
    )
    return planned, extents, file_system


def _named(words: str, name: str) -> str:
    return words % name if name else ""


def _name(source: BlockSource, volume: PlannedVolume) -> str:
    if volume.name:
        return "Volume %s on %s" % (volume.name, source.path)
    return "Partition %d of %s" % (volume.number, source.path) if volume.number else source.path


def _warning(source: BlockSource, volume: PlannedVolume) -> str:
    what, reason = _name(source, volume), volume.reason.rstrip(".")
    return "%s is imaged whole (%d bytes): %s." % (what, volume.size_bytes, reason)
