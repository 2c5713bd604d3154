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
from typing import Callable, DefaultDict, Iterator, List, Sequence

from .ini_file import BrokenLine, entries
from .nodes import Group, Host, Node, Unread, Variables
from .yaml_file import BrokenFile, VaultedFile, read_text, read_yaml

_IGNORED = (".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry")
_YAML = (".yml", ".yaml", ".json")
_RANGE = re.compile(r"\[(?:(\d+):(\d+)|([A-Za-z]):([A-Za-z]))(?::(\d+))?\]")
_MOST_HOSTS = 100_000


@dataclass
class Inventory:
    """All that the files say, by group and host."""

    groups: DefaultDict[str, Group] = field(default_factory=lambda: defaultdict(Group))
    hosts: DefaultDict[str, Host] = field(default_factory=lambda: defaultdict(Host))
    unread: List[Unread] = field(default_factory=list)


def read(sources: Sequence[str]) -> Inventory:
    """Return the inventory of ``sources``: files, directories, and lists of hosts with a comma."""
    found = Inventory()
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
    for folder in beside:
        _read_variables(found, folder / "group_vars", lambda name: found.groups[name].files)
        _read_variables(
            found, folder / "host_vars", lambda name: found.hosts[name].files if name in found.hosts else []
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

    def __init__(self, found: Inventory, path: Path, hosts: bool = False) -> None:
        self.found, self.path, self.hosts = found, str(path), hosts

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if isinstance(error, VaultedFile):
            self.found.unread.append(Unread(self.path, "it is encrypted", hides_hosts=self.hosts))
        elif isinstance(error, (BrokenFile, BrokenLine)):
            self.found.unread.append(
                Unread(self.path, str(error), broken=True, line=error.line, hides_hosts=self.hosts)
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
    for name, node in root.keys.items():
        _read_group(found, name, node)


def _read_group(found: Inventory, name: str, node: Node) -> None:
    group = found.groups[name]
    variables = node.keys.get("vars")
    group.layers.append(dict(variables.keys) if variables else {})
    hosts = node.keys.get("hosts")
    for host, own in (hosts.keys if hosts else {}).items():
        _add_host(found, name, host, dict(own.keys), own.file, own.line)
    children = node.keys.get("children")
    for child, inner in (children.keys if children else {}).items():
        group.children.append(child)
        _read_group(found, child, inner)


def _read_ini(found: Inventory, path: Path) -> None:
    for group, kind, name, variables, line in entries(read_text(path), str(path)):
        known = found.groups[group]
        if kind == "vars":
            known.layers.append(variables)
        elif kind == "children":
            known.children.append(name)
            found.groups[name]  # makes it
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


def _read_variables(found: Inventory, folder: Path, layers: Callable[[str], List[Variables]]) -> None:
    """Read a folder of files and folders that are called by the group or host."""
    if not folder.is_dir():
        return
    for one in sorted(folder.iterdir()):
        name = one.name[: -len(one.suffix)] if one.suffix in _YAML and not one.is_dir() else one.name
        for path in _files(one):
            with _noted(found, path):
                root = read_yaml(path)
                if not isinstance(root.value, dict):
                    raise BrokenFile("it does not define variables", root.line)
                layers(name).append(dict(root.keys))


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for one in sorted(path.iterdir()):
            if not one.name.startswith(".") and not one.name.endswith("~"):
                yield from _files(one)
    elif path.suffix in (*_YAML, "") and not path.name.startswith("."):
        yield path
