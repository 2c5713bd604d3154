# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain of an archive's versions: each names the hash of the one before, so that what was changed or removed shows.

Only what the records say, without a storage. A record that is authentic under the key proves all before it, by their hashes.
Without a password the hashes alone hold the chain: it shows what was changed, removed or renumbered in it, but an account that
may replace files can write a whole chain again. The records in the storage that was archived from are the second witness.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from .held import Held, Versions
from .version_record import StoredRecord, Version


class Link(NamedTuple):
    """A version that counts. ``is_proved``: authentic, or named by one that is; ``None`` without a key that can tell."""

    held: Held
    is_proved: Optional[bool]

    @property
    def record(self) -> StoredRecord:
        return self.held.record


class Problem(NamedTuple):
    """A problem of one version."""

    number: int  # 0 if unknown
    reason: str

    @property
    def sentence(self) -> str:
        return "Version %d: %s." % self if self.number else "%s." % self.reason


class Chain(NamedTuple):
    """The versions that count, in order, and all that is wrong with the chain."""

    links: List[Link]
    problems: List[Problem]
    notes: List[str]

    @property
    def last(self) -> Optional[StoredRecord]:
        return self.links[-1].record if self.links else None

    def of_image(self, image: str, manifest: str) -> Optional[Link]:
        """The version of this very image."""
        found = [one for one in self.links if _is_of(one.record, image, manifest)]
        return found[0] if found else None

    def numbered(self, number: int) -> Optional[Link]:
        return next((one for one in self.links if one.record.version.number == number), None)


def _is_of(record: StoredRecord, image: str, manifest: str) -> bool:
    return (record.version.image, record.version.manifest) == (image, manifest)


def chain_of(versions: Versions, has_key: bool) -> Chain:
    """Order the records to a chain, and say where it is broken.

    :param has_key: whether a password was given: then a record of its key that it does not authenticate is false.
    """
    problems = [Problem(_number_in(one.path), "%s is not a valid record: %s" % one) for one in versions.bad]
    vouched = _vouched(versions.held)
    held: Dict[str, Held] = {}
    for one in versions.held:
        if one.record.is_authentic is False and one.record.is_signed and one.record.sha256 not in vouched:
            reason = "the password does not authenticate its record (image %s)" % one.record.version.image
            problems.append(Problem(one.record.version.number, reason))
        else:
            held[one.record.sha256] = one
    links: List[Held] = []
    left = dict(held)
    while left:
        tip = _tip(left)
        segment = _back(tip, left) if links else _forward(_back(tip, left), left)
        links = segment + links
        first = segment[0].record.version
        for one in segment:
            left.pop(one.record.sha256)
        _judge_rest(left, first, problems)
        if first.previous:
            problems.append(_before_is_wrong(segment[0].record, left))
    proved = [_link(one, vouched, has_key) for one in links]
    problems += [
        Problem(one.record.version.number, "the password does not authenticate its record, nor that of a later version")
        for one in proved
        if one.is_proved is False
    ]
    return Chain(proved, sorted(set(problems)), _notes(versions, links))


def _vouched(held: Iterable[Held]) -> Set[str]:
    """The records that are authentic, or named as the one before by a record that is vouched for."""
    by_hash = {one.record.sha256: one.record for one in held}
    found: Set[str] = set()
    for record in by_hash.values():
        current: Optional[StoredRecord] = record if record.is_authentic else None
        while current is not None and current.sha256 not in found:
            found.add(current.sha256)
            current = by_hash.get(current.version.previous)
    return found


def _tip(left: Dict[str, Held]) -> Held:
    """The end of the chain that counts: authentic, else in use as a version, then with the most versions before it.

    A version before it that was removed or replaced does not make a chain shorter: else a replaced one would be its end.
    """
    lengths: Dict[str, int] = {}
    numbers, longest = [0], [0]  # the longest chain that ends with this number or a smaller one
    for one in sorted(left.values(), key=lambda held: held.record.version.number):
        version, before = one.record.version, _before(one, left)
        if before is not None:
            length = 1 + lengths[before.record.sha256]
        else:
            length = 1 + (longest[bisect_right(numbers, version.previous_number) - 1] if version.previous else 0)
        lengths[one.record.sha256] = length
        if version.number != numbers[-1]:
            numbers.append(version.number)
            longest.append(longest[-1])
        longest[-1] = max(longest[-1], length)

    def rank(one: Held) -> Tuple[bool, bool, int, int, str]:
        record = one.record
        is_used = one.number is not None
        return (bool(record.is_authentic), is_used, lengths[record.sha256], record.version.number, record.sha256)

    return max(left.values(), key=rank)


def _before(one: Held, left: Dict[str, Held]) -> Optional[Held]:
    """The one before, if it is there: its number is smaller, so that going back ends."""
    version = one.record.version
    before = left.get(version.previous)
    return before if before is not None and before.record.version.number == version.previous_number else None


def _back(tip: Held, left: Dict[str, Held]) -> List[Held]:
    """The chain that ends with ``tip``, oldest first: numbers fall on the way back, so that it ends."""
    found = [tip]
    while True:
        before = _before(found[-1], left)
        if before is None:
            return found[::-1]
        found.append(before)


def _forward(segment: List[Held], left: Dict[str, Held]) -> List[Held]:
    """Add what was checked in after the last one that is authentic."""
    after: Dict[str, List[Held]] = {}
    for one in left.values():
        if _before(one, left) is not None:
            after.setdefault(one.record.version.previous, []).append(one)
    while segment[-1].record.sha256 in after:
        found = after[segment[-1].record.sha256]
        segment.append(min(found, key=lambda one: (one.record.version.number, one.record.sha256)))
    return segment


def _judge_rest(left: Dict[str, Held], first: Version, problems: List[Problem]) -> None:
    """Take out what can be no part of the chain before ``first``: it stands beside a version that counts."""
    for sha256, one in list(left.items()):
        version = one.record.version
        if first.previous and version.number < first.number:
            continue
        left.pop(sha256)
        if (
            version.chain == first.chain or one.number is not None
        ):  # else a note of another archive, that a copy brought
            reason = "a second record is beside the chain (image %s, record %s)" % (version.image, sha256[:16])
            problems.append(Problem(version.number, reason))


def _before_is_wrong(record: StoredRecord, left: Dict[str, Held]) -> Problem:
    version = record.version
    there = [one for one in left.values() if one.record.version.number == version.previous_number]
    if there:
        reason = "it is not the one that version %d names: it was changed or replaced (image %s)"
        return Problem(version.previous_number, reason % (version.number, there[0].record.version.image))
    return Problem(version.previous_number, "it is missing: version %d names it" % version.number)


def _link(one: Held, vouched: Set[str], has_key: bool) -> Link:
    if one.record.sha256 in vouched:
        return Link(one, True)
    return Link(one, False if has_key and one.record.version.key_id else None)


def _notes(versions: Versions, links: List[Held]) -> List[str]:
    """Remarks that are not damage."""
    used = {one.record.version.number for one in links}
    highest = max(used, default=0)
    notes = [
        "Version %d holds no record: its check-in was interrupted, or is in progress." % number
        for number in versions.numbers
        if number not in used and number > highest
    ]
    for one in links:
        if versions.is_archive and one.number is None:
            notes.append(
                "The check-in of version %d was interrupted; the next one completes it." % (one.record.version.number)
            )
    return notes


def _number_in(path: str) -> int:
    parts = path.split("/")
    return int(parts[-2]) if parts[-2].isdigit() else 0
