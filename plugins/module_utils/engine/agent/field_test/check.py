# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check of the field test: a question to the product's own functions, the answer that its code relies on, and the page that promises it.

An answer is an object of plain values. The device records answers and judges nothing: a newer version of the rules can read
an old report.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple, Union

Plain = Union[str, int, bool, None, List[str], List[int]]
Answer = Dict[str, Plain]


class Rule(NamedTuple):
    """A condition on a field of an answer."""

    field: str
    kind: str
    wanted: Any = True

    def holds(self, answer: Mapping[str, Any]) -> bool:
        """Whether the field is there, of the right type, and as the rule wants it."""
        return self.field in answer and _KINDS[self.kind](answer[self.field], self.wanted)

    def words(self) -> str:
        """The rule, for a person."""
        wanted = ", ".join(map(str, self.wanted)) if isinstance(self.wanted, (tuple, list)) else str(self.wanted)
        return "%s %s %s" % (self.field, _WORDS[self.kind], wanted or "empty")


def equals(field: str, wanted: Plain) -> Rule:
    return Rule(field, "equals", wanted)


def at_least(field: str, wanted: int) -> Rule:
    return Rule(field, "at_least", wanted)


def at_most(field: str, wanted: int) -> Rule:
    return Rule(field, "at_most", wanted)


def among(field: str, *wanted: Plain) -> Rule:
    return Rule(field, "among", wanted)


def matches(field: str, pattern: str) -> Rule:
    return Rule(field, "matches", pattern)


def each_among(field: str, *wanted: Plain) -> Rule:
    return Rule(field, "each_among", wanted)


def contains(field: str, *wanted: Plain) -> Rule:
    return Rule(field, "contains", wanted)


def _same(found: Any, wanted: Any) -> bool:
    return type(found) is type(wanted) and bool(found == wanted)  # True is not 1


def _is_number(found: Any) -> bool:
    return isinstance(found, int) and not isinstance(found, bool)


_KINDS: Dict[str, Callable[[Any, Any], bool]] = {
    "equals": _same,
    "at_least": lambda found, wanted: _is_number(found) and found >= wanted,
    "at_most": lambda found, wanted: _is_number(found) and found <= wanted,
    "among": lambda found, wanted: any(_same(found, one) for one in wanted),
    "matches": lambda found, wanted: isinstance(found, str) and re.fullmatch(wanted, found) is not None,
    "each_among": lambda found, wanted: (
        isinstance(found, list) and all(any(_same(one, other) for other in wanted) for one in found)
    ),
    "contains": lambda found, wanted: isinstance(found, list) and all(one in found for one in wanted),
}
_WORDS = {
    "equals": "is",
    "at_least": "is at least",
    "at_most": "is at most",
    "among": "is one of",
    "matches": "matches",
    "each_among": "has nothing but",
    "contains": "contains",
}


class Check(NamedTuple):
    """``name`` is its key in a report; ``ask`` runs on the device, in a separate process.

    ``calls`` are the interfaces of Windows that it tries, in the words of the documentation; ``code`` the files of the engine
    that rely on them; ``means`` what a wrong answer means for these. ``wine`` are the fields that Wine is known to answer otherwise.
    """

    name: str
    ask: Callable[[], Answer]
    calls: Tuple[str, ...]
    rules: Sequence[Rule]
    documentation: str
    code: Tuple[str, ...]
    means: str
    needs_administrator: bool = False
    makes_shadow_copy: bool = False
    seconds: float = 240.0  # the start of Python alone takes long on a busy device
    wine: Tuple[str, ...] = ()
