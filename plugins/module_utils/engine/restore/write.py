# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what was planned: clear, mark, everything else, then partition tables and boot sectors, the marked sector last."""

from __future__ import annotations

from functools import partial
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..disk.extents import ExtentSet
from ..errors import RestoreReadBackDiffers, RestoreTargetChanged
from ..image.format.constants import CHUNK_BYTES
from ..image.reader import DiskReader
from .free_space import free_up
from .plan import PlannedDisk, Progress, look_at
from .resize.carry_out import finish_in_place
from .same import first_difference
from .target import MARKER_BYTES, Target, with_places

_LAST_BYTES = 1 << 20  # at both ends of the disk lie its partition tables
_HELD_BYTES = 32 << 20
_WRITE_BYTES = 512 << 10  # 2 MiB cost the kernel twice as much: what is gathered leaves the processor cache
_CLEAR_BYTES = 1 << 20
_SETTLE_BYTES = 32 << 20  # as much is handed to the disk at once, so that it works while the next bytes are decoded


class RestoredDisk(NamedTuple):
    disk: str
    target: str
    written_bytes: int
    kept_bytes: int  # already there from an interrupted restore


class _Body(NamedTuple):
    held: Dict[
        int, Tuple[int, Optional[bytes]]
    ]  # what waits for the end, by its start: length, and None: to be read again
    written_bytes: int
    kept_bytes: int


