# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the sources of an inventory: files of hosts, group_vars and host_vars, as Ansible finds them."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, DefaultDict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from .ini_file import BrokenLine, entries
from .nodes import Group, Host, Node, Scope, Unread, Variables
from .yaml_file import BrokenFile, VaultedFile, read_text, read_yaml

_IGNORED = (".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry")
_PARTS = ("hosts", "vars", "children")
_YAML = (".yml", ".yaml", ".json")
_RANGE = re.compile(r"\[(?:(\d+):(\d+)|([A-Za-z]):([A-Za-z]))(?::(\d+))?\]")
_MOST_HOSTS = 100_000


class Named(NamedTuple):
    """A group or host that a file of variables or a list of children names, and where."""

    kind: str
    name: str
    node: Node


@dataclass
class Inventory:
    """All that the files say, by group and host."""

    groups: DefaultDict[str, Group] = field(default_factory=lambda: defaultdict(Group))
    hosts: DefaultDict[str, Host] = field(default_factory=lambda: defaultdict(Host))
    unread: List[Unread] = field(default_factory=list)
    repeated: List[Tuple[str, Node]] = field(default_factory=list)  # names in hosts files that stand there twice
    named: List[Named] = field(default_factory=list)
    sources: List[str] = field(default_factory=list)
    defined: Set[str] = field(default_factory=set)  # the groups of hosts files


def read(sources: Sequence[str]) -> Inventory:
    """Return the inventory of ``sources``: files, directories, and lists of hosts with a comma."""
    found = Inventory(sources=list(sources))
    beside: List[Path] = []
    for source in sources:
        if "," in source:
            for name in source.split(","):
                if name.strip():
                    _add_host(found, "ungrouped", name.strip(), {}, source, 1)
            continue
        path = Path(source)
        _read_source(found, path)
        folder = path if path.is_dir() else path.parent
        if folder not in beside:
            beside.append(folder)
    found.defined.update(found.groups)
    for folder in beside:
        _read_variables(found, folder / "group_vars", "group", lambda name: found.groups[name])
        _read_variables(
            found, folder / "host_vars", "host", lambda name: found.hosts[name] if name in found.hosts else Host()
        )
    return found


def _read_source(found: Inventory, path: Path) -> None:
    if path.is_dir():
        for one in sorted(path.iterdir()):
            hidden = one.name.startswith(".") or one.name in ("group_vars", "host_vars", "vars_plugins")
            if not hidden and not one.name.endswith(_IGNORED):
                _read_source(found, one)
        return
    with _noted(found, path, hosts=True):
        if path.suffix not in _YAML and os.access(str(path), os.X_OK):
            found.unread.append(Unread(str(path), "it is a program that makes an inventory", hides_hosts=True))
        elif path.suffix in _YAML or _is_yaml(path):
            _read_hosts(found, path)
        else:
            _read_ini(found, path)


class _noted:  # noqa: N801  # used as a statement
    """Notes an unreadable file, and continues."""

    def __init__(
        self, found: Inventory, path: Path, hosts: bool = False, scope: Optional[Scope] = None, host: str = ""
    ) -> None:
        self.found, self.path, self.hosts = found, str(path), hosts
        self.scope, self.host = scope, host

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if self.scope is not None and isinstance(error, (VaultedFile, BrokenFile)):
            self.scope.is_unread = True
        if isinstance(error, VaultedFile):
            self.found.unread.append(Unread(self.path, "it is encrypted", hides_hosts=self.hosts))
        elif isinstance(error, (BrokenFile, BrokenLine)):
            self.found.unread.append(
                Unread(self.path, str(error), broken=True, line=error.line, hides_hosts=self.hosts, host=self.host)
            )
        else:
            return False
        return True


def _is_yaml(path: Path) -> bool:
    """Whether a file without one of the usual ends begins as YAML or JSON does."""
    for line in read_text(path).splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            return line.startswith(("---", "{")) or line.rstrip().endswith(":")
    return False


def _read_hosts(found: Inventory, path: Path) -> None:
    root = read_yaml(path)
    if "plugin" in root.keys:
        found.unread.append(Unread(str(path), "a plugin makes its hosts", hides_hosts=True))
        return
    if not isinstance(root.value, dict):
        raise BrokenFile("it does not define groups", root.line)
    for name, node in _entries(found, "", root, "the file").items():
        _read_group(found, name, node)


