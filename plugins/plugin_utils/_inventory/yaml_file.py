# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a YAML file of variables or hosts with the line of every value. Sealed values stay sealed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, FrozenSet, List

import yaml

from .nodes import SEALED, Node

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SAFE = yaml.constructor.SafeConstructor
_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_MOST_VALUES = 1_000_000  # of a file, those that its aliases repeat included
VAULT = "$ANSIBLE_VAULT;"
_SEALED = ("!vault", "!vault-encrypted")
_UNSAFE = "!unsafe"
_VAULT_TEXT = re.compile(r"\$ANSIBLE_VAULT;1\.[12];AES(?:256)?(?:;[^\s;]+)?\s(?:[0-9a-fA-F]|\s)+")
# The words of libyaml and PyYAML for a fault, and ours: a text of the file may be a secret, so that none is shown.
_REASONS = (
    ("cannot start any token", "a text that begins with @, ` or % has no quotes"),
    (
        "mapping values are not allowed",
        "a colon stands where none is allowed: an indentation is wrong, or a text with a colon has no quotes",
    ),
    ("could not find expected ':'", "a colon, or the space after it, is missing"),
    (
        "did not find expected key",
        "an indentation is wrong, or a text that begins with a bracket or a brace has no quotes",
    ),
    ("did not find expected '-' indicator", "an indentation is wrong"),
    ("alias", "a text that begins with * has no quotes"),
    ("escape", "a backslash in double quotes is not valid; use single quotes"),
    ("unexpected end of stream", "a quotation mark is not closed"),
    ("expected alphabetic or numeric", "a text that begins with * or & has no quotes"),
    ("expected ',' or", "a bracket, a brace or a comma is missing"),
)


class VaultedFile(Exception):
    """The file as a whole is encrypted."""


class BrokenFile(Exception):
    """The file is not YAML."""

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.line = line


def read_text(path: Path) -> str:
    """:raises VaultedFile: when the file is encrypted. :raises BrokenFile: when it can't be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BrokenFile("it does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenFile("it can't be opened as text in UTF-8") from error
    if text.startswith(VAULT):
        raise VaultedFile
    return text


def read_yaml(path: Path) -> Node:
    """Return the document of a file; a dictionary without keys where it is empty."""
    text = read_text(path)
    try:
        root = yaml.compose(text, Loader=_LOADER)
        found = Node(None, str(path), 1) if root is None else _Reader(str(path)).node(root, root, frozenset())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line if mark else 0
        raise BrokenFile(_reason(error, text.splitlines()[line : line + 1]), line + 1) from None
    except (ValueError, RecursionError):
        raise BrokenFile("it holds a value that YAML does not allow") from None
    return Node({}, str(path), 1) if found.value is None else found


def _reason(error: yaml.YAMLError, lines: List[str]) -> str:
    problem = str(getattr(error, "problem", ""))
    if lines and re.match(r"[ -]*\t", lines[0]):
        return "it is not valid YAML: a tab stands where YAML allows spaces only"
    return "it is not valid YAML" + next((": " + reason for mark, reason in _REASONS if mark in problem), "")


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.constructor = _SAFE()
        self.values = 0
        self.line = 1  # of the variable that is read

    def node(self, found: yaml.Node, place: yaml.Node, above: FrozenSet[int]) -> Node:
        """Return ``found`` with the line of ``place``, its key."""
        line = place.start_mark.line + 1
        self.values += 1
        if self.values > _MOST_VALUES:
            raise BrokenFile("its aliases make more than %d values of it" % _MOST_VALUES, self.line)
        if id(found) in above:
            raise ValueError("an alias inside its own anchor")
        inside = above | {id(found)}
        if found.tag in _SEALED:
            return self.sealed(found, line)
        if isinstance(found, yaml.MappingNode):
            return Node(self.mapping(found, inside), self.file, line)
        if isinstance(found, yaml.SequenceNode):
            return Node([self.node(one, one, inside) for one in found.value], self.file, line)
        if found.tag.startswith("!"):
            if found.tag != _UNSAFE:  # it may be the begin of a secret
                raise BrokenFile("Ansible does not know a tag in it, or a text that begins with ! has no quotes", line)
            return Node(str(found.value), self.file, line)
        value = self.constructor.construct_object(found)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        written = found.value if is_number and str(value) != found.value else ""
        return Node(value, self.file, line, written=written)

    def sealed(self, found: yaml.Node, line: int) -> Node:
        """Return a sealed value; one that is only marked as sealed is unencrypted."""
        text = found.value.strip() if isinstance(found.value, str) else ""
        if not text.startswith(VAULT):
            return Node(text, self.file, line)
        return Node(SEALED, self.file, line, is_damaged=not _VAULT_TEXT.fullmatch(text))

    def mapping(self, found: yaml.MappingNode, above: FrozenSet[int]) -> Dict[str, Node]:
        merged: Dict[str, Node] = {}
        own: Dict[str, Node] = {}
        for key, value in found.value:
            if len(above) == 1:
                self.line = key.start_mark.line + 1
            if key.tag == _MERGE:
                parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for part in reversed(parts):
                    if not isinstance(part, yaml.MappingNode):
                        raise BrokenFile("<< needs a dictionary, or a list of them", key.start_mark.line + 1)
                    merged.update(self.node(part, part, above).keys)
            else:
                if not isinstance(key, yaml.ScalarNode):
                    raise BrokenFile(
                        "a template, or a text that begins with a brace, has no quotes", key.start_mark.line + 1
                    )
                node, name = self.node(value, key, above), str(key.value)
                if key.tag != _TEXT:
                    node = replace(node, is_key_text=False)
                own[name] = replace(node, earlier_line=own[name].line) if name in own else node
        return {**merged, **own}
