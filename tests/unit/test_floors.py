# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports only run downwards, are relative inside the engine, and third-party packages come in at one place."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Iterator, Tuple

import pytest
from support.paths import ENGINE, MODULE_UTILS, ROOT

SETTINGS = ROOT / "plugins" / "module_utils" / "settings"
# From the ground up, as docs/architecture.md draws them. Rooms on one floor don't import each other.
FLOORS = (
    ("tame",),
    ("errors",),
    ("_libraries", "entries", "names", "nearest", "stall"),
    ("host", "smb"),
    ("storage", "disk"),
    ("snapshot",),
    ("image",),
    ("device",),
    ("restore",),
    ("install", "guide"),
    ("verbs",),
    ("agent",),
    ("recovery",),
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
GUARDED = {"cryptography", "zstandard", "paramiko", "smbprotocol", "smbclient", "spnego"}
SOURCES = sorted(ENGINE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(ENGINE).parts[0].replace(".py", "")


def imports(path: Path) -> Iterator[Tuple[int, Tuple[str, ...], bool, int]]:
    """Yield line, absolute parts of the name, whether it is relative, for every import of a file, wherever it stands."""
    package = path.relative_to(ENGINE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            names = [(*base, *node.module.split("."))] if node.module else [(*base, item.name) for item in node.names]
            above = node.level - 1 > len(package)
            for name in names:
                yield node.lineno, name, True, -1 if above else len(package)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, tuple((node.module or "").split(".")), False, 0
        elif isinstance(node, ast.Import):
            for item in node.names:
                yield node.lineno, tuple(item.name.split(".")), False, 0


def wrong(path: Path) -> Iterator[str]:
    """Yield what is wrong with the imports of one file of the engine."""
    room = room_of(path)
    if room == "__init__":
        return  # it is empty, which another test holds
    if room not in FLOOR_OF:
        yield "%s: no floor is known for the room %s" % (path.name, room)
        return
    for line, name, relative, depth in imports(path):
        where = "%s:%d" % (path.relative_to(ROOT), line)
        if relative and depth < 0:
            yield "%s: it leaves the engine" % where
        elif relative and name[0] != room:
            if name[0] not in FLOOR_OF:
                yield "%s: there is no room %s" % (where, name[0])
            elif FLOOR_OF[name[0]] >= FLOOR_OF[room]:
                yield "%s: %s stands on no lower floor than %s" % (where, name[0], room)
        elif not relative and name[0] in ("engine", "ansible", "ansible_collections"):
            yield "%s: imports %s, which exists under that name on no device" % (where, name[0])
        elif not relative and name[0] in GUARDED and room != "_libraries":
            yield "%s: third-party packages come in through _libraries.py" % where
        elif not relative and name[0] not in GUARDED and name[0] not in sys.stdlib_module_names:
            yield "%s: %s is neither ours nor of the standard library" % (where, name[0])


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ENGINE)) for path in SOURCES])
def test_imports_run_downwards(path: Path) -> None:
    assert list(wrong(path)) == []


def lines_inside(node: ast.AST) -> Iterator[int]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def test_the_engine_does_not_import_itself_in_circles() -> None:
    graph = {}
    for path in SOURCES:
        module = path.relative_to(ENGINE).with_suffix("").parts
        # An import inside a function runs late: that is how a file system finds its tree, which stands on it.
        late = {line for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for line in lines_inside(node)}
        graph[module] = {name for line, name, relative, dummy in imports(path) if relative and line not in late}
    done = set()

    def visit(module: Tuple[str, ...], trail: Tuple[Tuple[str, ...], ...]) -> None:
        assert module not in trail, " -> ".join("/".join(part) for part in (*trail, module))
        if module in done or module not in graph:
            return
        for other in graph[module]:
            visit(other, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())
    assert len(done) == len(graph)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("from ..image import format", "no lower floor"),
        ("from ..disk import source", "no lower floor"),
        ("import ansible", "imports ansible"),
        ("from ansible.module_utils import basic", "imports ansible"),
        ("from engine.storage import contract", "imports engine"),
        ("import paramiko", "_libraries"),
        ("import requests", "standard library"),
        ("from .... import foo", "leaves the engine"),
    ],
)
def test_a_wrong_import_is_found(line: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ENGINE / "storage" / "contract.py"
    monkeypatch.setattr(Path, "read_text", lambda self, encoding="": line)
    found = list(wrong(path))
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize("path", sorted(SETTINGS.glob("*.py")), ids=lambda path: path.name)
def test_the_settings_import_the_standard_library_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1, "%s leaves the room" % path
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [item.name for item in node.names]
            assert {name.split(".")[0] for name in names} <= set(sys.stdlib_module_names), path


def test_only_the_arguments_of_module_utils_import_ansible() -> None:
    for path in MODULE_UTILS.glob("*.py"):
        if path.name != "__init__.py":
            assert path.name == "_arguments.py"


def test_empty_packages_and_headers() -> None:
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if path.name == "__init__.py":
            assert text == ""
        else:
            assert text.startswith("# Copyright: plantops.imaging contributors\n"), path
            too_long = len(text.splitlines()) > 450 and path.name != "errors.py"  # a catalogue is one list
            assert not too_long, "%s is too long to be one idea" % path
