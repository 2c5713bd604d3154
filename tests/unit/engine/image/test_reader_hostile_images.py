# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that are proved from the manifest down and false all the same: made with the password, or on a device without one.

Reading one ends with an error of the catalogue or is found by a full verify; a restore of it never looks finished; and the
run that follows succeeds, whatever the newest image said of packs and places.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, Optional

import pytest
from engine.errors import EngineError
from engine.image.access import Passwords
from engine.image.format import constants as fmt
from engine.image.format.index import PackNeed, Place, SegmentReference
from engine.image.upkeep.verify import verify_image
from engine.restore.restore import restore
from support.forging import Forger
from support.restoring import MARK
from support.small_runs import CHUNK, DEVICE, SmallDisk, make_small, read_image, run_image
from support.storages import MemoryStorage

PASSWORD = "a password for this test"
EDGE = (1 << 64) - 1


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def needs(value: int) -> Callable[[Forger], None]:
    def change(forger: Forger) -> None:
        for name, need in forger.root.packs.items():
            forger.root.packs[name] = PackNeed(need.size_bytes, value)

    return change


def lists_no_pack_of_chunks(forger: Forger) -> None:
    kept = {reference.place.pack for reference in forger.root.segments if reference.place}
    forger.root.packs = {name: need for name, need in forger.root.packs.items() if name in kept}


def lists_packs_that_are_nowhere(forger: Forger) -> None:
    for number in range(3000):
        forger.root.packs["%064x" % number] = PackNeed(fmt.MAX_PACK_BYTES, 1 << 40)


def sizes_at_the_bound(forger: Forger) -> None:
    for name, need in forger.root.packs.items():
        forger.root.packs[name] = PackNeed(fmt.MAX_PACK_BYTES, need.needed_bytes)


def segments_of_each_other(forger: Forger) -> None:
    forger.root.segments[0], forger.root.segments[1] = forger.root.segments[1], forger.root.segments[0]


def all_segments_are_one(forger: Forger) -> None:
    forger.root.segments = [forger.root.segments[0]] * len(forger.root.segments)


def a_segment_is_said_to_be_huge(forger: Forger) -> None:
    segment_id, place, dummy = forger.root.segments[0]
    forger.root.segments[0] = SegmentReference(segment_id, place, fmt.MAX_BLOB_PLAIN_BYTES)


def a_segment_is_a_bomb(forger: Forger) -> None:
    forger.store_segment(0, forger.segment(0), bytes(fmt.MAX_BLOB_PLAIN_BYTES))


def a_segment_is_somewhere_in_a_pack(forger: Forger) -> None:
    segment_id, place, length = forger.root.segments[0]
    assert place is not None
    forger.root.segments[0] = SegmentReference(segment_id, place._replace(offset=place.offset + 7), length)


def a_segment_lies_behind_its_pack(forger: Forger) -> None:
    segment_id, place, length = forger.root.segments[0]
    assert place is not None
    forger.root.segments[0] = SegmentReference(segment_id, place._replace(offset=fmt.MAX_PACK_BYTES - 70000), length)


def with_chunks(change: Callable[[Place], Place]) -> Callable[[Forger], None]:
    def work(forger: Forger) -> None:
        segment = forger.segment(0)
        for position in segment.stored_positions():
            segment.set_place(position, change(segment.place_at(position)))
        forger.store_segment(0, segment)

    return work


def chunks_of_one_another(forger: Forger) -> None:
    segment = forger.segment(0)
    first, second = segment.stored_positions()[:2]
    one, two = segment.place_at(first), segment.place_at(second)
    segment.set_place(first, two)
    segment.set_place(second, one)
    forger.store_segment(0, segment)


def ids_of_one_another(forger: Forger) -> None:
    segment = forger.segment(0)
    first, second = segment.stored_positions()[:2]
    one, two = segment.id_at(first), segment.id_at(second)
    segment.set_ids(first, two)
    segment.set_ids(second, one)
    forger.store_segment(0, segment)


FALSE: Dict[str, Callable[[Forger], None]] = {
    "needs nothing": needs(0),
    "needs one byte": needs(1),
    "needs 2^64 - 1": needs(EDGE),
    "needs 2^63": needs(1 << 63),
    "needs 2^60": needs(1 << 60),
    "lists no pack of chunks": lists_no_pack_of_chunks,
    "lists packs that are nowhere": lists_packs_that_are_nowhere,
    "sizes at the bound": sizes_at_the_bound,
    "segments of each other": segments_of_each_other,
    "all segments are one": all_segments_are_one,
    "a segment is said to be huge": a_segment_is_said_to_be_huge,
    "a segment is a bomb": a_segment_is_a_bomb,
    "a segment is somewhere in a pack": a_segment_is_somewhere_in_a_pack,
    "a segment lies behind its pack": a_segment_lies_behind_its_pack,
    "chunks of no length": with_chunks(lambda place: place._replace(stored_bytes=0)),
    "chunks that lack a byte": with_chunks(lambda place: place._replace(stored_bytes=place.stored_bytes - 1)),
    "chunks of the other codec": with_chunks(lambda place: place._replace(codec=1 - place.codec)),
    "chunks at the head": with_chunks(lambda place: place._replace(offset=0)),
    "chunks behind the pack": with_chunks(lambda place: place._replace(offset=fmt.MAX_PACK_BYTES - 2 * CHUNK)),
    "chunks in a pack that is nowhere": with_chunks(lambda place: place._replace(pack="ab" * 32)),
    "chunks of one another": chunks_of_one_another,
    "ids of one another": ids_of_one_another,
}
# These say nothing false of any content: only of how much of a pack is needed, or how large it is.
STILL_RESTORABLE = {name for name in FALSE if name.startswith(("needs ", "sizes "))}
# These are whole images of another disk: who has the password may make them.
ANOTHER_DISK = {"segments of each other", "all segments are one"}


@pytest.mark.parametrize("password", [None, PASSWORD], ids=["clear", "encrypted"])
@pytest.mark.parametrize("what", sorted(FALSE))
def test_false_image(what: str, password: Optional[str], memory_path: Path) -> None:
    storage, disk = MemoryStorage(), SmallDisk()
    image = run_image(storage, disk, Passwords(password=password)).image
    before = disk.expected()
    forger = Forger(storage, image, password)
    FALSE[what](forger)
    forger.publish()
    target = memory_path / "target"
    if what in STILL_RESTORABLE and forger.readable:
        assert verify_image(storage, DEVICE, image, "full", password=password, record=False).ok
        assert read_image(storage, image, password) == before
    elif what in ANOTHER_DISK:
        assert is_whole(storage, image, password)
    else:
        assert not is_whole(storage, image, password)
        with pytest.raises(EngineError):
            restore(storage, DEVICE, image, {"disk0": str(target)}, password=password)
        assert not target.exists() or target.read_bytes().startswith(MARK)
        assert not verify_image(storage, DEVICE, image, "full", password=password).ok  # takes note of it for the run
    for number in range(3):  # the run that follows relies on it, and the next ones on that
        disk.write(number, 20 + number)
        made = run_image(storage, disk, Passwords(password=password)).image
        assert verify_image(storage, DEVICE, made, "full", password=password, record=False).ok
        assert read_image(storage, made, password) == disk.expected()


def is_whole(storage: MemoryStorage, image: str, password: Optional[str]) -> bool:
    try:
        return verify_image(storage, DEVICE, image, "full", password=password, record=False).ok
    except EngineError:
        return False
