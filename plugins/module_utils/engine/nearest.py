# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name that a misspelt one stands for."""

from __future__ import annotations

from typing import Callable, Iterable

_ALMOST_THE_SAME = 0.9
_BEGIN_CHARACTERS = 4  # of a name that is the begin of another one
# Words of other programs for the same thing.
_SAME = {
    "retention": "keep",
    "generations": "keep",
    "versions": "keep",
    "schedule": "jobs",
    "disks": "drives",
    "excludes": "exclude",
    "user": "username",
    "path": "url",
    "server": "url",
    "host": "url",
    "share": "url",
    "encryption_password": "password",
    "passphrase": "password",
}


def nearest(name: str, known: Iterable[str], part: Callable[[str], str] = str) -> str:
    """Return the one of ``known`` that is most like ``name``, by that ``part`` of both; "" where nothing is known."""
    known = list(known)
    # A name of the same list that ends in the word itself is nearer than another word for it.
    is_end = any(one == "private_key_%s" % name for one in known)
    same = None if is_end else _SAME.get(part(name))
    found = next((one for one in known if part(one) == same), "") if same else ""
    return found or max(known, key=lambda one: (_likeness(part(name), part(one)), one), default="")


def _likeness(name: str, other: str) -> float:
    """How much two names have in common; one that has all words of the other is nearer than one that merely looks alike.

    A letter or two that are wrong are the commonest fault: what is almost the same is as near as that.
    """
    import difflib  # only where something is misspelt: it takes a while to load

    ratio = difflib.SequenceMatcher(None, name, other).ratio()
    words, others = set(name.split("_")), set(other.split("_"))
    if len(name) >= _BEGIN_CHARACTERS and other.startswith(name):
        return 1 + ratio
    return 1 + ratio if ratio >= _ALMOST_THE_SAME or words <= others or others <= words else ratio
