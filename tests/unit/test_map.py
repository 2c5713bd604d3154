# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests are a map of the code: where a test lies, which file it tries, and that documents name tests that are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path, PurePath
from typing import Iterator, List, Tuple

import pytest
from support import order
from support.covered_elsewhere import COVERED
from support.paths import ENGINE, PLUGINS, ROOT, TESTS

UNIT = TESTS / "unit"
INTEGRATION = TESTS / "integration"
FOLDERS = {"engine", "storage", "disk", "agent", "playbooks", "chaos", "recovery", "fleet", "windows"}
UNIT_TESTS = sorted(path.relative_to(UNIT) for path in UNIT.rglob("test_*.py") if path.parent != UNIT)
UPKEEP = sorted(path.stem for path in (ENGINE / "image" / "upkeep").glob("[!_]*.py"))


def room_of(test: Path) -> Path:
    """The folder of plugins that a unit test lies beside."""
    base = PLUGINS / "module_utils" if test.parts[0] in ("engine", "settings") else PLUGINS
    return base / test.parent


def stems(room: Path) -> List[str]:
    """The names of a room's files, the longest first: ``test_link_patience`` is about ``link``, unless there is that file."""
    return sorted((path.stem.strip("_") for path in room.glob("*.py")), key=len, reverse=True)


def about(test: Path) -> Tuple[Path, str]:
    """The room of a unit test and the name of the file that it is about; no name for what is about the whole room."""
    own, room = test.stem[len("test_") :], room_of(test)
    return room, next((stem for stem in stems(room) if stem and (own + "_").startswith(stem + "_")), "")


def without_mirror() -> List[str]:
    mirrored = {about(test) for test in UNIT_TESTS}
    sources = [
        path for path in PLUGINS.rglob("*.py") if path.name != "__init__.py" and path.parent.name != "doc_fragments"
    ]
    return sorted(
        str(path.relative_to(PLUGINS)) for path in sources if (path.parent, path.stem.strip("_")) not in mirrored
    )


@pytest.mark.parametrize("test", UNIT_TESTS, ids=str)
def test_a_unit_test_is_named_after_a_file_beside_it_or_after_its_room(test: Path) -> None:
    """``test_<file>.py`` or ``test_<file>_<topic>.py``; what is about a whole room is called by the room."""
    room, file = about(test)
    assert file or (test.stem + "_").startswith("test_%s_" % room.name), "%s has nothing of this name" % room


@pytest.mark.parametrize("name", UPKEEP)
def test_every_file_of_upkeep_has_a_test_of_its_name(name: str) -> None:
    assert (UNIT / "engine" / "image" / "upkeep" / ("test_%s.py" % name)).is_file()


def test_integration_tests_lie_in_folders_by_what_they_are_about() -> None:
    assert list(INTEGRATION.glob("test_*.py")) == []
    assert {path.parent.name for path in INTEGRATION.rglob("test_*.py")} <= FOLDERS
    assert [path for path in INTEGRATION.rglob("test_*.py") if path.parent.parent != INTEGRATION] == []


def test_files_of_one_name_in_two_folders_are_collected(tmp_path: Path) -> None:
    """With the settings that ``make test`` has; two files of one name once stopped a whole run."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "test_same.py").write_text("def test_of_%s(): pass\n" % folder, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(ROOT / "pyproject.toml"),
        "--collect-only",
        "-q",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert done.stdout.count("test_same.py") == 2


def documents() -> List[Path]:
    found = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "roles").rglob("*.md"),
    ]
    return [*found, *PLUGINS.rglob("*.md")]


def names_of_tests(text: str) -> Iterator[str]:
    """Paths below ``tests`` and names of test files, with the stars of a pattern."""
    yield from re.findall(r"(?<![\w/])(tests/[\w*./]*[\w*])", text)
    yield from ("tests/**/" + name for name in re.findall(r"(?<![\w/*])(test_[\w*]+\.py)\b", text))


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_tests_that_are_there(document: Path) -> None:
    named = set(names_of_tests(document.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not list(ROOT.glob(name))] == []


def test_every_room_of_the_engine_names_the_tests_that_prove_it() -> None:
    for room in (path for path in ENGINE.iterdir() if (path / "__init__.py").is_file()):
        assert list(names_of_tests((room / "README.md").read_text(encoding="utf-8"))), room


def matches(source: str, pattern: str) -> bool:
    return PurePath(source).match(pattern) and source.count("/") == pattern.count("/")


def test_every_file_has_a_test_beside_it_or_is_named_with_the_test_that_tries_it() -> None:
    patterns = [pattern for patterns in COVERED.values() for pattern in patterns]
    assert [one for one in without_mirror() if not any(matches(one, pattern) for pattern in patterns)] == []


def test_the_list_of_files_that_are_covered_elsewhere_is_true() -> None:
    assert [test for test in COVERED if not (TESTS / test).is_file()] == []
    left = without_mirror()
    patterns = [pattern for patterns in COVERED.values() for pattern in patterns]
    assert [pattern for pattern in patterns if not any(matches(one, pattern) for one in left)] == []


def test_the_longest_files_are_there() -> None:
    """``support/order.py`` names files that moved or went no more, and each once."""
    missing = [name for name in order.LONGEST if not (TESTS / name).is_file()]
    assert missing == []
    assert len(set(order.LONGEST)) == len(order.LONGEST)


def test_the_longest_files_come_first() -> None:
    first, second = ("tests/%s::test[x::y]" % name for name in order.LONGEST[:2])
    nodes = ["tests/unit/test_map.py::test", "tests/integration/engine/test_of_no_list.py::test", second, first]
    assert sorted(nodes, key=order.place_of) == [first, second, *nodes[:2]]