class _WriteBuffer:
    """Gathers pieces that follow one another into large writes."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._start = self._end = 0
        self._pieces: List[bytes] = []
        self._settled = 0

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
            if self._end - self._settled >= _SETTLE_BYTES:
                self._target.begin_sync(self._settled, self._end)
                self._settled = self._end


class _Ends(NamedTuple):
    marked_sector: bytes
    written_bytes: int


def write_disks(planned: List[PlannedDisk], progress: Progress, reads_back: bool) -> List[RestoredDisk]:
    """Write every disk that does not hold its image already.

    :param reads_back: whether each byte is compared with the image before a target becomes bootable.
    :raises RestoreTargetChanged: when a target is not what it was when the restore was planned. :raises RestoreWriteFailed:
    :raises RestoreReadBackDiffers: when a target does not return what was written.
    """
    todo = [disk for disk in planned if not disk.is_done]
    total_bytes = sum(disk.reader.size_bytes for disk in planned)
    before_bytes = total_bytes - sum(disk.reader.size_bytes for disk in todo)
    bodies: List[_Body] = []
    try:
        for disk in todo:
            disk.target.open_for_writing()
        for disk in todo:
            _look_again(disk)
        if todo:  # a run that ends from here on leaves targets that have changed
            progress("writing", before_bytes, total_bytes)
        for disk in todo:
            disk.target.grow(disk.reader.size_bytes)
        # Every disk keeps its marker until all are written: so a restore of several disks continues with each of them.
        for disk in todo:
            _mark_and_clear(disk, progress)
        for disk in todo:
            bodies.append(_write_body(disk, partial(_tell_place, progress, before_bytes, total_bytes)))
            before_bytes += disk.reader.size_bytes
        last = [_write_last(disk, body.held) for disk, body in zip(todo, bodies)]
        progress("writing", total_bytes, total_bytes)
        if reads_back:
            _read_back_all(todo, progress)
        for disk in todo:
            if disk.resizing is not None:
                disk.target.lend(partial(finish_in_place, disk.resizing))
        for disk, ends in zip(todo, last):
            disk.target.write(disk.mark_place, ends.marked_sector)
        for disk in todo:
            disk.target.sync()
        for disk, ends in zip(todo, last) if reads_back else ():
            _read_back_sector(disk, ends.marked_sector)
    finally:
        for disk in planned:
            disk.target.close()
    done = {
        disk.number: RestoredDisk(disk.name, disk.target.path, body.written_bytes + ends.written_bytes, body.kept_bytes)
        for disk, body, ends in zip(todo, bodies, last)
    }
    return [done.get(disk.number) or _all_kept(disk) for disk in planned]


def _read_back_all(disks: List[PlannedDisk], progress: Progress) -> None:
    total_bytes = sum(disk.reader.size_bytes for disk in disks)
    before_bytes = 0
    for disk in disks:
        _read_back(disk, partial(_tell_read_back, progress, before_bytes, total_bytes))
        before_bytes += disk.reader.size_bytes


def _tell_read_back(progress: Progress, before_bytes: int, total_bytes: int, place: int, dummy_size: int) -> None:
    progress("reading back", before_bytes + place, total_bytes)


def _read_back(disk: PlannedDisk, reached: Callable[[int, int], None]) -> None:
    """Compare everything but the marked sector with the image, zeroed free space with zeros: from the disk itself, as far as the
    system allows.

    :raises RestoreReadBackDiffers: the marker is still there, so that nothing starts from the target.
    """
    disk.target.forget_cache()
    unmarked = disk.allowed.difference(ExtentSet([(disk.mark_place, MARKER_BYTES)]))
    zeros = disk.zeros.intersection(unmarked)
    place = first_difference(disk.reader, disk.target, unmarked, zeros, reached)
    if place is not None:
        raise RestoreReadBackDiffers(target=disk.target.path, offset_bytes=place)


def _read_back_sector(disk: PlannedDisk, marked_sector: bytes) -> None:
    disk.target.forget_cache()
    if disk.target.read(disk.mark_place, MARKER_BYTES) != marked_sector:
        raise RestoreReadBackDiffers(target=disk.target.path, offset_bytes=disk.mark_place)


def _all_kept(disk: PlannedDisk) -> RestoredDisk:
    kept = sum(
        part.length_bytes for extent in disk.reader.extents() for part in disk.allowed.clipped(*_ends_of(extent))
    )
    return RestoredDisk(disk.name, disk.target.path, 0, kept)


def _ends_of(extent: Tuple[int, int]) -> Tuple[int, int]:
    return extent[0], extent[0] + extent[1]


def _look_again(disk: PlannedDisk) -> None:
    """Between the plan and the first write lies the proof of the image, on a slow line hours: the target is still as it was.

    :raises RestoreTargetChanged: when it is not.
    """
    found = look_at(disk.target, disk.marker, disk.reader, disk.scope)
    if found.resumes != disk.resumes:
        raise RestoreTargetChanged(target=disk.target.path, reason="another restore started or ended on it")
    if found.data and not disk.data:
        raise RestoreTargetChanged(target=disk.target.path, reason=found.data)
    before, now = disk.found.present, found.present
    claims = [sorted(one.identity for one in what.claims) if what is not None else [] for what in (before, now)]
    if found.table_stays != disk.found.table_stays or (disk.scope.is_partial and claims[0] != claims[1]):
        raise RestoreTargetChanged(target=disk.target.path, reason="its partitions changed")


def _tell_place(progress: Progress, before_bytes: int, total_bytes: int, place_bytes: int) -> None:
    progress("writing", before_bytes + place_bytes, total_bytes)


def _mark_and_clear(disk: PlannedDisk, progress: Progress) -> None:
    """From here on neither the old table nor an old boot sector is there, and the marker says why.

    Free space comes first: a discard skips the ranges that are cleared here.
    """
    target = disk.target
    target.write(disk.mark_place, with_places(disk.marker, disk.stale))
    target.sync()
    if disk.free_space is not None:
        free_up(disk.free_space, target, disk.reader, disk.mark_place, progress)
    cleared = disk.cleared.difference(ExtentSet([(disk.mark_place, MARKER_BYTES)]))
    if disk.resumes:
        # The one before may have been killed when it had cleared only a part; what it restored since stays.
        restored = ExtentSet((one.start_bytes, one.length_bytes) for one in disk.reader.extents())
        cleared = cleared.difference(restored.difference(_boot_areas(disk)))
    for extent in cleared:
        for start in range(extent.start_bytes, extent.end_bytes, _CLEAR_BYTES):
            zeros = bytes(min(_CLEAR_BYTES, extent.end_bytes - start))
            if target.read(start, len(zeros)) != zeros:  # a thin disk that is blank stays so
                target.write(start, zeros)
    if cleared:
        target.sync()


def _write_body(disk: PlannedDisk, reached: Callable[[int], None]) -> _Body:
    """Write everything but the boot areas, behind the marker. ``reached`` receives the offset on the disk, in bytes."""
    last = _boot_areas(disk)
    held: Dict[int, Tuple[int, Optional[bytes]]] = {}
    held_bytes = written = kept = 0
    buffer = _WriteBuffer(disk.target)
    for start, length, data in _pieces(disk, reached):
        if any(True for dummy in last.clipped(start, start + length)):
            held_bytes += length
            held[start] = (length, (data or bytes(length)) if held_bytes <= _HELD_BYTES else None)
            continue
        if data is None:
            if disk.blank:
                continue
            data = bytes(length)
        if disk.resumes and disk.target.read(start, length) == data:
            kept += length
            continue
        buffer.add(start, data)
        written += length
    buffer.flush()
    disk.target.sync()
    return _Body(held, written, kept)


def _pieces(disk: PlannedDisk, reached: Callable[[int], None]) -> Iterator[Tuple[int, int, Optional[bytes]]]:
    """The data of the image, cut to the bytes that may be written: start, length, and bytes or None for zeros."""
    allowed = disk.allowed
    is_everything = not allowed.complement(disk.reader.size_bytes)
    for piece in disk.reader.stream():
        start, end = piece.offset_bytes, piece.offset_bytes + piece.length_bytes
        reached(start)
        if is_everything:
            yield start, piece.length_bytes, piece.data
            continue
        for part in allowed.clipped(start, end):
            if part.length_bytes == piece.length_bytes or piece.data is None:
                yield part.start_bytes, part.length_bytes, piece.data
            else:
                inside = part.start_bytes - start
                yield part.start_bytes, part.length_bytes, piece.data[inside : inside + part.length_bytes]


def _boot_areas(disk: PlannedDisk) -> ExtentSet:
    """The boot areas that make the volumes of the disk visible: both ends, the first bytes of every partition, and the first chunk of
    everything that follows a gap (volumes inside of partitions)."""
    reader: DiskReader = disk.reader
    size = reader.size_bytes
    ends = ExtentSet([(0, min(_LAST_BYTES, size)), (max(0, size - _LAST_BYTES), min(_LAST_BYTES, size))])
    starts = ExtentSet(
        (extent.start_bytes, min(CHUNK_BYTES, extent.length_bytes))
        for extent in reader.extents()
        if extent.start_bytes % _LAST_BYTES == 0
    )
    boots = ExtentSet((start, MARKER_BYTES) for start in disk.end.partition_starts)
    return ends.union(starts).union(boots)


def _write_last(disk: PlannedDisk, held: Dict[int, Tuple[int, Optional[bytes]]]) -> _Ends:
    """Write what was held back, from the end of the disk to its start, all but the sector that has the marker."""
    written = 0
    marked = bytes(MARKER_BYTES)
    for start in sorted(held, reverse=True):
        length, data = held[start]
        if data is None:
            data = disk.reader.read(start, length)
        if start == disk.mark_place:
            marked = data[:MARKER_BYTES]
            if data[MARKER_BYTES:]:
                disk.target.write(MARKER_BYTES + start, data[MARKER_BYTES:])
        else:
            disk.target.write(start, data)
        written += length
    disk.target.sync()
    return _Ends(marked, written)
