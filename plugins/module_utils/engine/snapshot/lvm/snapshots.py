# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of logical volumes: made together, noticed when they run full, removed always.

A snapshot is called ``plantops_<run>_<number>`` and tagged, so that the next run knows what a killed one left. Making one
freezes the file system on the volume for that moment: device mapper does it in the kernel, and no process has to thaw it.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import Dict, List, NamedTuple, Sequence, Tuple

from ...amounts import size
from ...disk.source import FileSource
from ...errors import DiskUnreadable, EngineError, SnapshotFailed, SnapshotOverflowed
from .report import LogicalVolume, Report, VolumeGroup, read_report, run_tool

TAG = "plantops.imaging"
_NAME = re.compile(r"plantops_[a-z0-9-]{1,64}_\d{1,4}")
_LOCK = "/run/plantops-imaging-snapshot.lock"
_LEAST_BYTES = 16 << 20
_LEAST_SHARE = 50  # a snapshot has room for a fiftieth of its volume, or is not made
_REMOVALS = 5
_PAUSE_SECONDS = 1.0
_LOCKINGS = 20
# Without a copy of the group's metadata in /etc/lvm for each snapshot: a run leaves a device's files as they were.
_QUIETLY = ("--autobackup", "n", "--yes", "--quiet")


class Snapshot(NamedTuple):
    """A snapshot as it was asked for."""

    group: str
    name: str
    origin: str
    size_bytes: int

    @property
    def full_name(self) -> str:
        return "%s/%s" % (self.group, self.name)


class SnapshotSource(FileSource):
    """A volume as it was. Data that its snapshot could not keep is an error, never other bytes."""

    def __init__(self, path: str, snapshot: Snapshot) -> None:
        super().__init__(path)
        self._snapshot = snapshot

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """:raises SnapshotOverflowed: when more was written to the volume than its snapshot has room for."""
        try:
            return super().read(offset_bytes, length_bytes)
        except DiskUnreadable as error:
            raise self._explained(error) from None

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        """:raises SnapshotOverflowed: as :meth:`read`."""
        try:
            super().read_into(offset_bytes, buffer)
        except DiskUnreadable as error:
            raise self._explained(error) from None

    def _explained(self, error: DiskUnreadable) -> EngineError:
        one = self._snapshot
        if not is_full(one):
            return error
        return SnapshotOverflowed(volume="%s/%s" % (one.group, one.origin), group=one.group, size_bytes=one.size_bytes)


def lock_snapshots(tries: int = _LOCKINGS) -> int:
    """Take the lock of this machine's snapshots; it ends with the process, or by :func:`unlock_snapshots`.

    :raises SnapshotFailed: when another run has it.
    """
    import fcntl  # not on Windows, where nothing gets here

    for number in range(tries):
        if number:
            time.sleep(_PAUSE_SECONDS)  # a run that only removes stale snapshots holds it for a moment
        try:
            descriptor = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise SnapshotFailed(volume=_LOCK, reason="it can't be locked: %s" % error.strerror) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.exists(_LOCK) and os.path.samestat(os.stat(_LOCK), os.fstat(descriptor)):
                return descriptor
        except OSError:
            os.close(descriptor)  # another run has it
        else:
            os.close(descriptor)  # another run ended in this moment and took the file away
    raise SnapshotFailed(volume="LVM", reason="another run of this machine holds snapshots")


def unlock_snapshots(descriptor: int) -> None:
    """Give the lock free and leave no file."""
    with contextlib.suppress(FileNotFoundError):  # the state file below /run was deleted
        os.unlink(_LOCK)
    os.close(descriptor)


def stale_snapshots(report: Report) -> List[LogicalVolume]:
    """Snapshots of runs that were killed. A volume with our name but not our tag, or that is not a snapshot, is foreign."""
    return [one for one in report.logical if _NAME.fullmatch(one.name) and TAG in one.tags and one.origin]


def share_room(group: VolumeGroup, volumes: Sequence[LogicalVolume]) -> Tuple[Dict[str, int], str]:
    """Divide what is free among snapshots of ``volumes``, by their sizes.

    :return: the extents for each volume's name, or none and why there is no room.
    """
    total_bytes = sum(volume.size_bytes for volume in volumes)
    shares: Dict[str, int] = {}
    needed = 0
    for volume in volumes:
        least = -(-max(_LEAST_BYTES, volume.size_bytes // _LEAST_SHARE) // group.extent_bytes)
        most = -(-volume.size_bytes * 102 // 100 // group.extent_bytes) + 1  # all of it, and the table that says where
        shares[volume.name] = min(most, group.free_extents * volume.size_bytes // max(total_bytes, 1))
        needed += least
        if shares[volume.name] < least:
            shares[volume.name] = 0
    if all(shares.values()):
        return shares, ""
    free_bytes = group.free_extents * group.extent_bytes
    reason = "the volume group %s has %s free, but its snapshots need at least %s"
    return {}, reason % (group.name, size(free_bytes), size(needed * group.extent_bytes))


def make(group: VolumeGroup, volume: LogicalVolume, extents: int, name: str) -> Snapshot:
    """:raises SnapshotFailed: when the tools refuse."""
    command = ["lvcreate", "--snapshot", "--permission", "r", "--extents", str(extents), "--name", name]
    options = ["--addtag", TAG, "--ignoremonitoring", *_QUIETLY]
    status, dummy_output, error = run_tool([*command, *options, volume.full_name])
    if status:
        raise SnapshotFailed(volume=volume.full_name, reason=_words(error))
    return Snapshot(group.name, name, volume.name, extents * group.extent_bytes)


def remove(full_name: str) -> str:
    """Remove a snapshot; return why that failed, "" if it is removed. Scanners of the system may hold it for a moment."""
    error = ""
    for number in range(_REMOVALS):
        if number:
            time.sleep(_PAUSE_SECONDS)
        # Without a time limit: what ends it in its middle may leave a volume suspended.
        status, dummy_output, error = run_tool(["lvremove", "--force", *_QUIETLY, full_name])
        if not status or "Failed to find logical volume" in error:
            return ""
    return _words(error).rstrip(".")


def is_full(snapshot: Snapshot) -> bool:
    """Whether a snapshot ran full, or is missing: then it can't be read any more."""
    found = [one for one in read_report().logical if one.full_name == snapshot.full_name]
    return not found or found[0].is_invalid


def check_unchanged(before: Report, after: Report, groups: Sequence[str]) -> None:
    """:raises SnapshotFailed: when volumes were moved, resized, made or deleted while the snapshots were made."""
    for group in groups:
        if _shape(before, group) != _shape(after, group):
            raise SnapshotFailed(volume=group, reason="the volume group changed while its snapshots were created")


def _shape(report: Report, group: str) -> object:
    places = sorted((one.path, one.start_bytes, one.extents) for one in report.physical if one.group == group)
    volumes = sorted(
        (one.name, one.size_bytes, one.segments)
        for one in report.logical
        if one.group == group and not (_NAME.fullmatch(one.name) and TAG in one.tags)
    )
    return places, volumes


def _words(error: str) -> str:
    return " ".join(error.split())[:500].rstrip(".") or "the LVM tools gave no reason"
