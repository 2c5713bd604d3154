# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of the inventory that an expression of a template stands for: its own host's, or another one's.

Where the inventory alone can't decide between entries, all of them are possible.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Union

from jinja2 import Environment, TemplateSyntaxError, nodes

from .nodes import SEALED, Node, Variables, node_of

HOSTVARS = "hostvars"
MOST_STEPS = 20
_MOST_FOUND = 100
_LOOKUPS = ("lookup", "query", "q")
_VARS = ("vars", "ansible.builtin.vars")
_SAME = ("default", "d", "combine", "ansible.builtin.combine", "union")
_ENTRY = ("first", "last", "random", "list", "dict2items", "items2dict", "flatten", "unique", "sort", "reverse")


class Known(NamedTuple):
    """A value, and the variables of the host that it holds for."""

    node: Node
    variables: Variables


class _Any:
    """The key of an entry that only a play can evaluate."""


ANY = _Any()
Key = Union[str, int, _Any]


class _HostVars(Node):
    """The value of ``hostvars``. An entry of all hosts is looked up once, not once for each of thousands of hosts."""

    def __init__(self, variables: Mapping[str, Variables]) -> None:
        super().__init__({host: Node(own, "", 0) for host, own in variables.items()}, "", 0)
        object.__setattr__(self, "memo", {})


def everywhere(variables: Mapping[str, Variables], groups: Mapping[str, Sequence[str]]) -> Variables:
    """Return the variables that Ansible gives every host: those of all hosts, and who is in which group."""
    members = {name: node_of(list(hosts), "", 0) for name, hosts in groups.items()}
    return {HOSTVARS: _HostVars(variables), "groups": Node(members, "", 0)}


@lru_cache(maxsize=4096)
def parsed(text: str) -> Optional[nodes.Template]:
    try:
        return Environment(autoescape=False).parse(text)  # parsed, never rendered
    except (TemplateSyntaxError, RecursionError):
        return None


def expression_of(node: Node) -> Optional[nodes.Node]:
    """Return the expression that a template is as a whole, None for text with expressions in it."""
    tree = parsed(node.value) if node.is_template else None
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    parts = tree.body[0].nodes
    return parts[0] if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData) else None


def targets(node: Node, variables: Variables, steps: int = 0) -> List[Known]:
    """Return the values at the end of a template that names a variable, or the value itself."""
    expression = expression_of(node)
    if expression is None or steps > MOST_STEPS:
        return [Known(node, variables)]
    found = known(expression, variables, steps + 1)
    return [end for one in found for end in targets(one.node, one.variables, steps + 1)]


def known(part: Optional[nodes.Node], variables: Variables, steps: int = 0) -> List[Known]:
    """Return the values that an expression may stand for, as far as the inventory has them."""
    if part is None or steps > MOST_STEPS:
        return []
    if isinstance(part, nodes.Name):
        found = Node(variables, "", 0) if part.name == "vars" else variables.get(part.name)
        return [] if found is None else [Known(found, variables)]
    if isinstance(part, nodes.Getattr):
        return _entries(part.node, [part.attr], variables, steps)
    if isinstance(part, nodes.Getitem):
        return _entries(part.node, _keys(part.arg, variables), variables, steps)
    if isinstance(part, nodes.CondExpr):
        return known(part.expr1, variables, steps) + known(part.expr2, variables, steps)
    if isinstance(part, (nodes.Or, nodes.And)):
        return known(part.left, variables, steps) + known(part.right, variables, steps)
    if isinstance(part, (nodes.Dict, nodes.List, nodes.Tuple)):
        return [Known(_literal(part, variables), variables)]
    if isinstance(part, nodes.Call):
        return _call(part, variables, steps)
    return _filtered(part, variables, steps) if isinstance(part, nodes.Filter) else []


def _call(part: nodes.Call, variables: Variables, steps: int) -> List[Known]:
    called = part.node
    if isinstance(called, nodes.Name) and called.name in _LOOKUPS and len(part.args) > 1:
        kind, *names = part.args
        if isinstance(kind, nodes.Const) and kind.value in _VARS:
            keys = [key for name in names for key in _keys(name, variables)]
            return _steps([Known(Node(variables, "", 0), variables)], keys, steps)
    if isinstance(called, nodes.Getattr) and called.attr == "get" and part.args:
        return _entries(called.node, _keys(part.args[0], variables), variables, steps)
    if isinstance(called, nodes.Getattr) and called.attr in ("values", "items"):
        return _entries(called.node, [ANY], variables, steps)
    return []


