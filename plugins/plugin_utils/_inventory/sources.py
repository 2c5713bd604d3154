# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the sources of an inventory: files of hosts, group_vars and host_vars, as Ansible finds them."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Collection, DefaultDict, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from .host_names import BrokenRange, expanded
from .ini_file import BrokenLine, entries
from .nodes import Group, Host, Node, Scope, Unread, Variables
from .yaml_file import BrokenFile, VaultedFile, read_text, read_yaml

_IGNORED = (".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry")
_PARTS = ("hosts", "vars", "children")
_YAML = (".yml", ".yaml", ".json")
_PROGRAMS = (b"#!", b"\x7fELF", b"MZ")


class Named(NamedTuple):
    """A group or host that a file of variables or a list of children names, and where."""

    kind: str
    name: str
    node: Node


class Hidden(NamedTuple):
    """A file of variables that Ansible does not read, because another one of the same name comes first."""

    kind: str
    name: str
    file: str
    other: str


@dataclass
class Inventory:
    """All that the files say, by group and host."""

    groups: DefaultDict[str, Group] = field(default_factory=lambda: defaultdict(Group))
    hosts: DefaultDict[str, Host] = field(default_factory=lambda: defaultdict(Host))
    unread: List[Unread] = field(default_factory=list)
    repeated: List[Tuple[str, Node]] = field(default_factory=list)  # names in hosts files that stand there twice
    named: List[Named] = field(default_factory=list)
    hidden: List[Hidden] = field(default_factory=list)
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
    others: DefaultDict[str, Host] = defaultdict(Host)
    for folder in beside:
        groups = frozenset(("all", "ungrouped", *found.defined))
        _read_variables(found, folder / "group_vars", "group", groups, lambda name: found.groups[name])
        _read_variables(
            found,
            folder / "host_vars",
            "host",
            found.hosts.keys(),
            lambda name: found.hosts[name] if name in found.hosts else others[name],
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
        if path.suffix not in _YAML and _is_program(path):
            found.unread.append(Unread(str(path), "it is a program that makes an inventory", hides_hosts=True))
        elif path.suffix == ".toml":
            found.unread.append(Unread(str(path), "it is TOML, which this check does not read", hides_hosts=True))
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


def _is_program(path: Path) -> bool:
    """Whether Ansible can run a file. On a file system of Windows every file may be run, so that its begin counts."""
    if not os.access(str(path), os.X_OK):
        return False
    try:
        with path.open("rb") as opened:
            return opened.read(4).startswith(_PROGRAMS)
    except OSError:
        return False  # reading it tells why


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
        for name, one in node.keys.items():
            place = "%s.%s" % (key, name) if key else name
            if one.earlier_line:
                found.repeated.append((place, one))
            if not one.is_key_text:
                _broken(found, place, one, "the name %s is not a text for YAML; write it in quotes" % name)
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
    known = {"all", "ungrouped", *found.groups}
    pending: List[Tuple[str, str, int]] = []  # what names a group that a later section may define
    for group, kind, name, variables, line in entries(read_text(path), str(path)):
        own = found.groups[group]
        if kind == "vars":
            own.layers.append(variables)
        elif kind == "children":
            pending.append((name, "it is in the group %s" % group, line))
            if _contains(found, name, group):
                reason = "the groups %s and %s contain each other" % (group, name)
                _broken(found, name, Node(None, str(path), line), reason)
                continue
            own.children.append(name)
            found.groups[name]  # makes it
            found.named.append(Named("group", name, Node(None, str(path), line)))
        elif kind == "hosts":
            _add_host(found, group, name, variables, str(path), line)
        elif name == "vars":
            pending.append((group, "it has variables", line))
        else:
            known.add(group)
    for name, use, line in pending:
        if name not in known:
            _broken(found, name, Node(None, str(path), line), "no section defines the group %s; %s" % (name, use))


def _add_host(found: Inventory, group: str, pattern: str, variables: Variables, file: str, line: int) -> None:
    try:
        names = expanded(pattern)
    except BrokenRange as error:
        _broken(found, pattern, Node(None, file, line), "%s: %s" % (pattern, error))
        return
    for name in names:
        host = found.hosts[name]
        host.layers.append(variables)
        if not host.file:
            host.file, host.line = file, line
        found.groups[group].hosts.append(name)


def _read_variables(
    found: Inventory, folder: Path, kind: str, known: Collection[str], scope: Callable[[str], Scope]
) -> None:
    """Read a folder of files and folders that are called by the group or host."""
    if not folder.is_dir():
        return
    named: Dict[str, List[Path]] = {}
    for one in sorted(folder.iterdir()):
        if not one.name.startswith("."):
            name = one.name[: -len(one.suffix)] if one.suffix in _YAML else one.name
            named.setdefault(name, []).append(one)
    for name, places in named.items():
        # Ansible takes the first of these only: without a suffix, which a folder is, .yml, .yaml, .json.
        first, *hidden = sorted(places, key=lambda one: ("", *_YAML).index(one.suffix if one.name != name else ""))
        for path in (file for place in hidden for file in _files(place)):
            found.hidden.append(Hidden(kind, name, str(path), str(first)))
            scope(name).is_unread = True
        if first.is_dir() or first.suffix in _YAML or name in known:
            for path in _files(first, is_named=name in known):
                _read_file(found, path, kind, name, scope)
        elif _may_be_meant(first, known):  # its name may be nearly one of the inventory
            _read_file(found, first, kind, name, scope)


def _read_file(found: Inventory, path: Path, kind: str, name: str, scope: Callable[[str], Scope]) -> None:
    with _noted(found, path, scope=scope(name), host=name if kind == "host" else ""):
        root = read_yaml(path)
        if not isinstance(root.value, dict):
            raise BrokenFile("it does not define variables", root.line)
        scope(name).files.append(dict(root.keys))
        found.named.append(Named(kind, name, root))


def _may_be_meant(path: Path, known: Collection[str]) -> bool:
    """Whether a file without the suffix of YAML, whose name is that of no group or host, defines variables. It may be a
    note, or a file that was put aside by another suffix, too."""
    if path.name.endswith(_IGNORED) or (path.suffix and not any(name.endswith(path.suffix) for name in known)):
        return False
    try:
        return path.is_file() and bool(read_yaml(path).keys)
    except (VaultedFile, BrokenFile):
        return False


def _files(path: Path, is_named: bool = False) -> Iterator[Path]:
    """Yield the files of variables in a folder, or the file itself, whose suffix may belong to the name of a host."""
    if path.is_dir():
        for one in sorted(path.iterdir()):
            is_closed = one.is_dir() and one.suffix  # Ansible does not look into these
            if not one.name.startswith(".") and not one.name.endswith("~") and not is_closed:
                yield from _files(one)
    elif is_named or path.suffix in (*_YAML, ""):
        yield path
