# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a template ends in a text that is unencrypted in the inventory."""

from __future__ import annotations

from enum import IntEnum
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from jinja2 import nodes

from .nodes import SEALED, Node, Variables
from .references import EXTRACT, SELECTING, known, parsed
from .trail import Trail, begun, place_of

_DEFAULTS = ("default", "d")
_OF_ENTRIES = ("get", "values", "items")
_FIRST_OF_TWO = ("ternary", "ansible.builtin.ternary")


class Ends(IntEnum):
    """The kind of value that a template ends in."""

    NOTHING = 0
    CLEAR = 1
    UNKNOWN = 2  # sealed, looked up, or not in the inventory


End = Tuple[Ends, Optional[Node]]  # with the clear value's own place, if it is a variable


def end_of(node: Node, variables: Variables, trail: Optional[Trail] = None) -> End:
    """Return what the value of a secret ends in, along all variables that it refers to."""
    if node.value is SEALED:
        return Ends.UNKNOWN, None
    if not isinstance(node.value, str):
        return (Ends.NOTHING, None) if node.value is None else (Ends.CLEAR, node)
    if not node.is_template:
        return (Ends.CLEAR, node) if node.value.strip() else (Ends.NOTHING, None)
    trail, place = begun(trail), place_of(node, variables)
    if place not in trail.effort.ends:
        inner, tree = trail.into(node, variables), parsed(node.value)
        if inner is None or tree is None:
            return Ends.UNKNOWN, None
        # The node is kept, so that no other one gets its number.
        trail.effort.ends[place] = node, _Walk(variables, inner).all_of(tree.body)
    end: End = trail.effort.ends[place][1]
    return end


