# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what the files name is there: groups and hosts of files of variables, variables of templates, files of hooks."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from functools import lru_cache
from typing import FrozenSet, Iterator, Optional

from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    FileUnchecked,
    HookFileMissing,
    InventoryEmpty,
    ScopeUnknown,
    SettingTwice,
    VariableUnknown,
)
from jinja2 import nodes

from .expressions import text_of
from .finding import Issue, issue
from .nodes import Node, Variables
from .references import parsed
from .sources import Inventory

_LIKENESS = 0.8
_ALWAYS = frozenset(["all", "ungrouped"])
_HOOKS = ("before", "after", "failed")
_OF_ANSIBLE = re.compile(
    r"(ansible_|awx_|tower_|inventory_|group|host|play_|role_|omit|item|lookup|query|q$|vars$|undef|now|range|dict)"
)


def issues(inventory: Inventory) -> Iterator[Issue]:
    """Yield what the hosts files say twice, and variables of groups and hosts that the inventory does not have."""
    for key, node in inventory.repeated:
        yield issue(SettingTwice(key=key, line=node.earlier_line), key, node)
    if any(one.hides_hosts for one in inventory.unread):
        return
    if not inventory.hosts:
        yield Issue(InventoryEmpty(), "", inventory.sources[0] if inventory.sources else "", 1)
    known = {"host": frozenset(inventory.hosts), "group": _ALWAYS | frozenset(_used(inventory))}
    for kind, name, node in inventory.named:
        meant = _near(name, known[kind]) if name not in known[kind] else ""
        if meant:
            yield issue(ScopeUnknown(kind=kind, name=name, meant=meant), name, node)


def _used(inventory: Inventory) -> Iterator[str]:
    """Yield the groups that have hosts or groups in them."""
    for name in inventory.defined:
        if inventory.groups[name].hosts or inventory.groups[name].children:
            yield name


@lru_cache(maxsize=4096)
def _near(name: str, known: FrozenSet[str]) -> str:
    """Return the name that is meant; "" where none is like it. Names that differ in their numbers are different things."""
    for meant in get_close_matches(name, sorted(known), 3, _LIKENESS):
        if re.sub("[0-9]+", "", meant) != re.sub("[0-9]+", "", name):
            return meant
    return ""


def unknown_variables(name: str, node: Node, own: Variables) -> Iterator[Issue]:
    """Yield each variable in the templates of a value that the host does not have, where it has one of nearly that name."""
    for key, one in node.keys.items():
        yield from unknown_variables("%s.%s" % (name, key), one, own)
    for place, one in enumerate(node.items):
        yield from unknown_variables("%s[%d]" % (name, place), one, own)
    for asked in sorted(_asked(node.value)) if node.is_template else ():
        meant = _near(asked, frozenset(own)) if asked not in own else ""
        if meant:
            yield issue(VariableUnknown(key=name, name=asked, meant=meant), name, node)


@lru_cache(maxsize=4096)
def _asked(text: str) -> FrozenSet[str]:
    """Return the names that a template needs; what it asks for with a default or a test is not needed."""
    tree = parsed(text)
    if tree is None:
        return frozenset()
    own = {one.name for one in tree.find_all(nodes.Name) if one.ctx != "load"}
    return frozenset(name for name in _needed(tree) if name not in own and not _OF_ANSIBLE.match(name))


def _needed(part: nodes.Node) -> Iterator[str]:
    if isinstance(part, nodes.Test) or (isinstance(part, nodes.Filter) and part.name in ("default", "d")):
        return
    if isinstance(part, nodes.CondExpr) and any(part.test.find_all(nodes.Test)):
        return
    if isinstance(part, nodes.Name):
        yield part.name
    for child in part.iter_child_nodes():
        yield from _needed(child)


def hook_files(key: str, hooks: Optional[Node], own: Variables) -> Iterator[Issue]:
    """Yield the task files that are missing. A relative path begins beside the file that defines the host."""
    for name in _HOOKS:
        node = hooks.keys.get(name) if hooks else None
        path = text_of(node, own)
        if node is None or not path:
            continue
        place = os.path.join(os.path.dirname(own["inventory_hostname"].file), path)
        if os.path.isfile(place):
            continue
        inner = "%s.%s" % (key, name)
        # An absolute path is one of the controller, which need not be this machine.
        yield issue(
            FileUnchecked(key=inner) if os.path.isabs(path) else HookFileMissing(key=inner, file=path), inner, node
        )
