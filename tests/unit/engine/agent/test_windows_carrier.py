# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits of a command: its time, whose end ends all its processes, and the size of its output."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from engine.agent import windows_carrier
from engine.agent.service_client import MAX_STREAM_BYTES, Command


def program(path: Path, *lines: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return str(path)


def test_all_processes_of_a_late_command_are_ended(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    line = program(tmp_path / "slow", "(while sleep 0.1; do echo tick >> %s; done) &" % ticks, "sleep 60")
    answer = windows_carrier.carry_out(Command("c-1", line, limit_seconds=2))
    assert answer.timed_out
    before = ticks.read_bytes()
    time.sleep(1)
    assert before == ticks.read_bytes() != b"", "a program that the command started still runs"


@pytest.mark.parametrize(("more_bytes", "cut"), [(0, False), (1, True)])
def test_an_output_that_is_cut_is_told(more_bytes: int, cut: bool, tmp_path: Path) -> None:
    size = MAX_STREAM_BYTES + more_bytes
    line = program(tmp_path / "talk", "head -c %d /dev/zero" % size, "echo words >&2")
    answer = windows_carrier.carry_out(Command("c-1", line, limit_seconds=60))
    assert (len(answer.stdout), answer.stderr, answer.cut) == (MAX_STREAM_BYTES, b"words\n", cut)
