# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A function fits a screen, a file is one idea: held for everything in ``plugins``."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator, Tuple

import pytest
from support.paths import ROOT

MOST_LINES_OF_A_FUNCTION = 59
MOST_LINES_OF_A_FILE = 450
LISTS = (  # one list each, however long: the catalogue of errors, and what is generated from the settings
    ROOT / "plugins" / "module_utils" / "engine" / "errors.py",
    ROOT / "plugins" / "doc_fragments" / "options.py",
)
SOURCES = sorted((ROOT / "plugins").rglob("*.py"))


def functions(path: Path) -> Iterator[Tuple[str, int]]:
    """Every function of a file, those inside others as well, with its lines from ``def`` to the last."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def test_functions_fit_a_screen() -> None:
    long = [
        "%s: %s has %d lines" % (path.relative_to(ROOT), name, lines)
        for path in SOURCES
        for name, lines in functions(path)
        if lines > MOST_LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_files_are_one_idea() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in SOURCES
        for lines in [len(path.read_text(encoding="utf-8").splitlines())]
        if lines > MOST_LINES_OF_A_FILE and path not in LISTS
    }
    assert long == {}


@pytest.mark.parametrize(("lines", "is_told"), [(59, False), (60, True)])
def test_a_function_that_is_too_long_is_found(lines: int, is_told: bool, tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("class A:\n    def long(self):\n" + "        pass\n" * (lines - 1), encoding="utf-8")
    assert [lines > MOST_LINES_OF_A_FUNCTION for dummy, lines in functions(path)] == [is_told]
