# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores an image: plan everything, verify the image, then write; partition tables and boot sectors come last."""

from __future__ import annotations

from functools import partial
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from ..disk.extents import ExtentSet
from ..errors import (
    EngineError,
    ImageDamaged,
    RestoreMapInvalid,
    RestoreSectorSizeDiffers,
    RestoreTargetBusy,
    RestoreTargetChanged,
    RestoreTargetHoldsData,
    RestoreTargetTooSmall,
)
from ..image import documents
from ..image.format import CHUNK_BYTES, DEVICE_INFORMATION_NAME
from ..image.reader import DiskReader, ImageReader
from ..image.verify import verify_image
from ..storage.contract import Storage
from .ends import TargetEnd, end_of
from .target import MARKER_BYTES, Target, marker

_LAST_BYTES = 1 << 20  # at both ends of the disk lie its partition tables
_HELD_BYTES = 32 << 20
_WRITE_BYTES = 512 << 10  # 2 MiB cost the kernel twice as much: what is gathered leaves the processor cache
Progress = Callable[[str, int, int], None]


class PlannedDisk(NamedTuple):
    """One disk of a restore, checked."""

    number: int
    reader: DiskReader
    target: Target
    marker: bytes
    resumes: bool
    blank: bool
    data: str  # what is on the target now, "" when it looks blank
    left_alone: List[int]  # partitions whose volumes were not chosen when the image was made
    end: TargetEnd


class RestoredDisk(NamedTuple):
    disk: str
    target: str
    written_bytes: int
    kept_bytes: int  # already there from an interrupted restore


class _Body(NamedTuple):
    held: Dict[int, Optional[bytes]]  # the chunks that wait for the end, by where they start; None: to be read again
    written_bytes: int
    kept_bytes: int


