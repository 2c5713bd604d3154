# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings whose value is a template that is the name of a variable, with the value that this variable has.

Only what is certain is filled in: a name, and the keys and numbers of entries behind it, in the variables of the same host.
Everything else stays the template that it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Optional

from jinja2 import nodes

from .nodes import SEALED, Node, Variables
from .references import HOSTVARS, expression_of, known
from .trail import Trail, begun

_OF_OTHERS = (HOSTVARS, "groups", "vars")
_METHODS = frozenset(dir(dict)) | frozenset(dir(list))  # a template means these, and not an entry of the name


def filled_in(node: Node, variables: Variables, trail: Optional[Trail] = None) -> Node:
    """Return the value with all templates that name a variable replaced; the same node where there is none."""
    if node.is_template:
        way = begun(trail)
        found = _named(node, variables, way)
        inner = way.into(node, variables)
        return node if found is None or inner is None else filled_in(found, variables, inner)
    if node.keys:
        keys: Dict[str, Node] = {name: filled_in(one, variables, trail) for name, one in node.keys.items()}
        is_same = all(keys[name] is one for name, one in node.keys.items())
        return node if is_same else replace(node, value=keys)
    if node.items:
        items = [filled_in(one, variables, trail) for one in node.items]
        is_same = all(new is one for new, one in zip(items, node.items))
        return node if is_same else replace(node, value=items)
    return node


def _named(node: Node, variables: Variables, trail: Trail) -> Optional[Node]:
    """Return the value of the variable that a template names, None for any other template."""
    expression = expression_of(node)
    if expression is None or not _is_name(expression):
        return None
    found = known(expression, variables, trail)
    if len(found) != 1 or found[0].choice is not None or found[0].variables is not variables:
        return None
    value = found[0].node
    # A value without a place is one of Ansible's own.
    return value if value.file and value.value is not SEALED else None


def _is_name(part: Optional[nodes.Node]) -> bool:
    if isinstance(part, nodes.Name):
        return part.name not in _OF_OTHERS
    if isinstance(part, nodes.Getattr):
        return part.attr not in _METHODS and _is_name(part.node)
    return isinstance(part, nodes.Getitem) and isinstance(part.arg, nodes.Const) and _is_name(part.node)