class _Walk:
    def __init__(self, variables: Variables, trail: Trail) -> None:
        self.variables, self.trail = variables, trail
        self.set_here: Dict[str, nodes.Node] = {}

    def all_of(self, parts: Sequence[nodes.Node]) -> End:
        """Parts that stand beside each other: one that is unknown hides the rest."""
        return max((self.end(part) for part in parts), key=lambda end: end[0], default=(Ends.NOTHING, None))

    def any_of(self, choices: Sequence[nodes.Node]) -> End:
        """Parts of which one is chosen: a single unencrypted one is enough."""
        ends: List[End] = [self.end(choice) for choice in choices]
        return next((end for end in ends if end[0] is Ends.CLEAR), max(ends, key=lambda end: end[0]))

    def end(self, part: nodes.Node) -> End:
        rule: Optional[Callable[[nodes.Node], End]] = getattr(self, "_" + type(part).__name__.lower(), None)
        return rule(part) if rule else (Ends.UNKNOWN, None)

    def _assign(self, part: nodes.Assign) -> End:
        """A name that the template sets itself; what it shows is in another part."""
        if isinstance(part.target, nodes.Name):
            self._set(part.target.name, part.node)
        return Ends.NOTHING, None

    def _set(self, name: str, value: nodes.Node) -> None:
        found = known(value, self.variables, self.trail)
        self.set_here[name] = value
        if len(found) == 1:
            self.variables = {**self.variables, name: found[0].node}
            del self.set_here[name]

    def _list(self, part: nodes.List) -> End:
        return self.all_of(part.items)

    def _tuple(self, part: nodes.Tuple) -> End:
        return self.all_of(part.items)

    def _dict(self, part: nodes.Dict) -> End:
        return self.all_of([pair.value for pair in part.items])

    def _output(self, part: nodes.Output) -> End:
        return self.all_of(part.nodes)

    def _templatedata(self, part: nodes.TemplateData) -> End:
        return (Ends.CLEAR if part.data.strip() else Ends.NOTHING), None

    def _const(self, part: nodes.Const) -> End:
        said = part.value not in ("", None, True, False)
        return (Ends.CLEAR if said else Ends.NOTHING), None

    def _if(self, part: nodes.If) -> End:
        bodies = [self.all_of(body) for body in (part.body, part.else_) if body]
        bodies += [self._if(one) for one in part.elif_]
        return next((end for end in bodies if end[0] is Ends.CLEAR), max(bodies, key=lambda end: end[0]))

    def _condexpr(self, part: nodes.CondExpr) -> End:
        return self.any_of([one for one in (part.expr1, part.expr2) if one is not None])

    def _or(self, part: nodes.Or) -> End:
        return self.any_of([part.left, part.right])

    def _concat(self, part: nodes.Concat) -> End:
        return self.all_of(part.nodes)

    def _add(self, part: nodes.Add) -> End:
        return self.all_of([part.left, part.right])

    def _mod(self, part: nodes.Mod) -> End:
        return self.all_of([part.left, part.right])

    def _mul(self, part: nodes.Mul) -> End:
        return self.any_of([part.left, part.right])

    def _for(self, part: nodes.For) -> End:
        """A loop shows the entries of its list."""
        if isinstance(part.target, nodes.Name):
            self.set_here[part.target.name] = part.iter
        return self.all_of(part.body)

    def _with(self, part: nodes.With) -> End:
        for target, value in zip(part.targets, part.values):
            if isinstance(target, nodes.Name):
                self._set(target.name, value)
        return self.all_of(part.body)

    def _filter(self, part: nodes.Filter) -> End:
        found = self._found(part)
        if part.node is None or found[0] is Ends.CLEAR:
            return found
        if part.name in EXTRACT or (part.name in SELECTING and known(part, self.variables, self.trail)):
            return found  # of the entries that it selects; the others decide nothing
        if part.name in _DEFAULTS and part.args:
            return self.any_of([part.node, part.args[0]])
        if part.name in _FIRST_OF_TWO and part.args:
            return self.any_of(part.args)
        # An argument that is sealed hides the rest: '%s-x' | format(vault_password).
        ends = [end for end in map(self.end, part.args) if end[0] is Ends.UNKNOWN and part.name == "format"]
        return ends[0] if ends else self.end(part.node)

    def _call(self, part: nodes.Call) -> End:
        found = self._found(part)
        given = [word.value for word in part.kwargs if word.key == "default"]
        called = part.node
        if isinstance(called, nodes.Getattr) and called.attr == "get":
            given += part.args[1:2]
        ends = [found, *map(self.end, given)]
        is_unknown = found[0] is Ends.UNKNOWN and not given
        if is_unknown and isinstance(called, nodes.Getattr) and called.attr not in _OF_ENTRIES:
            ends = [self.all_of([called.node, *part.args])]
        return next((end for end in ends if end[0] is Ends.CLEAR), max(ends, key=lambda end: end[0]))

    def _name(self, part: nodes.Name) -> End:
        return self._found(part)

    def _getattr(self, part: nodes.Getattr) -> End:
        return self._found(part)

    def _getitem(self, part: nodes.Getitem) -> End:
        return self._found(part)

    def _found(self, part: nodes.Node) -> End:
        if isinstance(part, nodes.Name) and part.name in self.set_here:
            return self.end(self.set_here.pop(part.name))
        # Of entries that only a play can decide between, one that is sealed may be the one.
        choices: Dict[object, End] = {}
        for one in known(part, self.variables, self.trail):
            ended = end_of(one.node, one.variables, self.trail)
            choice = one.choice or object()
            choices[choice] = max(choices.get(choice, ended), ended, key=lambda end: end[0])
        if not choices:
            return Ends.UNKNOWN, None
        ends = list(choices.values())
        end, place = next((one for one in ends if one[0] is Ends.CLEAR), max(ends, key=lambda one: one[0]))
        return end, place if place is not None and place.file else None


def text_of(node: Optional[Node], variables: Variables, trail: Optional[Trail] = None) -> Optional[str]:
    """Return a text in which every template is a variable that the inventory sets, ``None`` for any other."""
    if node is None or isinstance(node.value, (dict, list)) or node.value is SEALED:
        return None
    if not node.is_template:
        return "" if node.value is None else str(node.value)
    tree, inner = parsed(node.value), begun(trail).into(node, variables)
    if inner is None or tree is None or not all(isinstance(part, nodes.Output) for part in tree.body):
        return None
    texts: List[str] = []
    for part in (one for output in tree.body for one in output.nodes):  # type: ignore[attr-defined]
        if isinstance(part, nodes.TemplateData):
            texts.append(part.data)
            continue
        text = text_of(variables.get(part.name), variables, inner) if isinstance(part, nodes.Name) else None
        if text is None:
            return None
        texts.append(text)
    return "".join(texts)