def _filtered(part: nodes.Filter, variables: Variables, steps: int) -> List[Known]:
    if part.name in _SAME:
        return [one for given in (part.node, *part.args) for one in known(given, variables, steps)]
    if part.name in _ENTRY:
        found = known(part.node, variables, steps)
        return found + _steps(found, [ANY], steps)
    if part.name == "attr" and part.args:
        return _entries(part.node, _keys(part.args[0], variables), variables, steps)
    if part.name in ("extract", "ansible.builtin.extract") and part.args:
        return _extracted(_keys(part.node, variables), part.args, variables, steps)
    if part.name == "map":
        named = [word.value for word in part.kwargs if word.key == "attribute"]
        if named:
            return _steps(_entries(part.node, [ANY], variables, steps), _keys(named[0], variables), steps)
        if len(part.args) > 1 and isinstance(part.args[0], nodes.Const) and part.args[0].value == "extract":
            return _extracted([ANY], part.args[1:], variables, steps)
    return []


def _extracted(keys: Sequence[Key], args: Sequence[nodes.Expr], variables: Variables, steps: int) -> List[Known]:
    found = _steps(known(args[0], variables, steps), keys, steps)
    for more in args[1:]:
        path = list(more.items) if isinstance(more, (nodes.List, nodes.Tuple)) else [more]
        for one in path:
            found = _steps(found, _keys(one, variables), steps)
    return found


def _entries(above: Optional[nodes.Node], keys: Sequence[Key], variables: Variables, steps: int) -> List[Known]:
    hosts = variables.get(HOSTVARS)
    of_any_host = (
        isinstance(above, nodes.Getitem) and isinstance(above.node, nodes.Name) and above.node.name == HOSTVARS
    )
    if not of_any_host or not isinstance(hosts, _HostVars) or _keys(above.arg, variables) != [ANY]:  # type: ignore[union-attr]
        return _steps(known(above, variables, steps + 1), keys, steps)
    memo: Dict[Any, List[Known]] = getattr(hosts, "memo")  # noqa: B009
    if tuple(keys) not in memo:
        memo[tuple(keys)] = _few(_steps(known(above, variables, steps + 1), keys, steps))
    return memo[tuple(keys)]


def _few(found: List[Known]) -> List[Known]:
    """Return the values that decide among many: one text that is unencrypted is enough, and so is one that is sealed."""
    kinds: Dict[object, Known] = {}
    for number, one in enumerate(found):
        is_text = isinstance(one.node.value, str) and not one.node.is_template
        kind: object = "sealed" if one.node.value is SEALED else bool(one.node.value) if is_text else number
        kinds.setdefault(kind, one)
    return list(kinds.values())[:_MOST_FOUND]


def _steps(above: Iterable[Known], keys: Sequence[Key], steps: int) -> List[Known]:
    """Return the entries ``keys`` of each value, each once."""
    found: Dict[int, Known] = {}
    for one in above:
        for end in targets(one.node, one.variables, steps + 1):
            for key in keys:
                for node in _children(end.node, key):
                    # A template in the variables of a host refers to that host.
                    own = end.node.keys if "inventory_hostname" in end.node.keys else end.variables
                    found.setdefault(id(node), Known(node, own))
    return list(found.values())


def _children(node: Node, key: Key) -> List[Node]:
    if isinstance(key, _Any):
        return list(node.keys.values()) or node.items
    if isinstance(key, int) and -len(node.items) <= key < len(node.items):
        return [node.items[key]]
    found = node.keys.get(str(key))
    return [] if found is None else [found]


def _keys(part: Optional[nodes.Node], variables: Variables) -> List[Key]:
    """Return the keys that an expression may be."""
    if isinstance(part, nodes.Const) and isinstance(part.value, (str, int)):
        return [part.value]
    if isinstance(part, nodes.Neg) and isinstance(part.node, nodes.Const) and isinstance(part.node.value, int):
        return [-part.node.value]
    found = [one.node.value for one in known(part, variables)]
    plain: List[Key] = [one for one in found if isinstance(one, (str, int)) and "{" not in str(one)]
    return plain if plain and len(plain) == len(found) else [ANY]


def _literal(part: nodes.Node, variables: Variables) -> Node:
    """Return a dictionary or list of a template as a value without a place."""
    if isinstance(part, nodes.Const):
        return node_of(part.value, "", 0)
    if isinstance(part, nodes.Dict):
        pairs: Dict[str, Any] = {
            str(pair.key.value): _literal(pair.value, variables)
            for pair in part.items
            if isinstance(pair.key, nodes.Const)
        }
        return Node(pairs, "", 0)
    if isinstance(part, (nodes.List, nodes.Tuple)):
        return Node([_literal(one, variables) for one in part.items], "", 0)
    found = known(part, variables)
    return found[0].node if len(found) == 1 else Node(SEALED, "", 0)
