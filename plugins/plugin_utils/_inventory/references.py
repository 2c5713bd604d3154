# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of the inventory that an expression of a template stands for: its own host's, or another one's.

Where the inventory alone can't decide between the entries of a dictionary or a list, all of them are possible. Of the variables
of a host only those are whose names match what is known of the name: a host has clear ones of every kind.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from jinja2 import Environment, TemplateSyntaxError, nodes

from .nodes import SEALED, Node, Variables, node_of
from .trail import STEPS_OF_A_KEY, Trail, begun

HOSTVARS = "hostvars"
_MOST_FOUND = 100
_LOOKUPS = ("lookup", "query", "q")
_VARS = ("vars", "ansible.builtin.vars")
_SAME = ("default", "d", "combine", "ansible.builtin.combine", "union")
_ONE = ("first", "last", "random")
_ENTRY = ("list", "dict2items", "items2dict", "flatten", "unique", "sort", "reverse")
EXTRACT = ("extract", "ansible.builtin.extract")
SELECTING = (*_ONE, *_ENTRY, "attr", "map")


class Known(NamedTuple):
    """A value, and the variables of the host that it holds for.

    Entries that only a play can decide between have the same ``choice``.
    """

    node: Node
    variables: Variables
    choice: Optional[object] = None


class _Open(NamedTuple):
    """The key of an entry that only a play can evaluate, with the begin and the end of it that are known."""

    prefix: str = ""
    suffix: str = ""

    def matches(self, name: str) -> bool:
        is_long_enough = len(name) >= len(self.prefix) + len(self.suffix)
        return is_long_enough and name.startswith(self.prefix) and name.endswith(self.suffix)


ANY = _Open()
Key = Union[str, int, _Open]


class _HostVars(Node):
    """The value of ``hostvars``. An entry of all hosts is looked up once, not once for each of thousands of hosts."""

    def __init__(self, variables: Mapping[str, Variables]) -> None:
        super().__init__({host: Node(own, "", 0) for host, own in variables.items()}, "", 0)
        object.__setattr__(self, "memo", {})


def everywhere(variables: Mapping[str, Variables], groups: Mapping[str, Sequence[str]]) -> Variables:
    """Return the variables that Ansible gives every host: those of all hosts, and who is in which group."""
    members = {name: node_of(list(hosts), "", 0) for name, hosts in groups.items()}
    return {HOSTVARS: _HostVars(variables), "groups": Node(members, "", 0)}


ENVIRONMENT = Environment(autoescape=False)  # it parses, and never renders


@lru_cache(maxsize=4096)
def parsed(text: str) -> Optional[nodes.Template]:
    try:
        return ENVIRONMENT.parse(text)
    except (TemplateSyntaxError, RecursionError):
        return None


def expression_of(node: Node) -> Optional[nodes.Node]:
    """Return the expression that a template is as a whole, None for text with expressions in it."""
    tree = parsed(node.value) if node.is_template else None
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    parts = tree.body[0].nodes
    return parts[0] if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData) else None


def targets(node: Node, variables: Variables, trail: Optional[Trail] = None) -> List[Known]:
    """Return the values at the end of a template that names a variable, or the value itself."""
    expression = expression_of(node)
    inner = None if expression is None else begun(trail).into(node, variables)
    if inner is None:
        return [Known(node, variables)]
    found = known(expression, variables, inner)
    ends = [(one, end) for one in found for end in targets(one.node, one.variables, inner)]
    return [end if one.choice is None else end._replace(choice=one.choice) for one, end in ends]


def known(part: Optional[nodes.Node], variables: Variables, trail: Trail) -> List[Known]:
    """Return the values that an expression may stand for, as far as the inventory has them."""
    if part is None:
        return []
    if isinstance(part, nodes.Name):
        found = Node(variables, "", 0) if part.name == "vars" else variables.get(part.name)
        return [] if found is None else [Known(found, variables)]
    if isinstance(part, nodes.Getattr):
        return _entries(part.node, [part.attr], variables, trail)
    if isinstance(part, nodes.Getitem):
        return _entries(part.node, _keys(part.arg, variables, trail), variables, trail)
    if isinstance(part, nodes.CondExpr):
        return known(part.expr1, variables, trail) + known(part.expr2, variables, trail)
    if isinstance(part, (nodes.Or, nodes.And)):
        return known(part.left, variables, trail) + known(part.right, variables, trail)
    if isinstance(part, (nodes.Dict, nodes.List, nodes.Tuple)):
        return [Known(_literal(part, variables, trail), variables)]
    if isinstance(part, nodes.Call):
        return _call(part, variables, trail)
    return _filtered(part, variables, trail) if isinstance(part, nodes.Filter) else []