def _read_group(found: Inventory, name: str, node: Node) -> None:
    group = found.groups[name]
    parts = _entries(found, name, node, "the group %s" % name)
    for part in parts.keys() - set(_PARTS):
        reason = "the group %s has the key %s; groups have the keys hosts, vars and children only" % (name, part)
        _broken(found, "%s.%s" % (name, part), parts[part], reason)
    group.layers.append(dict(parts["vars"].keys) if "vars" in parts else {})
    for host, own in _part(found, name, parts, "hosts").items():
        if own.value is not None and not isinstance(own.value, dict):
            _broken(found, "%s.hosts.%s" % (name, host), own, "the host %s needs a dictionary of variables" % host)
        _add_host(found, name, host, dict(own.keys), own.file, own.line)
    for child, inner in _part(found, name, parts, "children").items():
        if _contains(found, child, name):
            _broken(found, child, inner, "the groups %s and %s contain each other" % (name, child))
            continue
        group.children.append(child)
        found.named.append(Named("group", child, inner))
        _read_group(found, child, inner)
    _part(found, name, parts, "vars")


def _part(found: Inventory, group: str, parts: Variables, name: str) -> Variables:
    """Return the entries of a part of a group; a text is the only one, as Ansible reads it."""
    node = parts.get(name)
    if node is None:
        return {}
    if isinstance(node.value, str) and name != "vars":
        return {node.value: Node(None, node.file, node.line)}
    return _entries(found, "%s.%s" % (group, name), node, "%s of the group %s" % (name, group))


def _entries(found: Inventory, key: str, node: Node, what: str) -> Variables:
    """Return the entries of a dictionary of a hosts file, and note why it is not one, or a name that stands there twice."""
    if node.value is not None and not isinstance(node.value, dict):
        _broken(found, key, node, "%s needs a dictionary: a colon after each name, no list" % what)
    if not key.endswith(".vars"):  # those are values, which are looked at with all others
        found.repeated += [
            ("%s.%s" % (key, name) if key else name, one) for name, one in node.keys.items() if one.earlier_line
        ]
    return node.keys


def _broken(found: Inventory, key: str, node: Node, reason: str) -> None:
    found.unread.append(Unread(node.file, reason, broken=True, line=node.line, hides_hosts=True, key=key))


def _contains(found: Inventory, group: str, other: str) -> bool:
    """Whether ``other`` is ``group`` or in it."""
    seen: Set[str] = set()
    waiting = [group]
    while waiting:
        one = waiting.pop()
        if one == other:
            return True
        if one not in seen and one in found.groups:
            seen.add(one)
            waiting += found.groups[one].children
    return False


def _read_ini(found: Inventory, path: Path) -> None:
    for group, kind, name, variables, line in entries(read_text(path), str(path)):
        known = found.groups[group]
        if kind == "vars":
            known.layers.append(variables)
        elif kind == "children":
            if _contains(found, name, group):
                reason = "the groups %s and %s contain each other" % (group, name)
                _broken(found, name, Node(None, str(path), line), reason)
                continue
            known.children.append(name)
            found.groups[name]  # makes it
            found.named.append(Named("group", name, Node(None, str(path), line)))
        elif kind == "hosts":
            _add_host(found, group, name, variables, str(path), line)


def _add_host(found: Inventory, group: str, pattern: str, variables: Variables, file: str, line: int) -> None:
    for name in expanded(pattern):
        host = found.hosts[name]
        host.layers.append(variables)
        if not host.file:
            host.file, host.line = file, line
        found.groups[group].hosts.append(name)


def expanded(pattern: str) -> List[str]:
    """Return the hosts of a pattern such as C(press-[01:50]), without a port."""
    pattern = re.sub(r"^([^:\[\]]+):\d+$", r"\1", pattern)
    match = _RANGE.search(pattern)
    if not match:
        return [pattern]
    step = int(match.group(5) or 1)
    if match.group(1):
        width = len(match.group(1)) if match.group(1).startswith("0") else 0
        numbers = range(int(match.group(1)), min(int(match.group(2)), _MOST_HOSTS) + 1, step or 1)
        middles = [str(number).zfill(width) for number in numbers]
    else:
        middles = [chr(code) for code in range(ord(match.group(3)), ord(match.group(4)) + 1, step or 1)]
    return [name for middle in middles for name in expanded(pattern[: match.start()] + middle + pattern[match.end() :])]


def _read_variables(found: Inventory, folder: Path, kind: str, scope: Callable[[str], Scope]) -> None:
    """Read a folder of files and folders that are called by the group or host."""
    if not folder.is_dir():
        return
    for one in sorted(folder.iterdir()):
        name = one.name[: -len(one.suffix)] if one.suffix in _YAML and not one.is_dir() else one.name
        for path in _files(one):
            with _noted(found, path, scope=scope(name), host=name if kind == "host" else ""):
                root = read_yaml(path)
                if not isinstance(root.value, dict):
                    raise BrokenFile("it does not define variables", root.line)
                scope(name).files.append(dict(root.keys))
                found.named.append(Named(kind, name, root))


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for one in sorted(path.iterdir()):
            if not one.name.startswith(".") and not one.name.endswith("~"):
                yield from _files(one)
    elif path.suffix in (*_YAML, "") and not path.name.startswith("."):
        yield path
