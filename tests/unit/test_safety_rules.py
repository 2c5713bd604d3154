# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/safety-rules.md names for each rule tests that are there."""

from __future__ import annotations

import ast
import re
from typing import Set

from support.paths import ROOT, TESTS

RULES = 14


def names_of_tests() -> Set[str]:
    found: Set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found.add(node.name)
    return found


def test_every_rule_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "safety-rules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+)\. .*\| (.*) \|$", text, re.MULTILINE)
    assert [int(number) for number, dummy in rows] == list(range(1, RULES + 1))
    there = names_of_tests()
    for number, named in rows:
        names = re.findall(r"`(test_\w+)`", named)
        assert len(names) >= 4, number
        assert [name for name in names if name not in there] == [], number
