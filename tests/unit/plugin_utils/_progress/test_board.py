# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the progress callback knows of all devices: who waits, runs and has ended, whatever arrives and whatever gets lost."""

from __future__ import annotations

from typing import Any, List

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.board import (
    DONE,
    FAILED,
    RUNNING,
    SKIPPED,
    UNREACHABLE,
    WAITING,
    Board,
    say_end,
    say_totals,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.records import Record

MIB = 1 << 20


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def reading(device: str, done_mib: int, **more: Any) -> Record:
    return Record("t", device, "image", "reading", 100 * MIB, done_mib * MIB, **more)


def states(board: Board) -> List[str]:
    return ["%s %s" % (row.device, row.state) for row in board.rows()]


@pytest.fixture
def board() -> Board:
    board = Board(Clock())
    board.announce("t", "image", ["press-1", "press-2", "press-3"])
    return board


def test_devices_wait_run_and_end_in_the_order_of_the_play(board: Board) -> None:
    assert states(board) == ["press-1 waiting", "press-2 waiting", "press-3 waiting"]
    board.start("t", "image", "press-2")
    board.start("t", "image", "press-1")
    board.end("t", "press-2", DONE, {"bytes_in_use": 5, "bytes_stored": 2})
    assert states(board) == ["press-1 running", "press-2 done", "press-3 waiting"]
    assert board.is_working()
    assert board.is_waiting()


def test_the_result_stands_above_records_that_were_lost_or_come_late(board: Board) -> None:
    board.start("t", "image", "press-1")
    board.take(reading("press-1", 20))
    board.end("t", "press-1", DONE, {"bytes_in_use": 100 * MIB, "bytes_stored": 7 * MIB})
    board.take(reading("press-1", 30, is_away=True))
    row = board.rows()[0]
    assert (row.state, row.record.percent, row.record.bytes_stored, row.record.is_away) == (DONE, 100, 7 * MIB, False)


@pytest.mark.parametrize("state", [FAILED, UNREACHABLE, SKIPPED])
def test_a_failure_stays_where_it_was_and_names_its_code(board: Board, state: str) -> None:
    board.start("t", "image", "press-1")
    board.take(reading("press-1", 20, rate_bytes_per_second=9, remaining_seconds=3))
    board.end("t", "press-1", state, {"error_code": "S104", "bytes_in_use": "hostile"})
    row = board.rows()[0]
    assert (row.state, row.record.percent, row.error_code) == (state, 20, "S104")
    assert board.totals().rate_bytes_per_second == 0


@pytest.mark.parametrize("wrong", [None, -1, True, 1.5, "9", [1], 1 << 63], ids=repr)
def test_a_result_with_other_figures_leaves_the_known_ones(board: Board, wrong: Any) -> None:
    board.start("t", "image", "press-1")
    board.take(reading("press-1", 20))
    board.end("t", "press-1", DONE, {"bytes_in_use": wrong, "bytes_stored": wrong})
    assert board.rows()[0].record.bytes_in_use == 100 * MIB


def test_a_record_of_nobody_changes_nothing(board: Board) -> None:
    before = board.rows()
    board.take(reading("press-1", 20))  # nobody started it
    board.take(reading("press-9", 20))
    board.take(reading("press-1", 20)._replace(task="another"))
    board.end("t", "press-9", DONE, {})
    assert board.rows() == before


def test_a_device_that_is_started_again_begins_anew(board: Board) -> None:
    board.start("t", "image", "press-1")
    board.end("t", "press-1", FAILED, {})
    board.start("t", "image", "press-1")
    board.take(reading("press-1", 20))
    assert (board.rows()[0].state, board.rows()[0].record.percent) == (RUNNING, 20)


def test_the_same_device_in_two_tasks_has_two_rows(board: Board) -> None:
    board.announce("u", "restore", ["press-1"])
    board.start("u", "restore", "press-1")
    assert states(board) == ["press-1 waiting", "press-2 waiting", "press-3 waiting", "press-1 running"]


def test_a_task_that_is_announced_twice_keeps_what_is_known(board: Board) -> None:
    board.start("t", "image", "press-1")
    board.announce("t", "image", ["press-1", "press-4"])
    assert states(board)[0] == "press-1 running"
    assert states(board)[-1] == "press-4 waiting"


def test_sums_and_their_sentences() -> None:
    clock = Clock()
    board = Board(clock)
    board.announce("t", "image", ["press-%d" % number for number in range(1, 6)])
    for number in (1, 2, 3, 4):
        board.start("t", "image", "press-%d" % number)
    clock.now += 65
    board.take(reading("press-1", 50, rate_bytes_per_second=2_000_000, remaining_seconds=30, bytes_stored=MIB))
    board.take(reading("press-2", 500, rate_bytes_per_second=3_000_000, remaining_seconds=200))
    board.end("t", "press-3", DONE, {"bytes_in_use": 100 * MIB, "bytes_stored": 4 * MIB})
    board.end("t", "press-4", FAILED, {})
    totals = board.totals()
    assert totals.states == {RUNNING: 2, WAITING: 1, DONE: 1, FAILED: 1, UNREACHABLE: 0, SKIPPED: 0}
    assert totals.remaining_seconds is None, "nothing is known of the one that waits"
    assert say_totals(totals) == (
        "2 running, 1 waiting, 1 done, 1 failed; 262 MB of 315 MB, 5.0 MB/s, 5.2 MB stored; 65 s so far"
    )
    board.end("t", "press-5", SKIPPED, {})
    assert board.totals().remaining_seconds == 200
    assert say_totals(board.totals()).endswith("65 s so far, about 3 min left")
    board.take(reading("press-1", 50))
    assert board.totals().remaining_seconds is None, "nothing is known of press-1"
    assert say_end(board.totals()) == ("2 not ended, 1 done, 1 failed, 1 skipped; 315 MB in use, 4.2 MB stored; 65 s")


def test_an_empty_board_has_a_sentence_too() -> None:
    assert say_totals(Board(Clock()).totals()) == "no devices; 0 s so far"
