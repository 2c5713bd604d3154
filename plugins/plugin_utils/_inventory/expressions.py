# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a template ends in a text that is unencrypted in the inventory."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from jinja2 import Environment, TemplateSyntaxError, nodes

from .nodes import SEALED, Node, Variables

_MOST_STEPS = 20
_DEFAULTS = ("default", "d")


class Ends(IntEnum):
    """The kind of value that a template ends in."""

    NOTHING = 0
    CLEAR = 1
    UNKNOWN = 2  # sealed, looked up, or not in the inventory


End = Tuple[Ends, Optional[Node]]  # with the clear value's own place, if it is a variable


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Optional[nodes.Template]:
    try:
        return Environment(autoescape=False).parse(text)  # parsed, never rendered
    except (TemplateSyntaxError, RecursionError):
        return None


def end_of(node: Node, variables: Variables, steps: int = 0) -> End:
    """Return what the value of a secret ends in, along all variables that it refers to."""
    if node.value is SEALED or steps > _MOST_STEPS:
        return Ends.UNKNOWN, None
    if not isinstance(node.value, str):
        return (Ends.NOTHING, None) if node.value is None else (Ends.CLEAR, node)
    if not node.is_template:
        return (Ends.CLEAR, node) if node.value.strip() else (Ends.NOTHING, None)
    tree = _parsed(node.value)
    if tree is None:
        return Ends.UNKNOWN, None
    return _Walk(variables, steps).all_of(tree.body)


class _Walk:
    def __init__(self, variables: Variables, steps: int) -> None:
        self.variables, self.steps = variables, steps
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
            self.set_here[part.target.name] = part.node
        return Ends.NOTHING, None

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

    def _filter(self, part: nodes.Filter) -> End:
        if part.node is None:
            return Ends.UNKNOWN, None
        if part.name in _DEFAULTS and part.args:
            return self.any_of([part.node, part.args[0]])
        return self.end(part.node)

    def _call(self, part: nodes.Call) -> End:
        called = part.node
        return self.end(called.node) if isinstance(called, nodes.Getattr) else (Ends.UNKNOWN, None)

    def _name(self, part: nodes.Name) -> End:
        return self._found(part)

    def _getattr(self, part: nodes.Getattr) -> End:
        return self._found(part)

    def _getitem(self, part: nodes.Getitem) -> End:
        return self._found(part)

    def _found(self, part: nodes.Node) -> End:
        if isinstance(part, nodes.Name) and part.name in self.set_here:
            return self.end(self.set_here.pop(part.name))
        if isinstance(part, nodes.Getitem) and isinstance(part.node, (nodes.List, nodes.Tuple, nodes.Dict)):
            return self.end(part.node)
        node = self._variable(part)
        return end_of(node, self.variables, self.steps + 1) if node else (Ends.UNKNOWN, None)

    def _variable(self, part: nodes.Node) -> Optional[Node]:
        """Return the value of the inventory that a name or a path of keys stands for."""
        if isinstance(part, nodes.Name):
            return self.variables.get(part.name)
        if isinstance(part, nodes.Getattr):
            above, key = self._variable(part.node), part.attr
        elif isinstance(part, nodes.Getitem) and isinstance(part.arg, nodes.Const):
            above, key = self._variable(part.node), part.arg.value
        else:
            return None
        if above is None:
            return None
        if isinstance(key, int) and 0 <= key < len(above.items):
            return above.items[key]
        return above.keys.get(str(key))


def text_of(node: Optional[Node], variables: Variables, steps: int = 0) -> Optional[str]:
    """Return a text in which every template is a variable that the inventory sets, ``None`` for any other."""
    if node is None or isinstance(node.value, (dict, list)) or node.value is SEALED or steps > _MOST_STEPS:
        return None
    if not node.is_template:
        return "" if node.value is None else str(node.value)
    tree = _parsed(node.value)
    if tree is None or not all(isinstance(part, nodes.Output) for part in tree.body):
        return None
    texts: List[str] = []
    for part in (one for output in tree.body for one in output.nodes):  # type: ignore[attr-defined]
        if isinstance(part, nodes.TemplateData):
            texts.append(part.data)
            continue
        text = text_of(variables.get(part.name), variables, steps + 1) if isinstance(part, nodes.Name) else None
        if text is None:
            return None
        texts.append(text)
    return "".join(texts)
