# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The templates that were followed on the way to a value, so that no way is endless.

A template that refers to itself is followed once. Templates of which each repeats the one before would be followed as often as
the text has copies; the work ends long before.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from .nodes import Node, Variables

MOST_STEPS = 20
STEPS_OF_A_KEY = 5  # a name that is made up of names is short
_REPEATED = 10  # how often each template may be followed in the mean: a value may well repeat another one
_SOME = 200

Place = Tuple[int, int]


def place_of(node: Node, variables: Variables) -> Place:
    """Return what tells a template of a host from all others: a group's template means another value on each host."""
    return id(node), id(variables.get("inventory_hostname"))


class Effort:
    """The work for one value."""

    def __init__(self) -> None:
        self.times: Dict[Place, List[Any]] = {}
        self.ends: Dict[Place, Any] = {}  # what is known of templates that were followed to their end
        self.followed = 0

    @property
    def is_over(self) -> bool:
        return self.followed > _SOME + _REPEATED * len(self.times)

    @property
    def most_repeated(self) -> Node:
        node: Node = max(self.times.values(), key=lambda one: int(one[0]))[1]
        return node

    def count(self, node: Node, variables: Variables) -> None:
        self.followed += 1
        self.times.setdefault(place_of(node, variables), [0, node])[0] += 1


class Trail(NamedTuple):
    """The way to a template, and the work that all ways share."""

    effort: Effort
    above: FrozenSet[Place] = frozenset()
    steps: int = 0

    def into(self, node: Node, variables: Variables, steps: int = 1) -> Optional[Trail]:
        """Return the way through a template, or None if the way already contains it or is too long."""
        place = place_of(node, variables)
        if place in self.above or self.steps + steps > MOST_STEPS or self.effort.is_over:
            return None
        self.effort.count(node, variables)
        return Trail(self.effort, self.above | {place}, self.steps + steps)


def begun(trail: Optional[Trail]) -> Trail:
    """Return ``trail``, or a new one where there is none yet."""
    return Trail(Effort()) if trail is None else trail