def _call(part: nodes.Call, variables: Variables, trail: Trail) -> List[Known]:
    called = part.node
    if isinstance(called, nodes.Name) and called.name in _LOOKUPS and len(part.args) > 1:
        kind, *names = part.args
        if isinstance(kind, nodes.Const) and kind.value in _VARS:
            keys = [key for name in names for key in _keys(name, variables, trail)]
            return _steps([Known(Node(variables, "", 0), variables)], keys, trail)
    if isinstance(called, nodes.Getattr) and called.attr == "get" and part.args:
        return _entries(called.node, _keys(part.args[0], variables, trail), variables, trail)
    if isinstance(called, nodes.Getattr) and called.attr in ("values", "items"):
        return _entries(called.node, [ANY], variables, trail)
    return []


def _filtered(part: nodes.Filter, variables: Variables, trail: Trail) -> List[Known]:
    if part.name in _SAME:
        return [one for given in (part.node, *part.args) for one in known(given, variables, trail)]
    if part.name in _ONE or part.name in _ENTRY:
        found = known(part.node, variables, trail)
        kept = [one for one in found if part.name in _ENTRY or not isinstance(one.node.value, (dict, list))]
        return kept + _steps(found, [ANY], trail)
    if part.name == "attr" and part.args:
        return _entries(part.node, _keys(part.args[0], variables, trail), variables, trail)
    if part.name in EXTRACT and part.args:
        return _extracted(_keys(part.node, variables, trail), part.args, variables, trail)
    if part.name == "map":
        named = [word.value for word in part.kwargs if word.key == "attribute"]
        if named:
            return _steps(_entries(part.node, [ANY], variables, trail), _keys(named[0], variables, trail), trail)
        if len(part.args) > 1 and isinstance(part.args[0], nodes.Const) and part.args[0].value == "extract":
            return _extracted([ANY], part.args[1:], variables, trail)
    return []


def _extracted(keys: Sequence[Key], args: Sequence[nodes.Expr], variables: Variables, trail: Trail) -> List[Known]:
    found = _steps(known(args[0], variables, trail), keys, trail)
    for more in args[1:]:
        path = list(more.items) if isinstance(more, (nodes.List, nodes.Tuple)) else [more]
        for one in path:
            found = _steps(found, _keys(one, variables, trail), trail)
    return found


def _entries(above: Optional[nodes.Node], keys: Sequence[Key], variables: Variables, trail: Trail) -> List[Known]:
    hosts = variables.get(HOSTVARS)
    of_any_host = (
        isinstance(above, nodes.Getitem) and isinstance(above.node, nodes.Name) and above.node.name == HOSTVARS
    )
    if not of_any_host or not isinstance(hosts, _HostVars) or _keys(above.arg, variables, trail) != [ANY]:  # type: ignore[union-attr]
        return _steps(known(above, variables, trail), keys, trail)
    memo: Dict[Any, List[Known]] = getattr(hosts, "memo")  # noqa: B009
    if tuple(keys) not in memo:
        memo[tuple(keys)] = []  # for a template of a host that asks all hosts for the same entry
        memo[tuple(keys)] = _few(_steps(known(above, variables, begun(None)), keys, begun(None)))
    return memo[tuple(keys)]


def _few(found: List[Known]) -> List[Known]:
    """Return the values that decide among many of one choice: a text of each kind is enough, and so is one that is sealed."""
    kinds: Dict[object, Known] = {}
    for number, one in enumerate(found):
        is_text = isinstance(one.node.value, str) and not one.node.is_template
        kind: object = "sealed" if one.node.value is SEALED else bool(one.node.value) if is_text else number
        kinds.setdefault(kind, one)
    few = list(kinds.values())
    # A value beyond the limit may be sealed.
    return few if len(few) <= _MOST_FOUND else [few[0]._replace(node=Node(SEALED, "", 0)), *few[:_MOST_FOUND]]


