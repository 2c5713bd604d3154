# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a YAML file of variables or hosts with the line of every value. Sealed values stay sealed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, FrozenSet

import yaml

from .nodes import SEALED, Node

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SAFE = yaml.constructor.SafeConstructor
_MERGE = "tag:yaml.org,2002:merge"
VAULT = "$ANSIBLE_VAULT;"


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
        raise BrokenFile("it is not valid YAML", mark.line + 1 if mark else 1) from None
    except (ValueError, RecursionError):
        raise BrokenFile("it holds a value that YAML does not allow") from None
    return Node({}, str(path), 1) if found.value is None else found


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.constructor = _SAFE()

    def node(self, found: yaml.Node, place: yaml.Node, above: FrozenSet[int]) -> Node:
        """Return ``found`` with the line of ``place``, its key."""
        line = place.start_mark.line + 1
        if id(found) in above:
            raise ValueError("an alias inside its own anchor")
        inside = above | {id(found)}
        if found.tag in ("!vault", "!vault-encrypted"):
            return Node(SEALED, self.file, line)
        if isinstance(found, yaml.MappingNode):
            return Node(self.mapping(found, inside), self.file, line)
        if isinstance(found, yaml.SequenceNode):
            return Node([self.node(one, one, inside) for one in found.value], self.file, line)
        if found.tag.startswith("!"):
            return Node(str(found.value), self.file, line)
        return Node(self.constructor.construct_object(found), self.file, line)

    def mapping(self, found: yaml.MappingNode, above: FrozenSet[int]) -> Dict[str, Node]:
        merged: Dict[str, Node] = {}
        own: Dict[str, Node] = {}
        for key, value in found.value:
            if key.tag == _MERGE:
                parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for part in reversed(parts):
                    merged.update(self.node(part, part, above).keys)
            else:
                own[str(key.value)] = self.node(value, key, above)
        return {**merged, **own}
