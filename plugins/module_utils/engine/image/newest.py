# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images count: those that the key proves; without a key, those whose names are plausible.

An account that may only create files can add directories under any name, with any number in an unencrypted manifest. So
only proved images decide which image is the newest, which are deleted, and which number comes next. Without a key only
the clock remains: a name in the future is not the newest image.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Iterable, List, Mapping, Optional, Sequence

from .format.keys import MasterKey
from .format.manifest import Manifest

NAME_PATTERN = "%Y-%m-%d_%H-%M-%S"
_AHEAD = timedelta(days=2)  # time zones, and clocks that differ
_LISTED = 5
_MAX_STEP = 1_000_000  # between the numbers of two images where no key proves them: a run a minute for two years


def horizon(reference: str = "", now_seconds: Optional[float] = None) -> str:
    """The last name that is plausible now.

    :param reference: a name that another clock gives for now, as the controller's in a job; the later one counts.
    """
    moment = time.time() if now_seconds is None else now_seconds
    last = _name(datetime(1970, 1, 1) + timedelta(seconds=max(0.0, moment)))
    try:
        return max(last, _name(datetime.strptime(reference, NAME_PATTERN))) if reference else last
    except ValueError:
        return last


def _name(moment: datetime) -> str:
    try:
        return (moment + _AHEAD).strftime(NAME_PATTERN)
    except OverflowError:
        return moment.strftime(NAME_PATTERN)


def plausible(names: Iterable[str], last: str) -> List[str]:
    """Those of ``names`` that do not lie after ``last``; all where that leaves none, since then the clock is wrong."""
    listed = list(names)
    return [name for name in listed if name <= last] or listed


def believed(images: Sequence[Manifest], key: Optional[MasterKey], last: str) -> List[Manifest]:
    """Those of ``images`` that decide what is newest, in the order given.

    :param images: manifests that say they are of ``key`` were proved with it.
    """
    if key is not None:
        return [manifest for manifest in images if manifest.key_id == key.key_id]
    names = set(plausible((manifest.image for manifest in images), last))
    return [manifest for manifest in images if manifest.image in names]


def others_than(images: Sequence[Manifest], counted: Sequence[Manifest], key: Optional[MasterKey]) -> List[Manifest]:
    """Those of ``images`` that the key does not prove: of an earlier key, unencrypted, or foreign."""
    names = {manifest.image for manifest in counted}
    return [manifest for manifest in images if manifest.image not in names] if key is not None else []


def next_sequence(images: Sequence[Manifest], key: Optional[MasterKey], last: str) -> int:
    """One more than the highest number that is believed.

    Before the first image of a key, and without one, the numbers themselves have to be plausible: one that is far above all others is not followed.
    """
    proved = believed(images, key, last)
    if key is not None and proved:
        return max(manifest.sequence for manifest in proved) + 1
    highest: Optional[int] = None
    for sequence in sorted(manifest.sequence for manifest in (proved or believed(images, None, last))):
        if highest is not None and sequence - highest > _MAX_STEP:
            break
        highest = sequence
    return (highest or 0) + 1


def doubts(images: Sequence[Manifest], key: Optional[MasterKey], last: str) -> List[str]:
    """Sentences for images that look newer than the newest one that is believed; few, however many those are."""
    counted = {manifest.image for manifest in believed(images, key, last)}
    if key is not None and not counted:
        return []
    newest = max(counted, default="")
    highest = next_sequence(images, key, last) - 1
    names = [one.image for one in images if one.image not in counted and (one.image > newest or one.sequence > highest)]
    names += [one.image for one in images if one.image in counted and one.sequence > highest]
    if not names:
        return []
    why = "the password does not authenticate them" if key is not None else "their names or numbers are not plausible"
    return ["These images were not considered as the newest because %s: %s." % (why, enumerated(sorted(set(names))))]


def enumerated(names: Sequence[str]) -> str:
    """``names`` for a sentence: a few, and how many more there are."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (" and %d more" % more if more > 0 else "")


def few(sentences: List[str]) -> List[str]:
    """The first of many warnings, and how many there were."""
    more = len(sentences) - _LISTED
    return sentences if more <= 0 else [*sentences[:_LISTED], "%d more warnings of this kind were omitted." % more]


def told_errors(sentence: str, errors: Mapping[str, object]) -> List[str]:
    """A sentence with name and error for a few of ``errors``."""
    return few([sentence % item for item in sorted(errors.items())])
