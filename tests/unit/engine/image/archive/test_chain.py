# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain of versions: any change of it names the version that was changed, with a password and without."""

from __future__ import annotations

import random
from typing import Callable, Dict, List, Optional

import pytest
from engine.image.archive.chain import Chain, chain_of
from engine.image.archive.held import Bad, Held, Versions
from engine.image.archive.version_record import StoredRecord, Version, decode, encode
from engine.image.archive.witness import contradictions, notes_about
from engine.image.format.keys import MasterKey

KEY, OTHER = MasterKey(b"k" * 32), MasterKey(b"o" * 32)
CHAIN = "c" * 32
SEEDS = range(30)


def version(number: int, before: Optional[StoredRecord], key: Optional[MasterKey], **more: object) -> Version:
    made = Version(
        image="2026-%02d-%02d_10-00-00" % (1 + number // 28, 1 + number % 28),
        device="pc",
        chain=CHAIN,
        number=number,
        previous_number=before.version.number if before else 0,
        previous=before.sha256 if before else "",
        manifest="%064x" % number,
        key_id=key.key_id if key else "",
        job="",
        comment="comment %d" % number,
        author="me",
        checked_in="2026-11-29T10:00:00Z",
        place="/srv/archive",
    )
    return made._replace(**more)  # type: ignore[arg-type]


def records(count: int, key: Optional[MasterKey]) -> List[StoredRecord]:
    made: List[StoredRecord] = []
    for number in range(1, count + 1):
        made.append(encode(version(number, made[-1] if made else None, key), key))
    return made


def stored(found: List[StoredRecord], key: Optional[MasterKey] = None, bad: Optional[List[Bad]] = None) -> Versions:
    """The records as they are read back with a key."""
    again = [decode(one.data, one.version.image, one.sha256, key) for one in found]
    numbers = sorted({one.version.number for one in found})
    return Versions([Held(one, one.version.number, True) for one in again], bad or [], numbers)


def chain(found: List[StoredRecord], key: Optional[MasterKey]) -> Chain:
    return chain_of(stored(found, key), key is not None)


def named(one: Chain) -> List[int]:
    return sorted({problem.number for problem in one.problems})


@pytest.mark.parametrize("key", [None, KEY], ids=["clear", "encrypted"])
@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_a_chain_that_is_whole(count: int, key: Optional[MasterKey]) -> None:
    found = records(count, key)
    random.Random(1).shuffle(found)
    one = chain(found, key)
    assert one.problems == []
    assert [link.record.version.number for link in one.links] == list(range(1, count + 1))
    assert {link.is_proved for link in one.links} <= {True if key else None}


def test_numbers_may_be_skipped_by_a_check_in_that_was_killed() -> None:
    first = encode(version(1, None, KEY), KEY)
    third = encode(version(3, first, KEY), KEY)
    assert named(chain([first, third], KEY)) == []


Tamper = Callable[[List[StoredRecord], int, Optional[MasterKey]], List[StoredRecord]]


def removed(found: List[StoredRecord], place: int, dummy_key: Optional[MasterKey]) -> List[StoredRecord]:
    return found[:place] + found[place + 1 :]


def _written_again(**more: object) -> Tamper:
    def tamper(found: List[StoredRecord], place: int, dummy_key: Optional[MasterKey]) -> List[StoredRecord]:
        """By an attacker, who does not have the key, but names the file correctly."""
        return [*found[:place], encode(found[place].version._replace(**more), None), *found[place + 1 :]]  # type: ignore[arg-type]

    return tamper


def swapped(found: List[StoredRecord], place: int, dummy_key: Optional[MasterKey]) -> List[StoredRecord]:
    """The number of the version is given to the image of another one."""
    other = found[place - 1].version
    record = encode(found[place].version._replace(image=other.image, manifest=other.manifest), None)
    return [*found[:place], record, *found[place + 1 :]]


TAMPERS: Dict[str, Tamper] = {
    "removed": removed,
    "comment": _written_again(comment="nothing was changed here"),
    "author": _written_again(author="somebody else"),
    "manifest": _written_again(manifest="f" * 64),
    "image": _written_again(image="2027-01-01_00-00-00"),
    "swapped": swapped,
}


@pytest.mark.parametrize("key", [None, KEY], ids=["clear", "encrypted"])
@pytest.mark.parametrize("what", sorted(TAMPERS))
def test_what_was_changed_before_the_last_version_is_named(what: str, key: Optional[MasterKey]) -> None:
    for seed in SEEDS:
        chance = random.Random(seed)
        found = records(chance.randrange(2, 12), key)
        place = chance.randrange(0, len(found) - 1)
        assert place + 1 in named(chain(TAMPERS[what](found, place, key), key)), (seed, place)


@pytest.mark.parametrize("key", [None, KEY], ids=["clear", "encrypted"])
@pytest.mark.parametrize("what", sorted(TAMPERS))
def test_what_was_changed_in_the_last_version_is_named_by_the_key_or_by_the_storage(
    what: str, key: Optional[MasterKey]
) -> None:
    for seed in SEEDS:
        found = records(random.Random(seed).randrange(2, 8), key)
        left = chain(TAMPERS[what](found, len(found) - 1, key), key)
        if key is not None and what != "removed":
            assert len(found) in named(left), seed
        notes = notes_about(found, left, "/srv/archive")
        assert len(found) in {problem.number for problem in contradictions(notes, left)}, seed


@pytest.mark.parametrize("key", [None, KEY], ids=["clear", "encrypted"])
def test_a_renumbered_version_is_named(key: Optional[MasterKey]) -> None:
    found = records(5, key)
    renumbered = encode(found[2].version._replace(number=9), None)
    assert {3, 9} & set(named(chain([*found[:2], renumbered, *found[3:]], key)))
    assert 3 in named(chain([*found[:2], renumbered, *found[3:]], key))


def test_a_chain_that_was_written_again_without_the_key_is_named_by_the_key() -> None:
    found = records(5, KEY)
    again: List[StoredRecord] = found[:2]
    for number in (3, 4, 5):
        again.append(encode(version(number, again[-1], KEY, comment="other"), None))
    assert named(chain(again, KEY)) == [3, 4, 5]
    # And one whose records say that the images are not encrypted.
    for place in (2, 3, 4):
        again[place] = encode(version(place + 1, again[place - 1], None), None)
    left = chain(again, KEY)
    notes = notes_about(found, left, "/srv/archive")
    assert {problem.number for problem in contradictions(notes, left)} == {3, 4, 5}


def test_a_second_record_of_a_number_is_named_and_the_chain_stays() -> None:
    found = records(4, None)
    second = encode(version(3, found[1], None, comment="planted", image="2027-01-01_00-00-00"), None)
    one = chain([*found, second], None)
    assert named(one) == [3]
    assert [link.record.sha256 for link in one.links] == [record.sha256 for record in found]
    planted = encode(version(900, None, None, chain="d" * 32), None)
    assert [link.record.sha256 for link in chain([*found, planted], None).links] == [one.sha256 for one in found]


def test_the_password_vouches_for_what_was_checked_in_without_it_before() -> None:
    first = encode(version(1, None, KEY), None)
    one = chain([first], KEY)
    assert (named(one), one.links[0].is_proved) == ([1], False)
    second = encode(version(2, first, KEY), KEY)
    one = chain([first, second], KEY)
    assert (named(one), [link.is_proved for link in one.links]) == ([], [True, True])


def test_versions_of_another_key_are_vouched_for_by_later_ones() -> None:
    first = encode(version(1, None, OTHER), OTHER)
    second = encode(version(2, first, KEY), KEY)
    one = chain([first, second], KEY)
    assert (named(one), [link.is_proved for link in one.links]) == ([], [True, True])


def test_what_is_no_record_is_named() -> None:
    found = records(3, None)
    bad = [Bad("pc/versions/2/x.json", "its content does not match its name")]
    assert named(chain_of(stored([found[0], found[2]], None, bad), False)) == [2]


@pytest.mark.parametrize("key", [None, KEY], ids=["clear", "encrypted"])
def test_a_planted_last_version_of_another_chain_silences_no_witness(key: Optional[MasterKey]) -> None:
    found = records(4, key)
    planted = encode(version(5, found[1], None, chain="d" * 32), None)
    left = chain([*found[:2], planted], key)  # the versions 3 and 4 were removed
    assert left.last is not None
    assert left.last.version.chain == "d" * 32
    notes = notes_about(found, left, "/srv/archive")
    assert {3, 4} <= {problem.number for problem in contradictions(notes, left)}


def test_the_storage_names_what_a_whole_archive_has_lost() -> None:
    found = records(3, None)
    left = chain([], None)
    assert notes_about(found, left, "/elsewhere") == []
    notes = notes_about(found, left, "/srv/archive")
    assert [problem.number for problem in contradictions(notes, left)] == [1, 2, 3]
    # An archive of the same device elsewhere is no witness against this one.
    other = [encode(version(number, None, None, chain="d" * 32), None) for number in (1, 7)]
    assert contradictions(notes_about([*found, *other], chain(found, None), "/srv/archive"), chain(found, None)) == []
