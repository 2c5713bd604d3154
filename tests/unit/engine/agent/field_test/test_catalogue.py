# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the field test and the list of what never met a real Windows: one does not forget what the other has."""

from __future__ import annotations

import re
from typing import List, Set

import pytest
from engine.agent.field_test.catalogue import BY_NAME, CHECKS, NOT_ASKED, calls, known_of_wine
from engine.agent.field_test.report import parse
from support.paths import ENGINE, ROOT

_PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_PART = _PAGE.split("The engine has never run on a real Windows.")[1].split("Over SMB, what never met a real Windows")[
    0
]
ROWS = [line for line in _PART.splitlines() if line.startswith("| ") and not re.match(r"\| (call|of the inst)", line)]
_LIBRARY = re.compile(r"(?:kernel32\(\)|library\(\"\w+\"\)|\blibrary)\.([A-Z]\w+)")


def interfaces() -> Set[str]:
    """Every interface of Windows that the lists name."""
    return {name for row in ROWS for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])}


def is_asked(name: str, words: str) -> bool:
    parts = [part for part in re.findall(r"\w+", name) if len(part) > 4]
    known = set(re.findall(r"\w+", words)) | set(NOT_ASKED)
    return name in known or name in words or any(part in known for part in parts)


def test_the_lists_are_found() -> None:
    assert len(ROWS) > 50
    assert {"LockFileEx", "IOCTL_DISK_GET_LENGTH_INFO", "CreateService"} <= interfaces()


def test_every_interface_that_never_met_a_real_windows_is_asked_or_has_a_reason() -> None:
    words = " ".join(calls())
    assert sorted(name for name in interfaces() if not is_asked(name, words)) == []
    assert not is_asked("CreateNothing", words)


def test_every_reason_not_to_ask_is_about_an_interface_of_the_lists() -> None:
    named = " ".join(interfaces()) + " ".join(ROWS)
    assert [name for name in NOT_ASKED if name not in named] == []
    words = set(re.findall(r"\w+", " ".join(calls())))
    assert [name for name in NOT_ASKED if name in words] == [], "it is asked after all"


def called() -> Set[str]:
    """Every function of a library of Windows that the engine calls."""
    sources = [path for path in ENGINE.rglob("*.py") if "windows" in path.as_posix() or "vss" in path.parts]
    found: Set[str] = set()
    for path in sources:
        if path.parent.name in ("host", "vss", "agent", "install"):
            found.update(_LIBRARY.findall(path.read_text(encoding="utf-8")))
    return found


def test_every_call_of_the_engine_is_in_the_lists() -> None:
    """architecture.md says that they are complete."""
    found = called()
    assert len(found) > 60
    without = [
        name
        for name in sorted(found)
        if not any(
            re.search(r"\b%s\b" % re.escape(one), _PART)
            for one in (name, name.rstrip("W"), re.sub("ExW?$|W$", "", name))
        )
    ]
    assert without == []


def test_checks_have_names_of_their_own_and_files_that_exist() -> None:
    assert len(BY_NAME) == len(CHECKS)
    missing: List[str] = []
    for check in CHECKS:
        assert re.fullmatch(r"[a-z0-9_]{1,64}", check.name)
        assert check.rules, "an answer without a rule proves nothing"
        assert check.documentation
        assert check.means.endswith(".")
        assert 0 < check.seconds <= 1800
        assert set(check.wine) <= {rule.field for rule in check.rules} | {""}, check.name
        missing += [name for name in check.code if not (ENGINE / name).exists()]
    assert missing == []
    assert known_of_wine()


def test_only_checks_of_administrators_make_shadow_copies() -> None:
    assert [one.name for one in CHECKS if one.makes_shadow_copy and not one.needs_administrator] == []


def test_a_report_of_nothing_is_not_read() -> None:
    with pytest.raises(Exception, match="not JSON"):
        parse(b"")
