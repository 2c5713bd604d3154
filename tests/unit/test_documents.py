# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents name files, functions, tests and pages that exist."""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Iterator, List, Set

import pytest
from support.paths import ENGINE, ROOT, TESTS

_FOLDERS = (
    ".github",
    "docs",
    "extensions",
    "meta",
    "playbooks",
    "plugins",
    "requirements",
    "roles",
    "scripts",
    "tests",
)
DOCUMENTS = sorted(
    [
        *(path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.md") if "node_modules" not in path.parts),
        *ROOT.glob("*.md"),
    ]
)
# Names of files that are in an archive the collection builds, or that a user writes.
ELSEWHERE = {"__main__.py", "plantops_loader.py"}
_CODE = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"[\w*./-]+\.(?:py|sh)")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def prose(path: Path) -> str:
    """A document without its code blocks, which show what users write."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def sources() -> List[str]:
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name in _FOLDERS]
    found = (path for folder in folders for ending in ("*.py", "*.sh") for path in folder.rglob(ending))
    return ["/" + path.relative_to(ROOT).as_posix() for path in found]


def definitions(path: Path) -> Set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)}


def rows() -> Iterator[str]:
    """The second column of the table "Where is it?"."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split("## Where is it?\n", 1)[1].split("\n## ", 1)[0]
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith("| question"):
            yield line.split(" | ")[1]


def test_the_documents_are_found() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}
    assert {"CONTRIBUTING.md", "docs/architecture.md", "plugins/module_utils/engine/image/README.md"} <= names


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_named_files_exist(path: Path) -> None:
    named = {word for word in _CODE.findall(prose(path)) if _FILE.fullmatch(word)} - ELSEWHERE
    there = sources()
    assert [word for word in sorted(named) if not any(fnmatch(one, "*/" + word.lstrip("/")) for one in there)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_linked_pages_exist(path: Path) -> None:
    linked = set(_LINK.findall(prose(path)))
    assert [link for link in sorted(linked) if not (path.parent / link).exists()] == []


def test_named_tests_exist() -> None:
    there = {path.stem for path in TESTS.rglob("test_*.py")}
    there.update(name for path in TESTS.rglob("test_*.py") for name in definitions(path))
    named = {word for path in DOCUMENTS for word in _CODE.findall(prose(path)) if re.fullmatch(r"test_\w+", word)}
    assert named - there == set()


def assigned(path: Path) -> Set[str]:
    """The names that a file assigns at its top level."""
    found: Set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        found.update(target.id for target in targets if isinstance(target, ast.Name))
    return found


def test_what_a_recipe_calls_a_part_of_a_file_is_defined_there() -> None:
    """A recipe that sends its reader to a table which has moved costs him an hour."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+)` of `([\w/]+\.py)`", text)
    named += re.findall(r"`(\w+)` in `([\w/]+\.py)`", text)
    assert len(named) >= 8
    wrong = []
    for name, file in named:
        paths = [ROOT / one.lstrip("/") for one in sources() if one.endswith("/" + file)]
        if not any(name in assigned(path) | definitions(path) for path in paths):
            wrong.append((name, file))
    assert wrong == []


def test_the_table_of_questions_names_functions_that_exist() -> None:
    checked = 0
    for column in rows():
        names = _CODE.findall(column)
        if not names or not names[0].endswith(".py"):
            continue
        path = next(path for path in (ENGINE / names[0], ROOT / names[0]) if path.is_file())
        assert set(names[1:]) <= definitions(path), column
        checked += len(names) - 1
    assert checked >= 6


def test_every_call_of_windows_is_in_the_list_of_what_never_met_a_real_one() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = text.partition("The engine has never run on a real Windows.")[2].partition("## Decisions")[0]
    calls = re.compile(r'(?:kernel32\(\)|\blibrary|_library\("[\w.]+"\))\.([A-Z]\w+)')
    codes = re.compile(r"\b((?:IOCTL|FSCTL)_[A-Z_]+)\b")
    found = set()
    for path in (ENGINE / "host").glob("windows_*.py"):
        source = path.read_text(encoding="utf-8")
        found |= {name[:-1] if name.endswith("W") else name for name in calls.findall(source)} | set(
            codes.findall(source)
        )
    assert len(found) > 60
    assert sorted(name for name in found if not re.search(r"\b%sW?\b" % name, listed)) == []
