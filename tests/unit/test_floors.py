# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports only run downwards, are relative inside the engine, and third-party packages come in at one place."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Iterator, Sequence, Set, Tuple

import pytest
from engine.errors import StorageError, catalogue
from support.paths import ENGINE, MODULE_UTILS, ROOT

SETTINGS = ROOT / "plugins" / "module_utils" / "settings"
# From the ground up, as docs/architecture.md draws them. Rooms on one floor don't import each other.
FLOORS = (
    ("amounts", "moments", "tame"),
    ("errors",),
    ("_libraries", "entries", "names", "nearest", "stall"),
    ("host", "smb"),
    ("storage", "disk"),
    ("snapshot",),
    ("image",),
    ("device",),
    ("restore",),
    ("install", "guide", "fleet"),
    ("verbs",),
    ("agent",),
    ("recovery",),
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
GUARDED = {"cryptography", "zstandard", "paramiko", "smbprotocol", "smbclient", "spnego"}
SOURCES = sorted(ENGINE.rglob("*.py"))
STORAGE_ERRORS = {error.__name__ for error in catalogue() if issubclass(error, StorageError)} | {"StorageError"}


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


def storage_names(path: Path) -> Set[str]:
    """The errors about a storage that a file names, wherever it has them from."""
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    fields = ("id", "attr", "name", "asname")
    return {getattr(node, field, "") for node in tree for field in fields} & STORAGE_ERRORS


@pytest.mark.parametrize("path", sorted((ENGINE / "smb").glob("*.py")), ids=lambda path: str(path.name))
def test_the_smb_client_knows_no_storage(path: Path) -> None:
    """A connection to a device uses it as well. That it imports no room above it the floors hold."""
    assert storage_names(path) == set()


def test_the_name_of_a_storage_error_is_found(tmp_path: Path) -> None:
    path = tmp_path / "client.py"
    for line in ("from ..errors import StorageFull", "errors.StorageFull", "StorageFull", "import x as StorageError"):
        path.write_text(line + "\n", encoding="utf-8")
        assert storage_names(path), line


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ENGINE)) for path in SOURCES])
def test_imports_run_downwards(path: Path) -> None:
    assert list(wrong(path)) == []


Module = Tuple[str, ...]


def all_imports(path: Path, top: Path) -> Set[Module]:
    """Every module that a file imports relatively, inside a function and for types alone as well: what a name is imported
    from, and the name itself, since it may be a module."""
    package = path.relative_to(top).parts[:-1]
    found: Set[Module] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else ()))
            found |= {base, *((*base, item.name) for item in node.names)}
    return found


def circle(top: Path, sources: Sequence[Path]) -> str:
    """The first circle of imports, "" where there is none."""
    graph = {path.relative_to(top).with_suffix("").parts: all_imports(path, top) for path in sources}
    done: Set[Module] = set()

    def visit(module: Module, trail: Tuple[Module, ...]) -> str:
        if module in trail:
            return " -> ".join("/".join(part) for part in (*trail[trail.index(module) :], module))
        found = ""
        if module not in done:
            for other in sorted(graph[module] & graph.keys()):
                found = found or visit(other, (*trail, module))
            done.add(module)
        return found

    return next(filter(None, (visit(module, ()) for module in graph)), "")


def test_the_engine_does_not_import_itself_in_circles() -> None:
    assert circle(ENGINE, SOURCES) == ""


@pytest.mark.parametrize(
    "line",
    [
        "from .first import thing",
        "from . import first",
        "from ..room import first",
        "def late():\n    from .first import thing",
        "if TYPE_CHECKING:\n    from .first import thing",
    ],
)
def test_a_circle_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    first, second = tmp_path / "room" / "first.py", tmp_path / "room" / "second.py"
    first.write_text("from .second import other\n", encoding="utf-8")
    second.write_text("import ast\n", encoding="utf-8")
    assert circle(tmp_path, [first, second]) == ""
    second.write_text(line + "\n", encoding="utf-8")
    assert circle(tmp_path, [first, second]) == "room/first -> room/second -> room/first"


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
