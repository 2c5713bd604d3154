# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what is stored already of a segment of a disk: in earlier segments at the same place, or where its volume lay before.

Segments are fetched one by one, only where something is missing, and only as long as what may be found is worth it. Each
``_Place`` (an earlier disk, and by how far its chunks have moved) keeps score: a place where little was found is asked
seldom, one where nothing is found any more hardly at all, and all together have a budget (``look_budget.py``). So what is
fetched stays in proportion to what is not sent.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Callable, Dict, Iterator, List, Optional, Set, Tuple

from ..format import constants as fmt
from ..format.index import Segment
from ..segments import PackReader, load_segment
from .candidates import WORTH, Candidates
from .look_budget import LookBudget
from .pack_counts import PackCounts
from .previous import Previous
from .volume_places import VolumePlace, moves

_COME_BACK = 16  # a segment of which a sixteenth is in older images alone has come back from them
_FEW_CHUNKS = 16  # missing in a disk that is known by its name: not worth looking into other images
_DESCRIPTION_BYTES = 4 << 10  # what it takes to learn where an image's volumes lay
_MOST_MOVES = 64
_KEPT_SEGMENTS = 4  # two successive segments of a moved volume look into the same earlier one
_HOPE = 512  # chunks that stand for what is not known yet of a place


class _Place:
    """Chunks ``first`` up to ``end`` of the disk may be in ``previous``, ``by`` chunks further to the front."""

    def __init__(self, previous: Previous, first: int, end: int, by: int, hope: int) -> None:
        self.previous, self.first, self.end, self.by = previous, first, end, by
        self.is_certain = hope > _HOPE
        self._found, self._asked = float(min(hope, _HOPE)), float(_HOPE)

    def sources(self, number: int, count: int) -> List[Tuple[int, int]]:
        """The earlier segments that are asked for segment ``number``, and by how many chunks each is shifted in it."""
        start = number * fmt.SEGMENT_CHUNKS
        first, end = max(start, self.first, self.by), min(start + count, self.end)
        if first >= end:
            return []
        numbers = range((first - self.by) // fmt.SEGMENT_CHUNKS, (end - 1 - self.by) // fmt.SEGMENT_CHUNKS + 1)
        return [
            (other, other * fmt.SEGMENT_CHUNKS + self.by - start)
            for other in numbers
            if self.previous.reference(other).place is not None
        ]

    def cost(self, sources: List[Tuple[int, int]]) -> int:
        places = (self.previous.reference(other).place for other, dummy in sources)
        return sum(place.stored_bytes for place in places if place is not None)

    def is_worth(self, missing: int, cost_bytes: int) -> bool:
        return self.is_certain or missing * fmt.CHUNK_BYTES * self._found >= cost_bytes * self._asked

    def score(self, found: int, asked: int) -> None:
        self._found = self._found * 15 / 16 + found
        self._asked = max(float(_HOPE), self._asked * 15 / 16 + asked)

    def pass_by(self) -> None:
        self._asked = max(float(_HOPE), self._asked * 511 / 512)


class _Question:
    """A segment whose chunks are looked for, and where they were looked for already."""

    def __init__(self, number: int, fresh: Segment) -> None:
        self.number, self.fresh = number, fresh
        self.missing = len(fresh.without_place())
        self.asked: Set[Tuple[bytes, int]] = set()
        self.looked_into: List[Tuple[Segment, Set[str]]] = []
        self.is_refused = False  # a place was not asked, since it costs too much
        self.anew: Set[int] = set()  # positions whose chunks are stored again, so that mostly dead packs die
        self.first: List[Tuple[Segment, int]] = []  # segments of the disk's newest image, with their shifts
        self.alive: Set[str] = set()  # packs that were to die, and that hold chunks which the newest image did not need
        self.from_older = 0  # chunks that older images hold, and the newest does not


class Lookup:
    """Looks up the chunks of one disk in earlier images, segment by segment in order."""

    def __init__(
        self,
        reader: PackReader,
        counts: PackCounts,
        interrupted: List[Previous],
        candidates: Optional[Candidates] = None,
        volumes: Optional[List[VolumePlace]] = None,
        budget: Optional[LookBudget] = None,
    ) -> None:
        self._reader = reader
        self._budget = budget or LookBudget("")
        self._counts = counts
        self._candidates = candidates
        self._volumes = volumes or []
        self._places: List[_Place] = []
        self._earlier: List[Previous] = []
        self._told: List[Previous] = []  # of those, whose volumes' places are known
        self._numbers: Dict[bytes, Tuple[Previous, int]] = {}
        self._segments: OrderedDict[Tuple[int, int], Segment] = OrderedDict()
        self._missed_bytes = self._untold_bytes = 0
        self._first = candidates.first if candidates is not None else None
        self._dying_packs = candidates.dying_packs if candidates is not None else set()
        self._is_known = self._first is not None
        for previous in [*interrupted, *([self._first] if self._first is not None else [])]:
            self._add(previous, _HOPE + 1)

    def _add(self, previous: Previous, hope: int) -> None:
        self._counts.know(previous)
        self._earlier.append(previous)
        end = len(previous.root.segments) * fmt.SEGMENT_CHUNKS
        self._places.append(_Place(previous, 0, end, 0, hope))
        for number, reference in enumerate(previous.root.segments):
            if reference.place is not None:
                holder = self._numbers.get(reference.segment_id)
                if holder is None or (previous.is_whole and not holder[0].is_whole and holder[0] is not self._first):
                    self._numbers[reference.segment_id] = (previous, number)

    # -- before a segment is read -------------------------------------------------------------------------------------

    def may_hold(self, number: int, count: int, in_use: int) -> bool:
        """Whether it is worth it to hash a segment with ``in_use`` chunks before any of it is compressed."""
        if self.seems_to_hold(number, count, in_use):
            return True
        for look in (self._look_further, self._propose_moves):
            if look(in_use) and self.seems_to_hold(number, count, in_use):
                return True
        for place in self._places:
            if place.sources(number, count):
                place.pass_by()
        self._missed_bytes += in_use * fmt.CHUNK_BYTES
        return False

    def seems_to_hold(self, number: int, count: int, in_use: int) -> bool:
        """The same by what is known so far; asks the storage nothing."""
        for place in self._places:
            sources = place.sources(number, count)
            if sources and place.is_worth(in_use, place.cost(sources)) and self._affords(place, sources):
                return True
        return False

    # -- when its ids are known ---------------------------------------------------------------------------------------

    def same(self, number: int, segment_id: bytes) -> Iterator[Tuple[Previous, int]]:
        """Yield the earlier segments that are the very same: those that need not be loaded, at the same place, come first.

        Where the disk's newest image has it, no older one lends it: that one still relies on packs which the newest leaves
        behind.
        """
        same = [one for one in self._earlier if one.reference(number).segment_id == segment_id]
        if self._first in same:
            same = [one for one in same if one is self._first or not one.complete]
        for previous in sorted(same, key=lambda one: not one.is_whole):
            yield previous, number
        holder = self._numbers.get(segment_id)
        if holder is not None and holder[1] != number:
            yield holder

    def shared(self, previous: Previous, number: int, chunks: int) -> None:
        """A segment of ``previous`` was taken over as a whole."""
        for place in self._places:
            if place.previous is previous and place.sources(number, 1):
                place.score(chunks, chunks)

    def fill(self, number: int, fresh: Segment, learn: Callable[[Segment, Set[str]], None]) -> Set[int]:
        """Give the chunks of ``fresh`` the places where they are stored already.

        Return the positions of those that are to be stored again although they are stored: in packs that must die.

        :param learn: called with the segments that were looked into while chunks are still missing: a file may have
        moved.
        """
        question = _Question(number, fresh)
        self._ask(question)
        self._missed_bytes += question.missing * fmt.CHUNK_BYTES
        if question.missing and self._look_further(0):
            self._ask(question)
        if question.missing * 4 > len(fresh.stored_positions()) and self._propose_moves(question.missing):
            self._ask(question)
        self._revive(question)
        if question.missing:
            if question.is_refused:
                self._budget.refuse()
            for segment, usable in question.looked_into:
                learn(segment, usable)
        return question.anew

    def _revive(self, question: _Question) -> None:
        """Keep packs that this disk needs more of than its newest image did, as after an exclusion that has ended; and
        all of them where the disk has come back from older images: then the newest image's needs do not count.

        Chunks that the newest image needs of such a pack are not stored again.
        """
        if question.from_older and question.from_older * _COME_BACK >= len(question.fresh.stored_positions()):
            question.alive |= self._dying_packs
        if not question.alive:
            return
        self._dying_packs = self._dying_packs - question.alive
        for segment, shift in question.first:
            question.fresh.take_places(segment, question.alive, shift)
        unplaced = question.fresh.without_place()
        question.anew.intersection_update(unplaced)
        question.missing = len(unplaced)

    def load(self, previous: Previous, number: int) -> Optional[Segment]:
        """A segment of an earlier disk, None where it is lost: verify reports the damage."""
        kept = self._segments.get((id(previous), number))
        if kept is not None:
            return kept
        segment = load_segment(self._reader, previous.reference(number), previous.root.chunks_of(number))
        if segment is not None:
            self._counts.saw(previous, number, segment)
            self._segments[id(previous), number] = segment
            if len(self._segments) > _KEPT_SEGMENTS:
                self._segments.popitem(last=False)
        return segment

    def _ask(self, question: _Question) -> None:
        """Look into earlier segments that were not asked yet, as long as something is missing."""
        fresh = question.fresh
        for place in self._places:
            if not question.missing:
                return
            sources = place.sources(question.number, fresh.count)
            new = [
                one for one in sources if (place.previous.reference(one[0]).segment_id, one[1]) not in question.asked
            ]
            if not new:
                continue
            if not place.is_worth(question.missing, place.cost(new)):
                place.pass_by()
                continue
            if not self._affords(place, new):
                question.is_refused = True
                continue
            for other, shift in new:
                question.asked.add((place.previous.reference(other).segment_id, shift))
                if not place.is_certain and (id(place.previous), other) not in self._segments:
                    self._budget.fetched_bytes += place.cost([(other, shift)])
                segment = self.load(place.previous, other)
                if segment is not None:
                    is_first = place.previous is self._first
                    if is_first:
                        question.anew |= fresh.held_in(segment, self._dying_packs, shift)
                        question.first.append((segment, shift))
                    usable = place.previous.usable
                    question.alive |= fresh.take_places(segment, usable, shift, question.anew) & self._dying_packs
                    question.looked_into.append((segment, usable if is_first else usable - self._dying_packs))
            left = len(fresh.without_place())
            question.from_older += 0 if place.previous is self._first else question.missing - left
            place.score(question.missing - left, question.missing)
            if not place.is_certain:
                self._budget.found_bytes += (question.missing - left) * fmt.CHUNK_BYTES
            question.missing = left

    def _affords(self, place: _Place, sources: List[Tuple[int, int]]) -> bool:
        """Whether the budget lets ``sources`` be fetched, as far as they are not at hand."""
        if place.is_certain:
            return True
        new = [one for one in sources if (id(place.previous), one[0]) not in self._segments]
        return self._budget.affords(place.cost(new))

    # -- more to look into --------------------------------------------------------------------------------------------

    def _look_further(self, missing: int) -> bool:
        """Fetch the roots of more images, as long as what was missed so far is worth it; say whether there are any."""
        missed_bytes = self._missed_bytes + missing * fmt.CHUNK_BYTES
        if self._candidates is None or (self._is_known and missed_bytes < _FEW_CHUNKS * fmt.CHUNK_BYTES):
            return False
        found = self._candidates.more(missed_bytes)
        for previous in found:
            self._add(previous, _HOPE // WORTH)
        if found:
            self._missed_bytes = 0
        return bool(found)

    def _propose_moves(self, missing: int) -> bool:
        """Learn where the volumes of earlier disks lay, if what is missing is worth it; say whether any has moved here."""
        untold = [one for one in self._earlier if one.complete and not any(one is told for told in self._told)]
        self._untold_bytes += missing * fmt.CHUNK_BYTES
        images = len({one.image for one in untold})
        if (
            not (untold and self._volumes and self._candidates)
            or self._untold_bytes < images * _DESCRIPTION_BYTES * WORTH
        ):
            return False
        self._untold_bytes = 0
        self._told += untold
        found = [
            (move, previous)
            for previous, volumes in zip(untold, self._candidates.places(untold))
            for move in moves(volumes, self._volumes)
        ]
        room = _MOST_MOVES - sum(place.by != 0 for place in self._places)
        # Where many volumes are as large, each pair of them is a guess; a whole disk that moved makes one guess many times.
        votes = Counter((id(previous), move.by) for move, previous in found)
        found = sorted(found, key=lambda one: (not one[0].is_named, -votes[id(one[1]), one[0].by]))[:room]
        for move, previous in found:
            hope = _HOPE if move.is_named else _HOPE // WORTH
            self._places.append(_Place(previous, move.first, move.end, move.by, hope))
        return bool(found)
