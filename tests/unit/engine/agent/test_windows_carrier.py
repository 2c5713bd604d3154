# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits of a command: its time, whose end ends all its processes, and the size of its output."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.agent import windows_carrier
from engine.agent.service_client import MAX_STREAM_BYTES, Command


def program(path: Path, *lines: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("ends_it", [True, False])
def test_all_processes_of_a_late_command_are_ended(
    ends_it: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    ends = 'kill -9 "$4"' if ends_it else "exit 1"
    program(tmp_path / "System32" / "taskkill.exe", 'echo "$@" > %s' % told, ends)
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    line = program(tmp_path / "slow", 'echo "$$"', "exec sleep 60")
    answer = windows_carrier.carry_out(Command("c-1", line, limit_seconds=1))
    assert answer.timed_out
    assert told.read_text().split() == ["/t", "/f", "/pid", answer.stdout.decode().strip()]


@pytest.mark.parametrize(("more_bytes", "cut"), [(0, False), (1, True)])
def test_an_output_that_is_cut_is_told(more_bytes: int, cut: bool, tmp_path: Path) -> None:
    size = MAX_STREAM_BYTES + more_bytes
    line = program(tmp_path / "talk", "head -c %d /dev/zero" % size, "echo words >&2")
    answer = windows_carrier.carry_out(Command("c-1", line, limit_seconds=60))
    assert (len(answer.stdout), answer.stderr, answer.cut) == (MAX_STREAM_BYTES, b"words\n", cut)
