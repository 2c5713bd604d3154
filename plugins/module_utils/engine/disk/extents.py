# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of byte ranges: which parts of a disk or volume are in use, and set arithmetic on them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import Iterable, Iterator, NamedTuple, Tuple


class Extent(NamedTuple):
    """A range of bytes: ``start_bytes`` from the beginning of the disk or volume, ``length_bytes`` long."""

    start_bytes: int
    length_bytes: int

    @property
    def end_bytes(self) -> int:
        return self.start_bytes + self.length_bytes


class ExtentSet:
    """An immutable set of bytes, kept as sorted, disjoint, non-adjacent ranges in two flat arrays.

    Flat arrays hold a million ranges in 16 MB, where a list of tuples would take 150.
    """

    __slots__ = ("_starts", "_ends")

    def __init__(self, extents: Iterable[Tuple[int, int]] = ()) -> None:
        """Take ``(start_bytes, length_bytes)`` pairs in any order; overlaps and neighbours are joined, empty ones
        dropped."""
        pairs = sorted((start, start + length) for start, length in extents if length > 0)
        self._starts = array("Q")
        self._ends = array("Q")
        for start, end in pairs:
            self._append(start, end)

    @classmethod
    def from_sorted(cls, extents: Iterable[Tuple[int, int]]) -> ExtentSet:
        """Build from ``(start_bytes, length_bytes)`` pairs that come in rising order of start, without sorting them."""
        result = cls()
        for start, length in extents:
            if length > 0:
                result._append(start, start + length)
        return result

    def _append(self, start: int, end: int) -> None:
        if self._ends and start <= self._ends[-1]:
            if start < self._starts[-1]:
                raise ValueError("extents are not sorted")
            if end > self._ends[-1]:
                self._ends[-1] = end
        else:
            self._starts.append(start)
            self._ends.append(end)

    def __iter__(self) -> Iterator[Extent]:
        for start, end in zip(self._starts, self._ends):
            yield Extent(start, end - start)

    def __len__(self) -> int:
        return len(self._starts)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExtentSet):
            return NotImplemented
        return self._starts == other._starts and self._ends == other._ends

    def __hash__(self) -> int:
        return hash((self._starts.tobytes(), self._ends.tobytes()))

    def __repr__(self) -> str:
        shown = ", ".join("%d+%d" % pair for pair, dummy in zip(self, range(6)))
        return "ExtentSet(%s%s)" % (shown, ", ... %d in all" % len(self) if len(self) > 6 else "")

    @property
    def total_bytes(self) -> int:
        return sum(self._ends) - sum(self._starts)

    @property
    def end_bytes(self) -> int:
        """The end of the last extent, 0 when empty."""
        return self._ends[-1] if self._ends else 0

    def union(self, other: ExtentSet) -> ExtentSet:
        return ExtentSet.from_sorted(_merge(self, other))

    def intersection(self, other: ExtentSet) -> ExtentSet:
        return ExtentSet.from_sorted(_intersect(self, other))

    def difference(self, other: ExtentSet) -> ExtentSet:
        return ExtentSet.from_sorted(_subtract(self, other))

    def complement(self, size_bytes: int) -> ExtentSet:
        """The bytes of ``[0, size_bytes)`` that are not in this set."""
        return ExtentSet([(0, size_bytes)]).difference(self)

    def shifted(self, by_bytes: int) -> ExtentSet:
        """The same set moved by ``by_bytes``: a volume's extents as extents of its disk."""
        return ExtentSet.from_sorted((extent.start_bytes + by_bytes, extent.length_bytes) for extent in self)

    def clipped(self, start_bytes: int, end_bytes: int) -> Iterator[Extent]:
        """Yield the parts within ``[start_bytes, end_bytes)``, found by bisection."""
        position = bisect_right(self._ends, start_bytes)
        while position < len(self._starts) and self._starts[position] < end_bytes:
            start = max(self._starts[position], start_bytes)
            end = min(self._ends[position], end_bytes)
            yield Extent(start, end - start)
            position += 1

    def aligned(self, unit_bytes: int) -> ExtentSet:
        """The smallest set of whole units of ``unit_bytes`` that holds this set."""
        return ExtentSet.from_sorted(
            (start - start % unit_bytes, -(-end // unit_bytes) * unit_bytes - (start - start % unit_bytes))
            for start, end in zip(self._starts, self._ends)
        )


def covered_twice(starts: Iterable[int], ends: Iterable[int]) -> ExtentSet:
    """Count the bytes that two or more ranges share. ``starts`` and ``ends`` hold the ranges' bounds, each in any
    order."""
    pairs = []
    depth, begin = 0, 0
    ends = iter(sorted(ends))
    end = next(ends, None)
    for start in sorted(starts):
        while end is not None and end <= start:
            if depth == 2 and end > begin:
                pairs.append((begin, end - begin))
            depth -= 1
            end = next(ends, None)
        depth += 1
        if depth == 2:
            begin = start
    while end is not None:
        if depth == 2 and end > begin:
            pairs.append((begin, end - begin))
        depth -= 1
        end = next(ends, None)
    return ExtentSet.from_sorted(pairs)


def _merge(left: Iterable[Extent], right: Iterable[Extent]) -> Iterator[Extent]:
    left_iterator, right_iterator = iter(left), iter(right)
    first, second = next(left_iterator, None), next(right_iterator, None)
    while first is not None and second is not None:
        if first.start_bytes <= second.start_bytes:
            yield first
            first = next(left_iterator, None)
        else:
            yield second
            second = next(right_iterator, None)
    if first is not None:
        yield first
        yield from left_iterator
    if second is not None:
        yield second
        yield from right_iterator


def _intersect(left: Iterable[Extent], right: Iterable[Extent]) -> Iterator[Extent]:
    left_iterator, right_iterator = iter(left), iter(right)
    first, second = next(left_iterator, None), next(right_iterator, None)
    while first is not None and second is not None:
        start = max(first.start_bytes, second.start_bytes)
        end = min(first.end_bytes, second.end_bytes)
        if start < end:
            yield Extent(start, end - start)
        if first.end_bytes <= second.end_bytes:
            first = next(left_iterator, None)
        else:
            second = next(right_iterator, None)


def _subtract(left: Iterable[Extent], right: Iterable[Extent]) -> Iterator[Extent]:
    right_iterator = iter(right)
    hole = next(right_iterator, None)
    for extent in left:
        start, end = extent.start_bytes, extent.end_bytes
        while hole is not None and hole.end_bytes <= start:
            hole = next(right_iterator, None)
        while hole is not None and hole.start_bytes < end:
            if hole.start_bytes > start:
                yield Extent(start, hole.start_bytes - start)
            start = max(start, hole.end_bytes)
            if hole.end_bytes >= end:
                break
            hole = next(right_iterator, None)
        if start < end:
            yield Extent(start, end - start)
