# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests assert the code and the fields of a failure, not its sentence, so that a sentence may be improved.

Where the sentence is the point, the line says why, in a comment that begins with ``sentence:``.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Iterator, Optional, Set, Tuple

import pytest
from engine import errors
from support.paths import TESTS

CLASSES = {name for name, value in vars(errors).items() if isinstance(value, type)}
_PHRASE = re.compile(r"[A-Za-z']{2,}(?: [A-Za-z']+){2,}")  # three words
_MESSAGES = {"msg", "message"}


def phrase(node: Optional[ast.expr]) -> str:
    """The first three words in a row of a literal, "" where it has none: a name, a path, a figure."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        node = node.left
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
        text = node.value.decode("utf-8", "replace") if isinstance(node.value, bytes) else node.value
        found = _PHRASE.search(text)
        return found.group() if found else ""
    return ""


def is_message(node: ast.expr) -> bool:
    """Whether an expression is the text of an error: ``str(caught.value)``, ``failed["msg"]``, ``error.message``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str" and node.args:
        inner = node.args[0]
        return isinstance(inner, ast.Name) or (isinstance(inner, ast.Attribute) and inner.attr == "value")
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return node.slice.value in _MESSAGES
    return isinstance(node, ast.Attribute) and node.attr in _MESSAGES


def asserted(tree: ast.AST) -> Iterator[Tuple[int, str]]:
    """Yield line and words of each assertion about a sentence of the catalogue."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "raises" and node.args:
            names = {name.id for name in ast.walk(node.args[0]) if isinstance(name, ast.Name)}
            match = next((keyword.value for keyword in node.keywords if keyword.arg == "match"), None)
            if names & CLASSES and phrase(match):
                yield node.lineno, phrase(match)
        elif isinstance(node, ast.Assert):
            for part in ast.walk(node.test):
                if isinstance(part, ast.Compare) and is_message(part.comparators[0]) and phrase(part.left):
                    yield part.lineno, phrase(part.left)


def reasoned(source: str) -> Set[int]:
    """The lines that say why the sentence is the point, and those below such a comment."""
    lines = [number for number, line in enumerate(source.splitlines(), 1) if "# sentence:" in line]
    return {*lines, *(number + 1 for number in lines)}


def findings(source: str) -> Iterator[str]:
    excused = reasoned(source)
    for line, words in asserted(ast.parse(source)):
        if line not in excused:
            yield "%d: %s" % (line, words)


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_asserts_a_sentence_without_a_reason(path: Path) -> None:
    assert list(findings(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("with pytest.raises(LeaseHeld, match='another run is writing'): pass", 1),
        ("with pytest.raises((OSError, LeaseHeld), match=r'another run is writing'): pass", 1),
        ("assert 'the run was killed' in status['error']['message']", 1),
        ("assert 'the run %s ended' % name in str(caught.value)", 0),
        ("assert 'but the run %s ended' % name in str(caught.value)", 1),
        ("assert b'the run was killed' in failed['msg']  # sentence: it is what a user has", 0),
        ("# sentence: it is what a user has\nassert 'the run was killed' in failed['msg']", 0),
        ("with pytest.raises(LeaseHeld, match='process 1'): pass", 0),
        ("with pytest.raises(OSError, match='No space left on device'): pass", 0),
        ("assert name in str(error)", 0),
        ("assert 'No such file' in error.fields['reason']", 0),
    ],
)
def test_a_sentence_in_an_assertion_is_found(source: str, count: int) -> None:
    assert len(list(findings(source))) == count
