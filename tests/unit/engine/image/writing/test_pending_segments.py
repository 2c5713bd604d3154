# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Segments get the names of their packs late: no reference keeps the stand-in, and what waits is bounded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, List, Optional, Tuple

import pytest
from engine.image.format import constants as fmt
from engine.image.format.index import Segment
from engine.image.format.root_columns import Place, SegmentReference
from engine.image.writing import pending_segments
from engine.image.writing.pack_stream import UNNAMED
from engine.image.writing.pending_segments import PendingSegments


class Stream:
    """Packs of two blobs, named in order."""

    def __init__(self) -> None:
        self.on_named: Callable[[str], None] = lambda pack: None
        self.blobs: List[Tuple[int, bytes]] = []
        self.names: List[str] = []

    def add(self, kind: int, blob_id: bytes, plain_bytes: int, codec: int, data: bytes) -> Place:
        assert plain_bytes > 0
        self.blobs.append((kind, blob_id))
        return Place(UNNAMED, len(self.blobs), len(data), codec)

    @property
    def is_full(self) -> bool:
        return len(self.blobs) >= 2

    def cut(self) -> None:
        if self.blobs:
            self.blobs = []
            self.names.append(("%02x" % (len(self.names) + 1)) * 32)
            self.on_named(self.names[-1])


class Counts:
    def __init__(self) -> None:
        self.segments: List[Segment] = []
        self.index: List[str] = []

    def count(self, segment: Segment, reference: Any, sign: int) -> None:
        assert (reference, sign) == (None, 1)
        assert not segment.has_pack(UNNAMED), "it is counted with its packs' names"
        self.segments.append(segment)

    def count_index(self, pack: str, stored_bytes: int) -> None:
        assert stored_bytes > 0
        self.index.append(pack)


class Parts:
    """What waits, with a stream, counts and references to look at."""

    def __init__(self, segments: int) -> None:
        self.stream, self.counts = Stream(), Counts()
        self.references = [SegmentReference(fmt.HOLE_ID, None, 0) for dummy in range(segments)]
        identifier: Any = SimpleNamespace(segment=lambda ids: bytes(ids[:1]) * 32)
        stream: Any = self.stream
        counts: Any = self.counts
        self.pending = PendingSegments(stream, identifier, counts, self.references)
        self.pending.listen()

    def add(self, number: int, earlier: Optional[Place] = None) -> Segment:
        """A segment of one chunk, which is in the pack being filled, or at an ``earlier`` place."""
        segment = Segment(1)
        self.pending.fill(segment)
        segment.set_ids(0, bytes([number + 1]) * fmt.ID_BYTES)
        segment.set_place(0, earlier or self.stream.add(fmt.KIND_CHUNK, b"", 1, 0, b"x"))
        if self.stream.is_full:
            self.stream.cut()
        self.pending.add_filled(number)
        return segment


def test_a_chunk_gets_the_name_of_its_pack_while_its_segment_is_filled_or_waits() -> None:
    parts = Parts(3)
    segments = [parts.add(number) for number in range(3)]
    first = parts.stream.names[0]
    assert [segment.packs_named() for segment in segments] == [{first}, {first}, {UNNAMED}]
    assert [reference.place for reference in parts.references] == [None] * 3, "they wait"
    assert not parts.pending.is_empty()
    parts.pending.settle()
    assert parts.pending.is_empty()
    assert segments[2].packs_named() == {parts.stream.names[1]}
    assert parts.counts.segments == segments


def test_a_segment_goes_into_the_pack_after_its_last_one_and_its_reference_gets_that_name() -> None:
    parts = Parts(3)
    for number in range(3):
        parts.add(number)
    parts.pending.settle()
    places = [reference.place for reference in parts.references]
    names = parts.stream.names
    assert [place.pack for place in places if place is not None] == [names[2], names[2], names[3]]
    assert [reference.segment_id for reference in parts.references] == [bytes([n + 1]) * 32 for n in range(3)]
    assert parts.counts.index == [names[2], names[2], names[3]], "each once"


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_segments, "_MAX_PENDING_SEGMENTS", 4)
    parts = Parts(6)
    for number in range(6):
        parts.add(number)
        assert len(parts.counts.segments) == (0 if number < 3 else 4)
    assert [reference.place is None for reference in parts.references] == [False] * 4 + [True] * 2


def test_without_segments_nothing_is_cut_or_stored() -> None:
    parts = Parts(1)
    parts.pending.settle()
    assert parts.stream.names == []
    with pytest.raises(AssertionError):
        parts.pending.add_filled(0)


def test_segments_whose_chunks_are_stored_already_need_no_pack_of_chunks() -> None:
    parts = Parts(1)
    segment = parts.add(0, Place("ee" * 32, 48, 10, 0))
    parts.pending.settle()
    assert segment.packs_named() == {"ee" * 32}
    place = parts.references[0].place
    assert place is not None
    assert [place.pack] == parts.stream.names
