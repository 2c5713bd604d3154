# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an inventory in Ansible's INI format with the line of every variable."""

from __future__ import annotations

import ast
import re
import shlex
from typing import Any, Iterator, List, Tuple

from .nodes import Node, Variables, node_of

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(vars|children|hosts))?\]\s*(?:#.*)?$")
_BYTE_ORDER_MARK = "\ufeff"
# group, kind (hosts, children, vars, or group for a section), name or kind of a section, variables, line
Entry = Tuple[str, str, str, Variables, int]


class BrokenLine(Exception):
    """A line that the format does not allow."""

    def __init__(self, line: int, reason: str = "write each variable as name=value, without spaces") -> None:
        super().__init__("line %d is not valid: %s" % (line, reason))
        self.line = line


def entries(text: str, file: str) -> Iterator[Entry]:
    """Yield each host, child and variable of the file. :raises BrokenLine: when a line is neither."""
    group, kind = "ungrouped", "hosts"
    if text.startswith(_BYTE_ORDER_MARK):
        raise BrokenLine(
            1, "it begins with a byte order mark, which Ansible takes for a name; store it as UTF-8 without"
        )
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        section = _SECTION.match(line)
        if section:
            group, kind = section.group(1), section.group(2) or "hosts"
            yield group, "group", kind, {}, number
        elif line[0] == "[" and ("]" not in line or line.rstrip().endswith("]")):
            raise BrokenLine(number, "a section is called [group], [group:vars] or [group:children], without spaces")
        elif kind == "vars":
            name, equals, value = line.partition("=")
            if not equals:
                raise BrokenLine(number)
            yield group, kind, "", {name.strip(): _value(value.strip(), file, number)}, number
        else:
            yield _member(line, group, kind, file, number)


def _member(line: str, group: str, kind: str, file: str, number: int) -> Entry:
    try:
        words: List[str] = shlex.split(line, comments=True)
    except ValueError:
        raise BrokenLine(number) from None
    if kind == "children" and words[1:]:
        raise BrokenLine(number, "a line of a section of children is the name of a group only")
    variables: Variables = {}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals:
            raise BrokenLine(number)
        variables[name] = _value(value, file, number)
    return group, kind, words[0], variables, number


def _value(text: str, file: str, line: int) -> Node:
    """Return what Ansible makes of a value: a literal of Python, or else text."""
    try:
        value: Any = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = text
    known = isinstance(value, (str, int, float, bool, dict, list)) or value is None
    return node_of(value if known else text, file, line)
