# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the key slot that a password opens, however many false ones were put beside it.

An account that may only create files can add any number of slots, each of which costs a derivation to find it false. So
the order is one that it does not decide: slots that many manifests list and slots that are the oldest by the storage's
clock take turns, those that take more time than any writer asks for come last, those that take more memory are not tried,
and the search ends after a bounded time.
"""

from __future__ import annotations

import time
from collections import Counter
from itertools import chain, zip_longest
from typing import Callable, Iterable, List, Optional, Sequence

from ..errors import KeySlotInvalid, KeySlotsCrowded
from .format.keys import KeySlot, MasterKey
from .format.manifest import Manifest

MAX_TRIES = 128
MAX_COSTLY_TRIES = 2
MAX_SECONDS = 120.0
MAX_MEMORY_BYTES = 64 << 20  # the cost that writers choose; a foreign slot may ask for more
_USUAL_COST = MAX_MEMORY_BYTES // 128  # n * r * p of the slots that writers make


def in_order_of_trust(slots: Sequence[KeySlot], images: Iterable[Manifest] = ()) -> List[KeySlot]:
    """``slots``, which come oldest first where they are many, in the order in which they are tried.

    :param images: manifests that say which slots belong to them, oldest first.
    """
    witnesses: Counter[str] = Counter()
    newest_of: Counter[str] = Counter()
    for age, manifest in enumerate(images, 1):
        witnesses.update(set(manifest.slots))
        newest_of[manifest.key_id] = age
    # Of several keys that one password opens the one of the newest image comes first; the caller proves that it is.
    listed = sorted(slots, key=lambda slot: (-newest_of[slot.key_id], -witnesses[slot.name]))
    turns = chain.from_iterable(zip_longest(listed, slots))
    ordered = list({slot.name: slot for slot in turns if slot is not None}.values())
    return sorted(ordered, key=lambda slot: slot.cost > _USUAL_COST)


def open_slots(
    slots: Sequence[KeySlot], password: str, *, is_last: bool = True, clock: Callable[[], float] = time.monotonic
) -> Optional[MasterKey]:
    """Return the key of the first slot that ``password`` opens, or None: one derivation per slot.

    :param is_last: whether nothing else is looked at after these.
    :raises KeySlotsCrowded: when the last search ended before all were tried.
    """
    started, tried, costly = clock(), 0, 0
    light = [slot for slot in slots if slot.memory_bytes <= MAX_MEMORY_BYTES]
    for slot in light:
        costly += slot.cost > _USUAL_COST
        if tried >= MAX_TRIES or costly > MAX_COSTLY_TRIES or clock() - started > MAX_SECONDS:
            if is_last:
                raise KeySlotsCrowded(slots=len(slots), tried=tried)
            return None
        tried += 1
        try:
            key = slot.open(password)
        except KeySlotInvalid:
            continue  # it opens and holds another key than it says: its writer knows the password
        if key is not None:
            key.slots.add(slot.name)
            return key
    if is_last and len(light) < len(slots):
        raise KeySlotsCrowded(slots=len(slots), tried=tried)
    return None
