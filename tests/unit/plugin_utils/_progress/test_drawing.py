# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the board is drawn: on wide and narrow, high and low terminals, in colour and without, with names that would steer them."""

from __future__ import annotations

import re
from typing import List

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.board import (
    DONE,
    FAILED,
    RUNNING,
    UNREACHABLE,
    WAITING,
    Board,
    Row,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.drawing import Look, draw, plain
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.records import Record
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

MIB = 1 << 20
PLAIN = Look(100, 20, "utf-8", False)
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def row(device: str, state: str, percent: int = 0, code: str = "", **more: object) -> Row:
    in_use = 400 * MIB if percent else 0
    record = Record("t", device, "image", "reading", in_use, in_use * percent // 100)._replace(**more)
    return Row(device, state, record, code)


def show(rows: List[Row], look: Look = PLAIN) -> List[str]:
    board = Board(lambda: 0.0)
    for one in rows:
        board._rows["t", one.device] = one
    return [line.text.rstrip() for line in draw(rows, board.totals(), look)]


SOME = [
    row("press-1", RUNNING, 42, rate_bytes_per_second=84_000_000, remaining_seconds=130, bytes_stored=MIB),
    row("press-2", RUNNING, 10, warnings=2),
    row("oven-3", RUNNING, 50, is_away=True),
    row("oven-4", WAITING),
    row("oven-5", DONE, 100),
    row("oven-6", FAILED, 70, "S104"),
    row("oven-7", UNREACHABLE),
]


def test_a_row_for_each_device_and_a_line_of_sums() -> None:
    assert show(SOME) == [
        "press-1 reading             ━━━━━━━━━━━━━━━━╸                         42 %   84 MB/s     2 min",
        "press-2 reading, 2 warnings ━━━━                                      10 %",
        "oven-3  not responding      ━━━━━━━━━━━━━━━━━━━━                      50 %",
        "oven-4  waiting",
        "oven-5  done                ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100 %",
        "oven-6  failed S104         ━━━━━━━━━━━━━━━━━━━━━━━━━━━━              70 %",
        "oven-7  unreachable",
        "3 running, 1 waiting, 1 done, 1 failed, 1 unreachable; 1.1 GB of 2.1 GB, 84 MB/s, 1.0 MB stored; 0 s",
    ]


def test_a_wide_terminal_shows_sizes_too() -> None:
    lines = show(SOME, PLAIN._replace(width=140))
    assert lines[0].endswith("42 %   84 MB/s     2 min       176 MB of 419 MB")
    assert lines[-1].endswith("; 0 s so far")


def test_a_single_device_needs_no_sums() -> None:
    assert len(show(SOME[:1])) == 1


@pytest.mark.parametrize("width", [1, 2, 5, 12, 20, 30, 40, 50, 60, 80, 100, 200])
@pytest.mark.parametrize("has_colour", [True, False])
def test_no_line_is_wider_and_none_more_than_there_is_room_for(width: int, has_colour: bool) -> None:
    for height in (1, 2, 3, 5, 50):
        look = Look(width, height, "utf-8", has_colour)
        lines = draw(SOME, Board(lambda: 0.0).totals(), look)
        assert 0 < len(lines) <= height
        for line in lines:
            assert line.cells == cell_len(STYLE.sub("", line.text)) <= width
            assert "\n" not in line.text


def test_a_narrow_terminal_keeps_name_state_and_percent() -> None:
    lines = show(SOME, PLAIN._replace(width=40))
    assert lines[0] == "press-1 reading        42 %   84 MB/s"
    assert lines[1] == "press-2 reading, 2 w…  10 %"
    assert show(SOME, PLAIN._replace(width=24))[0] == "press-1 reading   42 %"


def test_what_the_screen_cannot_hold_is_summed_up() -> None:
    rows = [row("press-%03d" % number, RUNNING, 1 + number % 90) for number in range(300)]
    rows += [row("oven-%03d" % number, WAITING) for number in range(100)]
    lines = show(rows, PLAIN._replace(height=10))
    assert len(lines) == 10
    assert [line.split()[0] for line in lines[:8]] == ["press-%03d" % number for number in range(8)]
    assert lines[8] == "not shown: 292 running, 100 waiting (1 to 90 %)"
    assert lines[9].startswith("300 running, 100 waiting; ")


def test_running_devices_come_first_and_of_these_the_ones_with_trouble() -> None:
    rows = [row("done-%d" % number, DONE, 100) for number in range(5)]
    rows += [row("run-%d" % number, RUNNING, 5) for number in range(5)]
    rows += [row("lost-1", RUNNING, 5, is_away=True), row("failed-1", FAILED, 5)]
    names = [line.split()[0] for line in show(rows, PLAIN._replace(height=5))[:3]]
    assert names == ["run-0", "run-1", "lost-1"], "in the order of the play"
    names = [line.split()[0] for line in show(rows, PLAIN._replace(height=10))[:8]]
    assert names == ["done-0", "run-0", "run-1", "run-2", "run-3", "run-4", "lost-1", "failed-1"]


def test_without_colour_there_is_not_one_escape_sequence_and_with_it_only_styles() -> None:
    assert not any("\x1b" in line for line in show(SOME))
    coloured = show(SOME, PLAIN._replace(has_colour=True))
    assert any("\x1b[" in line for line in coloured)
    assert not any("\x1b" in STYLE.sub("", line) for line in coloured)


def test_an_encoding_without_lines_gets_others() -> None:
    lines = show(SOME, PLAIN._replace(encoding="ascii"))
    assert "-----" in lines[0]
    for line in lines:
        line.encode("ascii")


HOSTILE = "a\x1b[2J\x07\r\n\x9b5A\u202e\u2028[red]b[/red]:smile:\ud800"


def test_names_and_phases_steer_nothing() -> None:
    rows = [row(HOSTILE, RUNNING, 5, phase=HOSTILE[:20]), row("press-2", FAILED, 5, HOSTILE)]
    lines = show(rows, PLAIN._replace(width=200))
    assert lines[0].startswith("a?[2J????5A??[red]b[/red]:smi\u2026 a?[2J????5A??[red]b[ ")
    assert all(line.isprintable() for line in lines)
    assert plain(HOSTILE) == "a?[2J????5A??[red]b[/red]:smile:?"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=80), st.text(max_size=40), st.integers(0, 100)), min_size=1, max_size=6),
    st.integers(1, 120),
    st.integers(1, 12),
    st.booleans(),
)
def test_whatever_devices_say_the_lines_fit_and_hold_no_control_character(
    said: list, width: int, height: int, has_colour: bool
) -> None:
    rows = [row(name, RUNNING, percent, phase=phase) for name, phase, percent in said]
    lines = draw(rows, Board(lambda: 0.0).totals(), Look(width, height, "utf-8", has_colour))
    assert len(lines) <= height
    for line in lines:
        assert STYLE.sub("", line.text).isprintable()
        assert line.cells <= width
