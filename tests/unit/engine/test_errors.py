# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue: every failure has a code of its own, names its object, and says what to do."""

from __future__ import annotations

import ast
import re
import string
from typing import Dict, Set, Type

import pytest
from engine.errors import EngineError, RestoreTargetTooSmall, StorageNotFound, catalogue, uncaught
from support.paths import ENGINE, PLUGINS, ROOT

ERRORS = list(catalogue())


def fields_of(error: Type[EngineError]) -> Set[str]:
    texts = (error.message, error.hint)
    return {name for text in texts for dummy, name, dummy_spec, dummy_conv in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("error", ERRORS, ids=[error.code for error in ERRORS])
def test_an_error_tells_what_happened_to_which_object_and_what_to_do(error: Type[EngineError]) -> None:
    assert re.fullmatch(r"[A-Z]\d{3}", error.code)
    made = error(**{name: "<%s>" % name for name in fields_of(error)})
    words = made.as_dict()
    assert words["code"] == error.code
    assert words["message"].endswith(".")
    assert len(words["hint"]) > 10, "a failure without a way out"
    for name in fields_of(error):
        assert "<%s>" % name in words["message"] + words["hint"]
    assert not re.search(r"\{\w*\}", words["message"] + words["hint"]), "a field was not filled in"


@pytest.mark.parametrize("error", ERRORS, ids=[error.code for error in ERRORS])
def test_a_reason_that_is_a_sentence_leaves_one_full_stop(error: Type[EngineError]) -> None:
    made = error(**{name: "Sentence of %s. " % name for name in fields_of(error)})
    assert ".." not in str(made)


@pytest.mark.parametrize("path", ["/srv/images/.", "C:\\."])
def test_a_path_keeps_the_dot_that_it_ends_with(path: str) -> None:
    assert path in str(StorageNotFound(storage=path, path="x"))


@pytest.mark.parametrize(
    ("count", "shown"),
    [(8160437760, "8.2 GB (8160437760 bytes)"), (1000, "1.0 kB (1000 bytes)"), (999, "999 bytes"), (0, "0 bytes")],
)
def test_a_size_is_shown_for_people_and_exactly(count: int, shown: str) -> None:
    words = str(RestoreTargetTooSmall(target="/dev/sdb", disk="disk0", target_bytes=count, needed_bytes=count + 512))
    assert "/dev/sdb has %s, but disk0" % shown in words


def test_the_document_lists_every_code() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    for error in ERRORS:
        assert error.code in text, "make docs writes it"


def raised_with() -> Dict[str, Set[str]]:
    """For each error class the keyword names of every call in the engine that makes one."""
    found: Dict[str, Set[str]] = {}
    names = {error.__name__ for error in ERRORS}
    for path in [
        *ENGINE.rglob("*.py"),
        *(PLUGINS / "plugin_utils").rglob("*.py"),
        *(PLUGINS / "action").glob("*.py"),
        *(PLUGINS / "lookup").glob("*.py"),
    ]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                given = {keyword.arg or "**" for keyword in node.keywords}
                wanted = fields_of(next(error for error in ERRORS if error.__name__ == node.func.id))
                if "**" not in given:
                    assert wanted <= given, "%s:%d gives %s, not %s" % (path, node.lineno, given, wanted)
                found.setdefault(node.func.id, set()).update(given)
    return found


def test_every_error_is_made_somewhere_with_all_that_its_message_names() -> None:
    made = raised_with()
    unused = {error.__name__ for error in ERRORS if error.__name__ not in made}
    assert unused <= {"StorageUnreachable"}, "a code that nothing raises is no promise"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("can't start new thread"), ValueError("[digital envelope] malloc failure")]
)
def test_a_machine_without_memory_is_no_defect_of_ours(error: Exception) -> None:
    told = uncaught(error)
    assert told.code == "X002"
    assert uncaught(ValueError("wrong")).code == "X000"
