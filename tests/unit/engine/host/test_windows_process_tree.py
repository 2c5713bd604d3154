# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left where Windows takes a process into no job: its processes are ended by their parents."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.host import windows_process_tree


def test_processes_are_ended_by_the_tool_of_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, tool = tmp_path / "told", tmp_path / "System32" / "taskkill.exe"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "$@" > %s\nexit 1\n' % told)
    tool.chmod(0o755)
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    windows_process_tree.end_by_parents(4711)
    assert told.read_text().split() == ["/t", "/f", "/pid", "4711"]


def test_a_tool_that_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    windows_process_tree.end_by_parents(4711)
    assert "taskkill.exe" in capsys.readouterr().err
