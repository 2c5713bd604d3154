# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates that no play can evaluate: they refer to themselves, or each repeats the one before.

A reference counts only where it is evaluated for certain: not one side of a condition, and not an entry that a play selects.
"""

from __future__ import annotations

from functools import lru_cache
from typing import FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    EngineError,
    TemplateGrows,
    TemplateOfItself,
)
from jinja2 import nodes

from .finding import Issue, issue
from .nodes import Node, Variables
from .references import HOSTVARS, is_of_host, known, parsed
from .trail import Effort, Place, Trail, begun, place_of

_SELECTED_FROM = (HOSTVARS, "groups", "vars")  # only the selected entry of these is evaluated
_REFERENCES = (nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Call, nodes.Filter)


class Reference(NamedTuple):
    """An expression, whether it is evaluated for certain, and those in it, which decide where it stands for no value."""

    expression: nodes.Node
    always: bool
    inner: Tuple[Reference, ...]


Found = Tuple[EngineError, Node]


def issues(name: str, node: Node, variables: Variables) -> Iterator[Issue]:
    """Yield the first endless template that each text of a value reaches; ``name`` is the key of the value."""
    for key, inner in node.keys.items():
        yield from issues("%s.%s" % (name, key), inner, variables)
    for number, inner in enumerate(node.items):
        yield from issues("%s[%d]" % (name, number), inner, variables)
    found = _Search(name, variables).through(node, variables, begun(None), frozenset()) if node.is_template else None
    if found is not None:
        error, place = found
        yield issue(error, name, place if place.file else node)


class _Search:
    def __init__(self, name: str, own: Variables) -> None:
        self.name, self.own = name, own

    def through(self, node: Node, variables: Variables, trail: Trail, certain: FrozenSet[Place]) -> Optional[Found]:
        """Return what is endless in a value. All from one of the templates ``certain`` to here is evaluated for certain."""
        for part in () if is_of_host(node) else (*node.keys.values(), *node.items):
            found = self.through(part, variables, trail, certain)
            if found is not None:
                return found
        if not node.is_template:
            return None
        place = place_of(node, variables)
        if place in certain:
            return TemplateOfItself(key=self.name, name=self._called(node)), node
        inner = trail.into(node, variables)
        if inner is None:
            return self._over(trail.effort)
        return self._inside(references(node.value), variables, inner, certain | {place})

    def _inside(
        self, parts: Sequence[Reference], variables: Variables, trail: Trail, certain: FrozenSet[Place]
    ) -> Optional[Found]:
        for part in parts:
            values = known(part.expression, variables, trail)
            found = None if values else self._inside(part.inner, variables, trail, certain)
            for one in values:
                kept = certain if part.always and one.choice is None else frozenset()
                found = found or self.through(one.node, one.variables, trail, kept)
            if found is not None:
                return found
        return self._over(trail.effort)

    def _over(self, effort: Effort) -> Optional[Found]:
        if not effort.is_over:
            return None
        node = effort.most_repeated
        return TemplateGrows(key=self.name, name=self._called(node)), node

    def _called(self, node: Node) -> str:
        """Return the name of the variable that the template is the value of."""
        return next((name for name, one in self.own.items() if one is node), "") or self.name


@lru_cache(maxsize=4096)
def references(text: str) -> Tuple[Reference, ...]:
    """Return the expressions of a template that may refer to variables of the inventory."""
    tree = parsed(text)
    if tree is None:
        return ()
    local = {one.name for one in tree.find_all(nodes.Name) if one.ctx != "load"}
    return tuple(_collected(tree, True, frozenset(local)))


def _collected(part: nodes.Node, always: bool, local: FrozenSet[str]) -> Iterator[Reference]:
    """Yield the references in a part of a template, which itself sets the names ``local``."""
    lazy = _lazy_of(part)
    inner = [
        one
        for child in part.iter_child_nodes()
        for one in _collected(child, always and not any(child is late for late in lazy), local)
    ]
    is_open = isinstance(part, nodes.Name) and (part.name in local or part.name in _SELECTED_FROM)
    is_local = any(one.name in local for one in part.find_all(nodes.Name))
    if isinstance(part, _REFERENCES) and not is_open and not is_local:
        yield Reference(part, always, tuple(inner))
    else:
        yield from inner


def _lazy_of(part: nodes.Node) -> List[Optional[nodes.Node]]:
    """Return the parts that a play does not evaluate in every case."""
    if isinstance(part, nodes.CondExpr):
        return [part.expr1, part.expr2]
    if isinstance(part, (nodes.And, nodes.Or)):
        return [part.right]
    if isinstance(part, nodes.If):
        return [*part.body, *part.elif_, *part.else_]
    return [*part.body, *part.else_] if isinstance(part, nodes.For) else []
