# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The free space of a target: what the image does not hold of the disk is left, discarded or zeroed, when the whole disk is restored.

Free is what may be written and is not in the image. Between partitions only a gap of which the image holds nothing but tables is free: where
it holds bytes, a boot loader or a licence may own the rest of the gap as well.
"""

from __future__ import annotations

import os
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..disk.extents import ExtentSet
from ..disk.gpt import read_gpt
from ..disk.mbr import read_mbr
from ..errors import RestoreCannotDiscard, RestoreFreeSpaceRefused, RestoreWriteFailed
from ..host.free_ranges import Discarding, discard, discarding_of_device, discarding_of_file, zero
from ..host.stack import BlockTree
from ..image.reader import DiskReader
from ..image.source import ImageSource
from .resize.held import Held
from .resize.mbr_table import ebr_ranges
from .resize.view import Aside
from .resize.wishes import DISCARD, KEEP, ZERO
from .scope import Scope
from .target import MARKER_BYTES, Target

_STEP_BYTES = 256 << 20  # after each the run may be cancelled
_WRITE_BYTES = 1 << 20
_MOST_GAPS = 10_000
Progress = Callable[[str, int, int], None]
_PHASES = {DISCARD: "discarding", ZERO: "zeroing"}


class FreeSpace(NamedTuple):
    """The wish for the free space of a target, checked."""

    action: str
    unit_bytes: int  # in which the target discards
    left: ExtentSet  # gaps that stay as they are, because the image holds bytes in them
    allowed: ExtentSet
    asides: Sequence[Aside]  # volumes that shrink
    is_blank: bool  # a new file has nothing to free

    def ranges(self, reader: DiskReader) -> ExtentSet:
        """The free bytes, as far as they are known: a volume that shrinks is known once it was made smaller aside."""
        if self.is_blank:
            return ExtentSet()
        unknown = ExtentSet((one.start_bytes, one.length_bytes) for one in self.asides if one.source is None)
        free = self.allowed.difference(reader.streamed()).difference(unknown).difference(self.left)
        if self.action != DISCARD:
            return free
        return ExtentSet.from_sorted(_within(free, self.unit_bytes))


class Wanted(NamedTuple):
    """The restore whose free space is planned."""

    disk: str
    reader: DiskReader
    scope: Scope
    allowed: ExtentSet
    cleared: ExtentSet
    asides: Sequence[Aside]
    why_not: str  # why this restore frees nothing, "" when nothing speaks against it


def plan_free_space(action: str, target: Target, wanted: Wanted) -> Optional[FreeSpace]:
    """Check the wish, and return None for a target whose free space stays as it is.

    :raises RestoreFreeSpaceRefused: :raises RestoreCannotDiscard: before anything is written.
    """
    if action == KEEP:
        return None
    why_not = wanted.why_not
    if wanted.scope.is_partial:
        why_not = "not the whole disk is restored"
    if why_not:
        raise RestoreFreeSpaceRefused(target=target.path, disk=wanted.disk, reason=why_not)
    is_blank = not target.exists or (not target.is_device and target.size_bytes == 0)
    unit = 1
    if action == DISCARD and not is_blank:
        unit, reason = _discarding(target)
        if reason:
            raise RestoreCannotDiscard(target=target.path, reason=reason)
    size_bytes = max(target.size_bytes, wanted.reader.size_bytes)
    left = _left(wanted.reader, wanted.scope, size_bytes)
    # A disk may return other bytes for a discarded range at each read, so ranges that have to be zeros are not discarded.
    allowed = wanted.allowed.difference(wanted.cleared) if action == DISCARD else wanted.allowed
    return FreeSpace(action, unit, left, allowed, wanted.asides, is_blank)


def _discarding(target: Target) -> Discarding:
    if target.is_device:
        return discarding_of_device(target.path, BlockTree())
    return discarding_of_file(os.path.dirname(os.path.realpath(target.path)))


def _left(reader: DiskReader, scope: Scope, size_bytes: int) -> ExtentSet:
    """The gaps between partitions, and before and behind them, in which the image holds more than tables."""
    partitions = ExtentSet(
        (one.start_bytes, one.length_bytes) for one in scope.layout.partitions if one.role != "extended"
    )
    held = Held(reader, _tables(reader, scope.layout.scheme))
    found = []
    for number, gap in enumerate(partitions.complement(size_bytes)):
        end = min(gap.end_bytes, reader.size_bytes)
        if number >= _MOST_GAPS or (gap.start_bytes < end and held.bytes_within(gap.start_bytes, end)):
            found.append((gap.start_bytes, gap.length_bytes))
    return ExtentSet(found)


def _tables(reader: DiskReader, scheme: str) -> ExtentSet:
    """The sectors of partition tables: a gap with them alone is free."""
    source = ImageSource(reader)
    sector = source.sector_bytes
    places = [(0, sector)] if scheme != "none" else []
    gpt = read_gpt(source) if scheme == "gpt" else None
    mbr = read_mbr(source) if scheme == "mbr" else None
    places += [(lba * sector, count * sector) for lba, count in gpt.areas] if gpt is not None else []
    places += ebr_ranges(source, mbr.tables_lba) if mbr is not None else []
    return ExtentSet(places)


def _within(free: ExtentSet, unit_bytes: int) -> Iterator[Tuple[int, int]]:
    """The whole units of each range."""
    for one in free:
        start = -(-one.start_bytes // unit_bytes) * unit_bytes
        end = one.end_bytes // unit_bytes * unit_bytes
        if start < end:
            yield start, end - start


def free_up(free: FreeSpace, target: Target, reader: DiskReader, mark_place: int, progress: Progress) -> None:
    """Discard or zero the free bytes of a marked target, but its marker. It may be repeated at any time before the volumes grow.

    :raises RestoreWriteFailed: naming the place that the system refuses.
    """
    ranges = free.ranges(reader).difference(ExtentSet([(mark_place, MARKER_BYTES)]))
    if free.action == DISCARD:
        ranges = ExtentSet.from_sorted(_within(ranges, free.unit_bytes))
    done, total = 0, ranges.total_bytes
    step = max(1, _STEP_BYTES // free.unit_bytes) * free.unit_bytes
    for one in ranges:
        for start in range(one.start_bytes, one.end_bytes, step):
            length = min(step, one.end_bytes - start)
            progress(_PHASES[free.action], done, total)
            _free_range(free.action, target, start, length)
            done += length
    if ranges:
        progress(_PHASES[free.action], total, total)
        target.sync()


def _free_range(action: str, target: Target, start: int, length: int) -> None:
    done: List[bool] = []  # by the system; a disk of Windows is lent to none

    def ask(descriptor: int) -> None:
        if action == DISCARD:
            discard(descriptor, target.is_device, start, length)
            done.append(True)
        else:
            done.append(zero(descriptor, start, length))

    try:
        if action == DISCARD or target.is_device:
            target.lend(ask)
    except OSError as error:
        raise RestoreWriteFailed(
            target=target.path, offset_bytes=start, length_bytes=length, reason=error.strerror
        ) from error
    if any(done):
        return
    for place in range(start, start + length, _WRITE_BYTES):
        zeros = bytes(min(_WRITE_BYTES, start + length - place))
        if target.read(place, len(zeros)) != zeros:  # a sparse file stays so
            target.write(place, zeros)