def _steps(above: Iterable[Known], keys: Sequence[Key], trail: Trail) -> List[Known]:
    """Return the entries ``keys`` of each value, each once."""
    found: Dict[int, Known] = {}
    for one in above:
        for end in targets(one.node, one.variables, trail):
            # A template in the variables of a host refers to that host.
            own = end.node.keys if is_of_host(end.node) else end.variables
            for key in keys:
                choice = one.choice or end.choice or (object() if isinstance(key, _Open) else None)
                for node in _children(end.node, key):
                    found.setdefault(id(node), Known(node, own, choice))
    return list(found.values())


def is_of_host(node: Node) -> bool:
    return "inventory_hostname" in node.keys


def _children(node: Node, key: Key) -> List[Node]:
    if isinstance(key, _Open):
        if key == ANY:
            return [] if is_of_host(node) else list(node.keys.values()) or node.items
        return [one for name, one in node.keys.items() if key.matches(name)]
    if isinstance(key, int) and -len(node.items) <= key < len(node.items):
        return [node.items[key]]
    found = node.keys.get(str(key))
    return [] if found is None else [found]


def _keys(part: Optional[nodes.Node], variables: Variables, trail: Trail) -> List[Key]:
    """Return the keys that an expression may be."""
    if isinstance(part, nodes.Const) and isinstance(part.value, (str, int)):
        return [part.value]
    if isinstance(part, nodes.Neg) and isinstance(part.node, nodes.Const) and isinstance(part.node.value, int):
        return [-part.node.value]
    if isinstance(part, nodes.TemplateData):
        return [part.data]
    if isinstance(part, (nodes.Concat, nodes.Add)):
        return [_joined(part, variables, trail)]
    found = [key for one in known(part, variables, trail) for key in _keys_of(one, trail)]
    return found if found and ANY not in found else [ANY]


def _keys_of(one: Known, trail: Trail) -> List[Key]:
    """Return the keys that a value may be, also one that is a template."""
    value = one.node.value
    if not one.node.is_template:
        return [value] if isinstance(value, (str, int)) else [ANY]
    inner = trail.into(one.node, one.variables, STEPS_OF_A_KEY)
    tree = parsed(value) if inner is not None else None
    if inner is None or tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return [ANY]
    parts = tree.body[0].nodes
    return _keys(parts[0] if len(parts) == 1 else nodes.Concat(parts), one.variables, inner)


def _joined(part: nodes.Node, variables: Variables, trail: Trail) -> Key:
    """Return the key that parts make together, or its begin and end where a play makes one of the parts."""
    found = [_keys(one, variables, trail) for one in _parts(part)]
    if isinstance(part, nodes.Add) and not any(isinstance(one, str) for keys in found for one in keys):
        return ANY  # a sum
    begin, is_whole = _known_part(found)
    end, dummy = _known_part(found[::-1])
    return "".join(begin) if is_whole else _Open("".join(begin), "".join(end[::-1]))


def _known_part(found: Sequence[Sequence[Key]]) -> Tuple[List[str], bool]:
    """Return the texts up to the first part that a play makes, and whether there is none."""
    texts: List[str] = []
    for keys in found:
        if len(keys) != 1 or isinstance(keys[0], _Open):
            return texts, False
        texts.append(str(keys[0]))
    return texts, True


def _parts(part: nodes.Node) -> List[nodes.Node]:
    if isinstance(part, nodes.Concat):
        return [inner for one in part.nodes for inner in _parts(one)]
    return [*_parts(part.left), *_parts(part.right)] if isinstance(part, nodes.Add) else [part]


def _literal(part: nodes.Node, variables: Variables, trail: Trail) -> Node:
    """Return a dictionary or list of a template as a value without a place."""
    if isinstance(part, nodes.Const):
        return node_of(part.value, "", 0)
    if isinstance(part, nodes.Dict):
        pairs: Dict[str, Any] = {
            str(pair.key.value): _literal(pair.value, variables, trail)
            for pair in part.items
            if isinstance(pair.key, nodes.Const)
        }
        return Node(pairs, "", 0)
    if isinstance(part, (nodes.List, nodes.Tuple)):
        return Node([_literal(one, variables, trail) for one in part.items], "", 0)
    found = known(part, variables, trail)
    return found[0].node if len(found) == 1 else Node(SEALED, "", 0)