class _Run:
    """Gathers pieces that follow one another into large writes."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._start = self._end = 0
        self._pieces: List[bytes] = []

    def add(self, offset_bytes: int, data: bytes) -> None:
        if offset_bytes != self._end or self._end - self._start >= _WRITE_BYTES:
            self.flush()
            self._start = offset_bytes
        self._pieces.append(data)
        self._end = offset_bytes + len(data)

    def flush(self) -> None:
        if self._pieces:
            self._target.write_pieces(self._start, self._pieces)
            self._pieces = []


class _Ends(NamedTuple):
    first_sector: bytes
    written_bytes: int


def plan(reader: ImageReader, targets: Dict[str, str], overwrite: bool) -> List[PlannedDisk]:
    """Check every disk and target. Nothing is written.

    :raises RestoreError: the map names no such disk; a target is in use, too small, or holds data.
    """
    names = [disk.name for disk in reader.manifest.disks]
    if not targets:
        raise RestoreMapInvalid(reason="it is empty; the image holds %s" % ", ".join(names))
    unknown = sorted(set(targets) - set(names))
    if unknown:
        raise RestoreMapInvalid(reason="the image has no %s, only %s" % (unknown[0], ", ".join(names)))
    opened = {name: Target(path) for name, path in sorted(targets.items())}
    if len({target.identity for target in opened.values()}) != len(opened):
        raise RestoreMapInvalid(reason="two disks go to the same target")
    return [_plan_disk(reader, names.index(name), target, overwrite) for name, target in opened.items()]


def sentences(planned: List[PlannedDisk], image: str) -> List[str]:
    """The plan in words, for check mode and the log."""
    return [
        "disk%d of %s (%d bytes) goes to %s%s%s%s"
        % (
            disk.number,
            image,
            disk.reader.size_bytes,
            disk.target.path,
            ", going on with an interrupted restore" if disk.resumes else "",
            _alone(disk.left_alone),
            _larger(disk),
        )
        for disk in planned
    ]


def transitions(planned: List[PlannedDisk], image: str) -> List[Dict[str, str]]:
    """What each target is and what it becomes: the two sides of a diff."""
    return [
        {
            "target": disk.target.path,
            "before": _present(disk),
            "after": "disk%d of %s, %d bytes" % (disk.number, image, disk.reader.size_bytes),
        }
        for disk in planned
    ]


def _present(disk: PlannedDisk) -> str:
    if not disk.target.exists:
        return "no file"
    what = "an interrupted restore of the same image" if disk.resumes else disk.data or "it is blank"
    return "%d bytes, %s" % (disk.target.size_bytes, what)


def _alone(partitions: List[int]) -> str:
    """A disk image always has the whole partition table, but not always what is in every partition."""
    if not partitions:
        return ""
    return "; what is there now in partition %s stays, the image has nothing of it" % ", ".join(map(str, partitions))


def _larger(disk: PlannedDisk) -> str:
    """A larger disk works as it is; that the backup table lies elsewhere than tools expect, they will say."""
    if not disk.end.unused_bytes:
        return ""
    said = "; its last %d bytes are not used" % disk.end.unused_bytes
    if disk.end.has_gpt and disk.target.is_device:
        said += ", and the backup of its partition table is moved to its end with sgdisk -e %s" % disk.target.path
    return said


def restore(
    storage: Storage,
    device: str,
    image: str,
    targets: Dict[str, str],
    *,
    password: Optional[str] = None,
    overwrite: bool = False,
    progress: Progress = lambda phase, done, total: None,
) -> List[RestoredDisk]:
    """Restore disks of ``image`` onto ``targets`` (``{"disk0": "/dev/sdb"}``).

    :raises EngineError: before the first byte is written for everything that can be known before: the plan, the
        password, damage anywhere in what is stored.
    """
    reader = ImageReader(storage, device, image, password)
    return carry_out(storage, device, reader, plan(reader, targets, overwrite), progress)


def carry_out(
    storage: Storage, device: str, reader: ImageReader, planned: List[PlannedDisk], progress: Progress
) -> List[RestoredDisk]:
    """Restore what was planned a moment ago.

    :raises EngineError: as :func:`restore`.
    """
    report = verify_image(storage, device, reader.image, "storage", progress=progress, record=False, beside=False)
    if not report.ok:
        raise ImageDamaged(image=reader.image, reason=report.problems[0].rstrip("."))
    for disk in planned:
        disk.reader.prove_index()  # the whole index opens, or nothing is written
    return _write_disks(planned, progress)


def _plan_disk(reader: ImageReader, number: int, target: Target, overwrite: bool) -> PlannedDisk:
    entry = reader.manifest.disks[number]
    mark = marker(reader.manifest.device, reader.image, reader.manifest.sequence, entry.name, reader.manifest.key_id)
    uses = target.uses()
    if uses:
        raise RestoreTargetBusy(target=target.path, reason=uses[0])
    too_small = target.exists and target.size_bytes < entry.size_bytes
    if too_small and (target.is_device or target.size_bytes > 0):
        raise RestoreTargetTooSmall(
            target=target.path, target_bytes=target.size_bytes, disk=entry.name, needed_bytes=entry.size_bytes
        )
    if target.is_device and target.sector_bytes != entry.sector_bytes:
        raise RestoreSectorSizeDiffers(
            target=target.path,
            target_sector_bytes=target.sector_bytes,
            disk=entry.name,
            sector_bytes=entry.sector_bytes,
        )
    resumes, data = _found_on(target, mark)
    if data and not overwrite:
        raise RestoreTargetHoldsData(target=target.path, reason=data)
    # Only what nobody wrote to reads as zeros everywhere; a device that looks blank was merely sampled.
    blank = not target.exists or (not target.is_device and target.size_bytes == 0)
    left_alone = _not_chosen(reader, entry.name)
    disk = reader.disk(number)
    end = end_of(disk, target.size_bytes)
    return PlannedDisk(number, disk, target, mark, resumes, blank, data, left_alone, end)


def _not_chosen(reader: ImageReader, disk: str) -> List[int]:
    """The partitions that the image has as holes, as the run that made it noted; that is for people, nothing relies on it."""
    try:
        information = documents.parse(reader.document(DEVICE_INFORMATION_NAME))
        volumes = information["disks"][disk]["volumes"]
        return sorted({int(one["number"]) for one in volumes if one["selected"] is False})
    except (EngineError, ValueError, TypeError, KeyError, AttributeError):
        return []


def _write_disks(planned: List[PlannedDisk], progress: Progress) -> List[RestoredDisk]:
    total_bytes = sum(disk.reader.size_bytes for disk in planned)
    before_bytes = 0
    bodies: List[_Body] = []
    try:
        for disk in planned:
            disk.target.open_for_writing()
        for disk in planned:
            _look_again(disk)
            disk.target.grow(disk.reader.size_bytes)
        # Every disk keeps its marker until all are written: so a restore of several disks goes on with each of them.
        for disk in planned:
            bodies.append(_write_body(disk, partial(_tell_place, progress, before_bytes, total_bytes)))
            before_bytes += disk.reader.size_bytes
        last = [_write_last(disk, body.held) for disk, body in zip(planned, bodies)]
        for disk, ends in zip(planned, last):
            disk.target.write(0, ends.first_sector)
        for disk in planned:
            disk.target.sync()
        progress("writing", total_bytes, total_bytes)
    finally:
        for disk in planned:
            disk.target.close()
    return [
        RestoredDisk("disk%d" % disk.number, disk.target.path, body.written_bytes + ends.written_bytes, body.kept_bytes)
        for disk, body, ends in zip(planned, bodies, last)
    ]


def _look_again(disk: PlannedDisk) -> None:
    """Between the plan and the first write lies the proof of the image, on a slow line hours: the target is still as it was.

    :raises RestoreTargetChanged: when it is not.
    """
    resumes, data = _found_on(disk.target, disk.marker)
    if resumes != disk.resumes:
        raise RestoreTargetChanged(target=disk.target.path, reason="another restore has begun or ended on it")
    if data and not disk.data:
        raise RestoreTargetChanged(target=disk.target.path, reason=data)


def _found_on(target: Target, mark: bytes) -> Tuple[bool, str]:
    """Whether an interrupted restore of the same image can go on there, and else what looks like data."""
    resumes = target.marker() == mark
    return resumes, "" if resumes else target.data_found()


def _tell_place(progress: Progress, before_bytes: int, total_bytes: int, place_bytes: int) -> None:
    progress("writing", before_bytes + place_bytes, total_bytes)


def _write_body(disk: PlannedDisk, reached: Callable[[int], None]) -> _Body:
    """Write everything but the boot areas, behind the marker. ``reached`` is told the offset on the disk, in bytes."""
    target, reader = disk.target, disk.reader
    target.write(0, disk.marker)
    target.sync()
    if not disk.blank and disk.end.cleared.length_bytes:
        target.write(disk.end.cleared.start_bytes, bytes(disk.end.cleared.length_bytes))
    last = _boot_areas(reader, disk.end.partition_starts)
    held: Dict[int, Optional[bytes]] = {}
    held_bytes = 0
    written = kept = 0
    run = _Run(target)
    for piece in reader.stream():
        start, length = piece.offset_bytes, piece.length_bytes
        reached(start)
        if any(True for dummy in last.clipped(start, start + length)):
            held_bytes += length
            held[start] = (piece.data or bytes(length)) if held_bytes <= _HELD_BYTES else None
            continue
        data = piece.data
        if data is None:
            if disk.blank:
                continue
            data = bytes(length)
        if disk.resumes and target.read(start, length) == data:
            kept += length
            continue
        run.add(start, data)
        written += length
    run.flush()
    target.sync()
    return _Body(held, written, kept)


def _boot_areas(reader: DiskReader, partition_starts: List[int]) -> ExtentSet:
    """What makes the disk a disk with volumes: both ends, the first bytes of every partition, and the first chunk of
    everything that follows a gap (volumes inside of partitions)."""
    size = reader.size_bytes
    ends = ExtentSet([(0, min(_LAST_BYTES, size)), (max(0, size - _LAST_BYTES), min(_LAST_BYTES, size))])
    starts = ExtentSet(
        (extent.start_bytes, min(CHUNK_BYTES, extent.length_bytes))
        for extent in reader.extents()
        if extent.start_bytes % _LAST_BYTES == 0
    )
    boots = ExtentSet((start, MARKER_BYTES) for start in partition_starts)
    return ends.union(starts).union(boots)


def _write_last(disk: PlannedDisk, held: Dict[int, Optional[bytes]]) -> _Ends:
    """Write the chunks that were held back, from the end of the disk to its start, all but the first sector."""
    written = 0
    first = bytes(MARKER_BYTES)
    for start in sorted(held, reverse=True):
        data = held[start] or disk.reader.read(start, min(CHUNK_BYTES, disk.reader.size_bytes - start))
        if start == 0:
            first = data[:MARKER_BYTES]
            disk.target.write(MARKER_BYTES, data[MARKER_BYTES:])
        else:
            disk.target.write(start, data)
        written += len(data)
    disk.target.sync()
    return _Ends(first, written)
