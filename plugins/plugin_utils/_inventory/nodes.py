# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of an inventory with the file and line that each is written at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Union

_TEMPLATE = ("{{", "{%")


class Sealed:
    """The stand-in for a value that is sealed with ``!vault``."""


SEALED = Sealed()


@dataclass(frozen=True)
class Node:
    """A value: a scalar, ``SEALED``, a dictionary of nodes or a list of them."""

    value: Any
    file: str
    line: int
    earlier_line: int = 0  # of another value of the same key, which this one replaced
    is_damaged: bool = False  # a sealed text that nothing opens
    written: str = ""  # a number as the file has it, where that is another text, such as 0123 for 83
    is_key_text: bool = True  # whether its key is a text for YAML, and not a number, a date or a boolean

    @property
    def is_template(self) -> bool:
        return isinstance(self.value, str) and any(mark in self.value for mark in _TEMPLATE)

    @property
    def is_open(self) -> bool:
        """Whether the value is only known when a play runs."""
        return self.value is SEALED or self.is_template

    @property
    def keys(self) -> Dict[str, Node]:
        """The nodes of a dictionary; none of any other value."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> List[Node]:
        """The nodes of a list; none of any other value."""
        return self.value if isinstance(self.value, list) else []

    @property
    def entries(self) -> List[Node]:
        """The nodes of a list, which may be a text with commas, as Ansible cuts it."""
        if not isinstance(self.value, str) or self.is_open:
            return self.items
        return [Node(one, self.file, self.line) for one in self.value.split(",") if one]

    def text(self, key: str) -> str:
        """Return a text under ``key``; "" for what is none, or only known when a play runs."""
        found = self.keys.get(key)
        return found.value if found and isinstance(found.value, str) and not found.is_open else ""


Variables = Dict[str, Node]


def node_of(value: Any, file: str, line: int) -> Node:
    """Return a plain value as a node, all of it at one place."""
    if isinstance(value, dict):
        return Node({str(key): node_of(one, file, line) for key, one in value.items()}, file, line)
    if isinstance(value, list):
        return Node([node_of(one, file, line) for one in value], file, line)
    return Node(value, file, line)


@dataclass
class Unread:
    """A file that was not looked into, or that can't be read."""

    file: str
    reason: str
    broken: bool = False
    line: int = 1
    hides_hosts: bool = False  # whether it may define hosts
    key: str = ""
    host: str = ""


@dataclass
class Group:
    """A group as the inventory's files define it."""

    hosts: List[str] = field(default_factory=list)
    children: List[str] = field(default_factory=list)
    layers: List[Variables] = field(default_factory=list)  # of hosts files, in their order
    files: List[Variables] = field(default_factory=list)  # of group_vars
    is_unread: bool = False  # whether a file of it could not be read


@dataclass
class Host:
    """A host with what is said of it alone."""

    layers: List[Variables] = field(default_factory=list)
    files: List[Variables] = field(default_factory=list)
    is_unread: bool = False
    file: str = ""
    line: int = 0


Scope = Union[Group, Host]
