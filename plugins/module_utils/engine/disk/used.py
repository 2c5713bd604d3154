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
from .patterns import Pattern
from .source import BlockSource, WindowSource

_ALWAYS_ROLES = frozenset(["efi", "bios-boot", "microsoft-reserved"])
_SMALL_BOOT_BYTES = 1 << 30
_SIGNATURES = (
    (0, b"LUKS\xba\xbe", "LUKS"),
    (3, b"-FVE-FS-", "BitLocker"),
    (512, b"LABELONE", "an LVM physical volume"),
    (4096, b"\xfc\x4e\x2b\xa9", "a Linux software RAID member"),
    (3, b"ReFS", "ReFS"),
    (0, b"XFSB", "XFS"),
    (3, b"EXFAT   ", "exFAT"),
    (65600, b"_BHRfS_M", "btrfs"),
)


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

    def as_dict(self) -> Dict[str, Any]:
        return self._asdict()


class DiskPlan(NamedTuple):
    used: ExtentSet
    volumes: List[PlannedVolume]
    warnings: List[str]
    left_out: List[LeftOut] = []  # for each volume and pattern; a pattern that matched nothing comes too


StateOf = Callable[[Partition], VolumeState]
MountPointsOf = Callable[[Partition], Sequence[str]]


def plan_disk(
    source: BlockSource,
    layout: DiskLayout,
    state_of: StateOf,
    selected: Optional[Set[int]] = None,
    *,
    exclude: Sequence[Pattern] = (),
    mount_points_of: MountPointsOf = lambda partition: (),
) -> DiskPlan:
    """Return what an image of the disk holds. ``selected`` are partition numbers, None for all.

    Partition structures, boot areas and small boot partitions are held always. A volume that is not understood, or
    whose bitmap can't be trusted as it stands, is held whole, with a warning; of such a volume no file is left out.

    :param exclude: files whose content is left out, besides those that the volume's file system always leaves out.
    :param mount_points_of: where the device has a volume ("C:\\", "/var"); empty where that is not known.
    """
    used = layout.structures
    volumes = []
    warnings = list(layout.warnings)
    left_out: List[LeftOut] = [LeftOut(pattern.text) for pattern in exclude]
    for partition in layout.partitions:
        if partition.role == "extended":
            continue
        small_boot = partition.role in _ALWAYS_ROLES or (
            (partition.role == "recovery" or partition.bootable) and partition.length_bytes <= _SMALL_BOOT_BYTES
        )
        wanted = selected is None or partition.number in selected or small_boot
        volume, extents, file_system = _plan_volume(source, partition, state_of(partition), wanted)
        if file_system is not None and volume.trusted and state_of(partition) is not VolumeState.LIVE:
            extents, found, remarks = _leave_out(file_system, extents, exclude, mount_points_of(partition))
            left_out += found
            warnings += ["%s: %s" % (_name(source, volume), remark) for remark in remarks]
            volume = volume._replace(
                in_use_bytes=extents.total_bytes, left_out_bytes=volume.in_use_bytes - extents.total_bytes
            )
        volumes.append(volume)
        if wanted:
            used = used.union(extents.shifted(partition.start_bytes))
            if volume.reason:
                warnings.append(_warning(source, volume))
    inside = ExtentSet([(0, source.size_bytes)])
    return DiskPlan(used.intersection(inside), volumes, warnings, left_out)


def _leave_out(
    file_system: FileSystem, used: ExtentSet, exclude: Sequence[Pattern], mount_points: Sequence[str]
) -> Tuple[ExtentSet, List[LeftOut], List[str]]:
    always = [Pattern.parse(text) for text in file_system.always_left_out]
    tree = file_system.tree() if exclude or always else None
    if tree is None:
        reason = "files of %s can't be left out by this version." % file_system.kind
        return used, [], [reason] if any(pattern.below(mount_points, True) for pattern in exclude) else []
    patterns = [*always, *exclude]
    outcome = leave_out(used, tree, [pattern.below(mount_points, tree.case_sensitive) for pattern in patterns])
    found = [
        LeftOut(pattern.text, number < len(always), *matched)
        for number, (pattern, matched) in enumerate(zip(patterns, outcome.matched))
    ]
    return outcome.kept, found, outcome.warnings


def _plan_volume(
    source: BlockSource, partition: Partition, state: VolumeState, wanted: bool
) -> Tuple[PlannedVolume, ExtentSet, Optional[FileSystem]]:
    window = WindowSource(source, partition.start_bytes, partition.length_bytes)
    everything = ExtentSet([(0, window.size_bytes)])
    if not wanted:
        empty = PlannedVolume(partition.number, "", "", "", window.size_bytes, 0, True, "", False)
        return empty, ExtentSet(), None
    file_system: Optional[FileSystem] = None
    try:
        file_system = detect(window)
        if file_system is None:
            kind = recognise(window)
            reason = "it holds %s" % kind if kind else "no file system was recognised"
            if not kind and partition.role in ("microsoft-reserved", "bios-boot"):
                reason = ""  # nothing else is expected there
            volume = (kind or "", "", "", False, reason, everything)
        else:
            answer = file_system.used(state)
            volume = (
                file_system.kind,
                file_system.label,
                file_system.uuid,
                answer.trusted,
                answer.reason,
                answer.extents,
            )
    except DiskError as error:
        volume = ("", "", "", False, str(error), everything)
    kind_found, label, uuid, trusted, reason, extents = volume
    planned = PlannedVolume(
        partition.number, kind_found, label, uuid, window.size_bytes, extents.total_bytes, trusted, reason, True
    )
    return planned, extents, file_system


def recognise(source: BlockSource) -> str:
    """Name what is on a volume that is imaged whole, "" when that is not known either."""
    for offset, magic, name in _SIGNATURES:
        if source.size_bytes >= offset + len(magic) and source.read(offset, len(magic)) == magic:
            return name
    return ""


def _name(source: BlockSource, volume: PlannedVolume) -> str:
    return "Partition %d of %s" % (volume.number, source.path) if volume.number else source.path


def _warning(source: BlockSource, volume: PlannedVolume) -> str:
    what, reason = _name(source, volume), volume.reason.rstrip(".")
    return "%s is imaged whole (%d bytes): %s." % (what, volume.size_bytes, reason)
