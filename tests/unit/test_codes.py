# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of errors stand in the catalogue alone; code that compares them names the class."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Iterator, Set

import pytest
from engine.errors import catalogue
from support.paths import ENGINE, PLUGINS

SOURCES = [path for path in sorted(PLUGINS.rglob("*.py")) if path != ENGINE / "errors.py"]
CODE = re.compile(r"[A-Z]\d{3}")
KNOWN = re.compile(r"\b(%s)\b" % "|".join(sorted({found.code for found in catalogue()})))
DOCUMENTS = {"DOCUMENTATION", "EXAMPLES", "RETURN"}


def documents(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the texts that people read: docstrings, and what Ansible makes documents from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value
        elif isinstance(node, ast.Assign) and {getattr(target, "id", "") for target in node.targets} & DOCUMENTS:
            yield from ast.walk(node.value)


def literals(source: str) -> Set[str]:
    """The texts in code that are shaped like a code, or have one of the catalogue in them."""
    tree = ast.parse(source)
    left_out = {id(node) for node in documents(tree)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out
    ]
    return {text for text in texts if CODE.fullmatch(text) or KNOWN.search(text)}


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(PLUGINS)) for path in SOURCES])
def test_no_code_outside_the_catalogue(path: Path) -> None:
    assert literals(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "line", ["if code == 'J110': pass", "x = {'S199': 1}", "say('see J110 there')", "f'{x} is J110'", "a['J110']"]
)
def test_a_code_is_found(line: str) -> None:
    assert len(literals(line)) == 1


@pytest.mark.parametrize(
    "line", ['"""J110 is raised."""', "RETURN = 'sample: J110'", "x = 'J1100'", "x = AgentMissing.code"]
)
def test_what_is_no_code_is_not_found(line: str) -> None:
    assert literals(line) == set()
