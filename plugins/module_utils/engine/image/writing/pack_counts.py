# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts how much of each pack a disk's new image needs, with as few loaded segments as possible.

Chunks that the run stores are counted as they are stored. Chunks that it shares without loading them are counted at the
end, from the total in the root of an earlier image: less the part of that image that is not shared, plus the part that
is shared from others.
"""

from __future__ import annotations

from collections import Counter
from typing import Callable, Dict, List, Optional, Set
from typing import Counter as CounterOf

from ..format import constants as fmt
from ..format.index import Root, Segment
from ..format.packs import ENTRY_BYTES
from ..format.root_columns import PackNeed, SegmentReference
from .previous import Previous, PreviousFalse

Load = Callable[[SegmentReference, int], Optional[Segment]]
_Bytes = Dict[str, int]


class _Seen:
    """Segments of an earlier disk that were loaded anyway, by number, and what they need together."""

    def __init__(self) -> None:
        self.numbers: Set[int] = set()
        self.needed: _Bytes = {}


class PackCounts:
    """Counts for one disk. ``settle`` makes the count whole; before that, only what was stored or loaded is in it."""

    def __init__(self, sizes: Dict[str, int]) -> None:
        self.sizes = sizes
        self.needed: _Bytes = {}
        self.is_in_doubt = False
        self._shared: Set[int] = set()
        self._lenders: List[Previous] = []
        self._seen: Dict[int, _Seen] = {}

    def know(self, previous: Previous) -> None:
        """Learn the sizes of an earlier disk's packs; those that are there are known best."""
        for name, need in previous.root.packs.items():
            if name in previous.usable:
                self.sizes[name] = need.size_bytes
            else:
                self.sizes.setdefault(name, need.size_bytes)

    def count(self, segment: Segment, reference: Optional[SegmentReference], sign: int) -> None:
        _add(self.needed, segment, reference, sign)

    def count_index(self, pack: str, stored_bytes: int) -> None:
        """Count the blob of a segment whose pack has its name only now."""
        self.needed[pack] = self.needed.get(pack, 0) + stored_bytes + ENTRY_BYTES

    def saw(self, previous: Previous, number: int, segment: Segment) -> None:
        """A segment of ``previous`` was loaded, so that ``settle`` need not load it again."""
        seen = self._seen.setdefault(id(previous), _Seen())
        if previous.complete and number not in seen.numbers:
            seen.numbers.add(number)
            _add(seen.needed, segment, previous.reference(number), 1)

    def share(self, number: int, previous: Previous) -> None:
        """The new image's segment ``number`` is one of ``previous``, unseen."""
        self._shared.add(number)
        if not any(previous is one for one in self._lenders):
            self._lenders.append(previous)

    # -- the end ------------------------------------------------------------------------------------------------------

    def settle(self, root: Root, load: Load) -> None:
        """Count what was shared unseen. Where a segment is lost that is needed for it, the count stays in doubt."""
        shared = Counter(root.segments[number] for number in self._shared)
        plans = [_Plan(shared)] + [_Plan(shared, one, self._seen.get(id(one))) for one in self._lenders]
        plan = min(plans, key=lambda one: one.loads)
        self._shared.clear()
        chunks_of = {reference: root.chunks_of(number) for number, reference in enumerate(root.segments)}
        if plan.base is not None:
            base = plan.base.root
            chunks_of.update({reference: base.chunks_of(number) for number, reference in enumerate(base.segments)})
            for name, need in base.packs.items():
                self.needed[name] = self.needed.get(name, 0) + need.needed_bytes
            for name, needed in plan.seen.needed.items():
                self.needed[name] = self.needed.get(name, 0) - needed
        for sign, references in ((1, plan.more), (-1, plan.less)):
            for reference, times in references.items():
                segment = load(reference, chunks_of[reference])
                if segment is None:
                    self.is_in_doubt = True
                else:
                    self.count(segment, reference, sign * times)

    def forget(self, lost: Set[str]) -> None:
        """Remove all references to the packs of ``lost``."""
        if any(needed < 0 for needed in self.needed.values()):
            self.is_in_doubt = True  # an earlier index said too little of a pack
        for name in lost:
            self.needed.pop(name, None)

    def recount(self, root: Root, load: Load) -> None:
        """Where the needs of an earlier image are unknown: read which packs the new one needs.

        Without this its packs would stay listed, and stored, in every image to come.
        """
        listed, self.needed = self.needed, {}
        for number, reference in enumerate(root.segments):
            if reference.place is None:
                continue
            segment = load(reference, root.chunks_of(number))
            if segment is None:
                self.needed = listed  # too many is safe; the next run asks again
                self._list_index_packs(root)
                return
            self.count(segment, reference, 1)
        self.is_in_doubt = False

    def _list_index_packs(self, root: Root) -> None:
        """Count at least the blob of each segment: of one that can't be loaded, it is seen that its pack is missing."""
        for dummy, place, dummy_bytes in root.segments:
            if place is not None and self.needed.get(place.pack, 0) <= 0:
                self.needed[place.pack] = place.stored_bytes + ENTRY_BYTES

    def list_packs(self) -> Dict[str, PackNeed]:
        """List what is needed, and how much of it.

        :raises PreviousFalse: when what an earlier index said of its packs was not true of its segments.
        """
        if any(needed < 0 or name not in self.sizes for name, needed in self.needed.items()):
            raise PreviousFalse
        return {
            name: PackNeed(self.sizes[name], min(needed, fmt.MAX_DISK_BYTES))
            for name, needed in sorted(self.needed.items())
            if needed > 0
        }

    def list_for_checkpoint(self) -> Dict[str, PackNeed]:
        """List all packs that may be referred to so far: all packs of an image that lent a segment."""
        packs: Dict[str, PackNeed] = {}
        for previous in self._lenders:
            packs.update(previous.root.packs)
        for name, needed in self.needed.items():
            if needed > 0:
                before = packs[name].needed_bytes if name in packs else 0
                packs[name] = PackNeed(self.sizes[name], min(before + needed, fmt.MAX_DISK_BYTES))
        return {name: packs[name] for name in sorted(packs)}


class _Plan:
    """One way to count what was shared: from nothing, or from the total of ``base``; and the segments it has to load."""

    def __init__(
        self, shared: CounterOf[SegmentReference], base: Optional[Previous] = None, seen: Optional[_Seen] = None
    ) -> None:
        self.base = base
        self.seen = seen or _Seen()
        self.more: CounterOf[SegmentReference] = shared
        self.less: CounterOf[SegmentReference] = Counter()
        if base is not None:
            of_base = Counter(reference for reference in base.root.segments if reference.place is not None)
            loaded = Counter(base.root.segments[number] for number in self.seen.numbers)
            gone = of_base - shared
            self.more = (shared - of_base) + (loaded - gone)
            self.less = gone - loaded
        self.loads = len(self.more) + len(self.less)


def _add(needed: _Bytes, segment: Segment, reference: Optional[SegmentReference], sign: int) -> None:
    if reference is not None and reference.place is not None:
        pack = reference.place.pack
        needed[pack] = needed.get(pack, 0) + sign * (reference.place.stored_bytes + ENTRY_BYTES)
    for pack, stored_bytes in segment.stored_bytes_by_pack(ENTRY_BYTES).items():
        needed[pack] = needed.get(pack, 0) + sign * stored_bytes
