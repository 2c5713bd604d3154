# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each byte of an imaged disk comes to be on a target of another size: space is inserted or removed at a few places."""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Sequence

UNIT_BYTES = 1 << 20  # places move by whole units: partitions keep their alignment, chunks their grid


class Cut(NamedTuple):
    """At ``at_bytes`` of the imaged disk ``by_bytes`` are inserted, or (negative) the bytes right before it are removed."""

    at_bytes: int
    by_bytes: int


class Segment(NamedTuple):
    """Bytes of the imaged disk in one piece, and their place on the target."""

    start_bytes: int
    length_bytes: int
    target_bytes: int

    @property
    def end_bytes(self) -> int:
        return self.start_bytes + self.length_bytes


class Shift:
    """Maps places of the imaged disk to places of the target, in rising order of both."""

    def __init__(self, cuts: Sequence[Cut] = ()) -> None:
        self.cuts: List[Cut] = sorted(cut for cut in cuts if cut.by_bytes)

    def start(self, place_bytes: int) -> int:
        """The new place of what begins at ``place_bytes``; of what is removed, where the removed bytes were."""
        place = place_bytes
        for cut in self.cuts:
            if cut.at_bytes <= place_bytes:
                place += cut.by_bytes
            else:  # an extended partition may end in a gap of which a part is removed
                place -= max(0, place_bytes - (cut.at_bytes + min(0, cut.by_bytes)))
                break
        return place

    def end(self, place_bytes: int) -> int:
        """The new place of what ends before ``place_bytes``: a partition that ends at a cut becomes larger or smaller there."""
        return self.start(place_bytes)

    def segments(self, end_bytes: int) -> Iterator[Segment]:
        """Yield what stays of the first ``end_bytes`` of the imaged disk."""
        start = target = 0
        for cut in [*self.cuts, Cut(end_bytes, 0)]:
            removed = max(0, -cut.by_bytes)
            length = min(cut.at_bytes - removed, end_bytes) - start
            if length > 0:
                yield Segment(start, length, target)
            target += cut.at_bytes - start + cut.by_bytes
            start = cut.at_bytes
