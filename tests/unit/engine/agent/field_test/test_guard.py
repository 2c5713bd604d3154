# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The field test writes to no disk: its sources name no function that does, and in its processes these are gone."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Set

import pytest
from engine.agent.field_test import guard
from engine.host import windows_devices, windows_volumes
from support.paths import ENGINE

SOURCES = sorted((ENGINE / "agent" / "field_test").glob("*.py"))
NAMES = {name for dummy, name in guard.FORBIDDEN}


def named(path: Path) -> Set[str]:
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {getattr(node, field, "") for node in tree for field in ("id", "attr", "name")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_source_names_a_function_that_writes(path: Path) -> None:
    assert named(path) & (NAMES - {"flush"} | {"uses_of_disk"}) == set()


def test_every_function_that_writes_is_refused_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    for module, name in guard.FORBIDDEN:
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(windows_devices, "ask", lambda *arguments: asked.append(arguments[1]) or b"")
    guard.forbid_writes()
    for module, name in guard.FORBIDDEN:
        with pytest.raises(guard.WriteForbidden):
            getattr(module, name)(1, 0, b"")
    windows_devices.ask(1, windows_volumes.IOCTL_STORAGE_GET_DEVICE_NUMBER, 12)
    for code in (windows_volumes.FSCTL_LOCK_VOLUME, windows_volumes.FSCTL_DISMOUNT_VOLUME, 0x7C054, 0):
        with pytest.raises(guard.WriteForbidden):
            windows_devices.ask(1, code, 0)
    assert asked == [windows_volumes.IOCTL_STORAGE_GET_DEVICE_NUMBER]


def test_the_questions_that_pass_are_the_ones_that_windows_numbers_as_reading() -> None:
    """Bits 14 and 15 of a control code are the access that it needs: FILE_WRITE_ACCESS is 2."""
    assert [hex(code) for code in guard.READING if code >> 14 & 2] == []


def test_the_guard_knows_all_that_writes() -> None:
    """A function of the two files that opens for writing, writes, locks or dismounts, and is not in the list."""
    for module in (windows_devices, windows_volumes):
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef):
                text = ast.get_source_segment(source, node) or ""
                writes = any(
                    word in text
                    for word in (
                        "_GENERIC_WRITE",
                        "WriteFile",
                        "FlushFileBuffers",
                        "FSCTL_LOCK",
                        "FSCTL_DIS",
                        "_UPDATE_",
                    )
                )
                assert writes == (node.name in NAMES), node.name
