# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a disk goes into an image: its structures, and what each selected volume has in use."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set

from ..errors import DiskError
from .extents import ExtentSet
from .filesystems.contract import VolumeState
from .filesystems.registry import detect
from .layout import DiskLayout, Partition
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

    def as_dict(self) -> Dict[str, Any]:
        return self._asdict()


class DiskPlan(NamedTuple):
    used: ExtentSet
    volumes: List[PlannedVolume]
    warnings: List[str]


StateOf = Callable[[Partition], VolumeState]


def plan_disk(
    source: BlockSource, layout: DiskLayout, state_of: StateOf, selected: Optional[Set[int]] = None
) -> DiskPlan:
    """Return what an image of the disk holds. ``selected`` are partition numbers, None for all.

    Partition structures, boot areas and small boot partitions are held always. A volume that is not understood, or
    whose bitmap can't be trusted as it stands, is held whole, with a warning.
    """
    used = layout.structures
    volumes = []
    warnings = list(layout.warnings)
    for partition in layout.partitions:
        if partition.role == "extended":
            continue
        small_boot = partition.role in _ALWAYS_ROLES or (
            (partition.role == "recovery" or partition.bootable) and partition.length_bytes <= _SMALL_BOOT_BYTES
        )
        wanted = selected is None or partition.number in selected or small_boot
        volume, extents = _plan_volume(source, partition, state_of(partition), wanted)
        volumes.append(volume)
        if wanted:
            used = used.union(extents.shifted(partition.start_bytes))
            if volume.reason:
                warnings.append(_warning(source, volume))
    inside = ExtentSet([(0, source.size_bytes)])
    return DiskPlan(used.intersection(inside), volumes, warnings)


def _plan_volume(source: BlockSource, partition: Partition, state: VolumeState, wanted: bool) -> Any:
    window = WindowSource(source, partition.start_bytes, partition.length_bytes)
    everything = ExtentSet([(0, window.size_bytes)])
    if not wanted:
        empty = PlannedVolume(partition.number, "", "", "", window.size_bytes, 0, True, "", False)
        return empty, ExtentSet()
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
    return planned, extents


def recognise(source: BlockSource) -> str:
    """Name what is on a volume that is imaged whole, "" when that is not known either."""
    for offset, magic, name in _SIGNATURES:
        if source.size_bytes >= offset + len(magic) and source.read(offset, len(magic)) == magic:
            return name
    return ""


def _warning(source: BlockSource, volume: PlannedVolume) -> str:
    what = "Partition %d of %s" % (volume.number, source.path) if volume.number else source.path
    return "%s is imaged whole (%d bytes): %s." % (what, volume.size_bytes, volume.reason.rstrip("."))
