# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of a disk outside of all partitions: those that are not zero are held in the image, or named.

Boards keep firmware there, installers an ISO 9660, virtual disks a footer, old tables a partition that nothing lists.
Up to 64 MiB of each gap are held. A gap that is too large to be read completely is sampled, and the run's log says so.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from ..errors import DiskUnreadable
from .extents import Extent, ExtentSet
from .source import BlockSource

HELD_BYTES = 64 << 20  # of each gap
LOOK_BYTES = 512 << 20  # that may be read of all gaps of a disk for this decision
_EDGE_BYTES = 1 << 20
_PIECE_BYTES = 1 << 20
_GRAIN_BYTES = 64 << 10
_SAMPLES = 256
_MOST_GAPS = 4096
_MOST_BAD = 64
_ZEROS = bytes(_PIECE_BYTES)


class Named(NamedTuple):
    """A gap of which not everything is in the image, or not everything was looked at."""

    place: int
    size_bytes: int
    missing_bytes: int  # that were found not to be zero, and are not in the image
    read_all: bool

    def as_dict(self) -> Dict[str, Any]:
        return self._asdict()


class Unclaimed(NamedTuple):
    """The bytes held of the gaps, the warnings for the user, and the lines for the log of the run."""

    held: ExtentSet
    named: List[Named]
    warnings: List[str]
    notes: List[str]


class _Looked(NamedTuple):
    found: ExtentSet  # what is not zero, in pieces of 64 KiB
    is_all: bool  # the gap was read as a whole
    unreadable: ExtentSet


def look_at(source: BlockSource, gaps: ExtentSet, look_bytes: int = LOOK_BYTES) -> Unclaimed:
    """Decide which bytes of ``gaps`` are held.

    :param source: the disk, paced where it must be.
    :param look_bytes: how much may be read for the decision.
    """
    held: List[Tuple[int, int]] = []
    named: List[Named] = []
    warnings: List[str] = []
    notes: List[str] = []
    left = look_bytes
    for number, gap in enumerate(gaps):
        if gap.length_bytes <= HELD_BYTES and (left < gap.length_bytes or number >= _MOST_GAPS):
            held.append(gap)  # unread: the image reads it anyway
            continue
        looked, cost = _look(source, gap, left)
        left = max(0, left - cost)
        kept = _first_bytes(looked.found, HELD_BYTES)
        held += kept
        missing = looked.found.difference(kept)
        if looked.unreadable:
            warnings.append("%s: %s" % (source.path, _unreadable(gap, looked.unreadable)))
        if not missing and not looked.unreadable and looked.is_all:
            continue
        named.append(
            Named(gap.start_bytes, gap.length_bytes, missing.total_bytes, looked.is_all and not looked.unreadable)
        )
        if not missing and looked.is_all:
            continue
        sentence = "%s: %s" % (source.path, _sentence(gap, looked, missing))
        (warnings if looked.found else notes).append(sentence)
    return Unclaimed(ExtentSet(held), named, warnings, notes)


def _sentence(gap: Extent, looked: _Looked, missing: ExtentSet) -> str:
    where = "%d bytes at byte %d are outside all partitions" % (gap.length_bytes, gap.start_bytes)
    if missing:
        least = "" if looked.is_all else " at least"
        return "%s and contain data, of which %d bytes%s (the first at byte %d) are not in the image." % (
            where,
            missing.total_bytes,
            least,
            next(iter(missing)).start_bytes,
        )
    if looked.found:
        return (
            "%s and contain data. The image includes the data that samples found; the rest was not read "
            "and is not included."
        ) % where
    what = "the first and the last megabyte and %d samples between them are zeros" % _SAMPLES
    return "%s; %s. The rest was not read and is not in the image." % (where, what)


def _unreadable(gap: Extent, unreadable: ExtentSet) -> str:
    first = next(iter(unreadable)).start_bytes
    return (
        "%d bytes (the first at byte %d) of the %d bytes at byte %d outside all partitions are unreadable; they "
        "are not in the image."
    ) % (
        unreadable.total_bytes,
        first,
        gap.length_bytes,
        gap.start_bytes,
    )


def _look(source: BlockSource, gap: Extent, left: int) -> Tuple[_Looked, int]:
    """Read a gap, or samples of it where it has more than ``left`` bytes that are not holes of a file."""
    data = list(source.data_ranges(gap.start_bytes, gap.end_bytes))
    total = sum(end - start for start, end in data)
    found: List[Tuple[int, int]] = []
    bad: List[Tuple[int, int]] = []
    is_all = total <= left
    ranges = data if is_all else list(_samples(gap))
    cost = 0
    for start, end in ranges:
        for place in range(start, end, _PIECE_BYTES):
            size = min(_PIECE_BYTES, end - place)
            cost += size
            try:
                found += _not_zero(source.read(place, size), place)
            except DiskUnreadable:
                _read_grains(source, place, size, found, bad)
    return _Looked(ExtentSet(found), is_all, ExtentSet(bad)), cost


def _read_grains(
    source: BlockSource, start: int, length: int, found: List[Tuple[int, int]], bad: List[Tuple[int, int]]
) -> None:
    """The readable bytes beside a bad sector; after several bad sectors, a dying disk is no longer read."""
    for place in range(start, start + length, _GRAIN_BYTES):
        size = min(_GRAIN_BYTES, start + length - place)
        if len(bad) >= _MOST_BAD:
            bad.append((place, size))
            continue
        try:
            found += _not_zero(source.read(place, size), place)
        except DiskUnreadable:
            bad.append((place, size))


def _samples(gap: Extent) -> Iterator[Tuple[int, int]]:
    yield gap.start_bytes, gap.start_bytes + _EDGE_BYTES
    step = (gap.length_bytes - 2 * _EDGE_BYTES) // (_SAMPLES + 1)
    for number in range(1, _SAMPLES + 1):
        place = gap.start_bytes + _EDGE_BYTES + number * step
        place -= place % _GRAIN_BYTES
        yield place, min(place + _GRAIN_BYTES, gap.end_bytes)
    yield gap.end_bytes - _EDGE_BYTES, gap.end_bytes


def _not_zero(data: bytes, start: int) -> Iterator[Tuple[int, int]]:
    if data == _ZEROS[: len(data)]:
        return
    for place in range(0, len(data), _GRAIN_BYTES):
        piece = data[place : place + _GRAIN_BYTES]
        if piece != _ZEROS[: len(piece)]:
            yield start + place, len(piece)


def _first_bytes(extents: ExtentSet, most: int) -> ExtentSet:
    kept: List[Tuple[int, int]] = []
    for start, length in extents:
        if most <= 0:
            break
        kept.append((start, min(length, most)))
        most -= length
    return ExtentSet(kept)
