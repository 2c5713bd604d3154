# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines at the bottom of a terminal: what others print stays whole, whatever is printed, drawn and resized in which order."""

from __future__ import annotations

import itertools
import os
import termios
import threading
from typing import Iterator, List

import pytest
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.drawing import Line
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.screen import Above, Screen, wraps_again
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.terminal_model import TerminalModel


def lines_of(*texts: str) -> List[Line]:
    return [Line(text, len(text)) for text in texts]


@pytest.fixture
def terminal() -> Iterator[TerminalModel]:
    terminal = TerminalModel()
    yield terminal
    terminal.close()


@pytest.fixture
def screen(terminal: TerminalModel) -> Screen:
    return Screen(terminal.stream, threading.RLock())


def test_what_is_printed_stands_above_the_lines(terminal: TerminalModel, screen: Screen) -> None:
    out = Above(terminal.stream, screen)
    out.write("TASK [Make an image]\n")
    assert screen.draw(lines_of("press-1 10 %", "press-2 20 %"))
    out.write("ok: [press-3]\n")
    assert screen.draw(lines_of("press-1 100 %"))
    out.writelines(["changed: ", "[press-2]\n"])
    expected = ["TASK [Make an image]", "ok: [press-3]", "changed: [press-2]", "press-1 100 %"]
    assert [line for line in terminal.lines() if line] == expected
    screen.close()
    terminal.stream.write("PLAY RECAP\n")
    expected[-1] = "PLAY RECAP"
    assert [line for line in terminal.lines() if line] == expected


def test_a_line_that_is_not_complete_yet_is_not_drawn_over(terminal: TerminalModel, screen: Screen) -> None:
    out = Above(terminal.stream, screen)
    screen.draw(lines_of("press-1 10 %"))
    out.write("Password: ")
    assert not screen.draw(lines_of("press-1 20 %"))
    assert terminal.lines()[0] == "Password: "
    assert "press-1" not in "".join(terminal.lines())
    out.write("given\n")
    assert screen.draw(lines_of("press-1 20 %"))
    assert terminal.lines()[:2] == ["Password: given", "press-1 20 %"]


def test_errors_printed_on_the_same_terminal_are_above_too(terminal: TerminalModel, screen: Screen) -> None:
    screen.draw(lines_of("press-1 10 %"))
    Above(terminal.stream, screen).write("")
    Above(os.fdopen(os.dup(terminal.stream.fileno()), "w"), screen).write("[WARNING]: something\n")
    assert terminal.lines()[:2] == ["[WARNING]: something", "press-1 10 %"]


def test_no_more_lines_than_the_terminal_has_rows(terminal: TerminalModel, screen: Screen) -> None:
    screen.draw(lines_of(*["line %d" % number for number in range(100)]))
    assert terminal.shown()[0] == "line 61"
    screen.close()
    assert not any(terminal.shown())
    assert len(terminal.lines()) == 40, "nothing scrolled away"


def test_a_character_that_is_wider_than_thought_is_cut_off_and_not_wrapped(
    terminal: TerminalModel, screen: Screen
) -> None:
    screen.draw([Line("x" * 90, 59), Line("press-2", 7)])
    assert terminal.lines()[0] == "x" * 60
    screen.draw(lines_of("press-1"))
    screen.close()
    assert not any(terminal.lines())


def test_the_cursor_is_not_hidden_and_wrapping_is_on_after_every_write(terminal: TerminalModel, screen: Screen) -> None:
    screen.draw(lines_of("press-1 10 %"))
    screen.draw(lines_of("press-1 20 %"))
    Above(terminal.stream, screen).write("ok\n")
    screen.close()
    terminal.take()
    switched = [one for one in terminal.sequences if one[-1] in "hl"]
    assert set(switched) == {"?7h", "?7l"}
    assert switched[-1] == "?7h"


def test_a_stopped_terminal_keeps_nobody_waiting(terminal: TerminalModel, screen: Screen) -> None:
    termios.tcflow(terminal.stream.fileno(), termios.TCOOFF)  # what Ctrl-S does
    try:
        screen.draw(lines_of("press-1 10 %"))
        assert not screen.draw(lines_of("press-1 20 %"))
        assert not any(terminal.lines())
    finally:
        termios.tcflow(terminal.stream.fileno(), termios.TCOON)
    assert screen.draw(lines_of("press-1 30 %"))
    assert terminal.lines()[0] == "press-1 30 %"


def test_a_terminal_that_nobody_reads_keeps_nobody_waiting(terminal: TerminalModel, screen: Screen) -> None:
    wide = lines_of(*["x" * 50] * 30)
    assert False in [screen.draw(wide) for dummy in range(200)], "frames are left out"
    while not screen.draw(lines_of("press-1 10 %")):
        terminal.take()
    assert [line for line in terminal.lines() if line] == ["press-1 10 %"], "and none is left half drawn"


def test_while_somebody_else_prints_or_asks_nothing_is_drawn(terminal: TerminalModel) -> None:
    lock = threading.RLock()
    screen = Screen(terminal.stream, lock)
    drawn: List[bool] = []
    with lock:
        thread = threading.Thread(target=lambda: drawn.append(screen.draw(lines_of("press-1 10 %"))))
        thread.start()
        thread.join()
    assert drawn == [False]


def test_a_worker_prints_as_if_there_were_no_lines(terminal: TerminalModel) -> None:
    """A fork may happen while another thread of the parent draws: its lock is then held for ever in the child."""
    lock = threading.RLock()
    screen = Screen(terminal.stream, lock)
    out = Above(terminal.stream, screen)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        out.write("a worker\n")
        os._exit(0)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert terminal.lines()[0] == "a worker"


def test_a_terminal_that_is_gone_is_an_error_of_its_own(terminal: TerminalModel, screen: Screen) -> None:
    screen.draw(lines_of("press-1 10 %"))
    os.close(terminal._master)
    try:
        with pytest.raises(OSError):
            screen.draw(lines_of("press-1 20 %"))
    finally:
        terminal._master = os.open(os.devnull, os.O_RDONLY)


@pytest.mark.parametrize(
    ("environment", "wraps"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm", "XTERM_VERSION": "XTerm(379)"}, False),
        ({"TERM": "screen", "TMUX": "/tmp/tmux"}, True),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/tmux", "XTERM_VERSION": "XTerm(379)"}, True),
        ({"TERM": "screen", "STY": "1.pts"}, False),
        ({"TERM": "linux"}, False),
    ],
)
def test_which_terminals_wrap_anew(environment: dict, wraps: bool) -> None:
    assert wraps_again(environment) is wraps


def test_without_wrapping_anew_nobody_elses_line_is_taken(terminal: TerminalModel) -> None:
    screen = Screen(terminal.stream, threading.RLock(), wraps_again=False)
    Above(terminal.stream, screen).write("ok: [press-1]\nok: [press-2]\n")
    screen.draw(lines_of("x" * 50, "y" * 50))
    terminal.take()
    terminal.columns = 30  # the model does not wrap anew unless it is asked to
    terminal.tell_size()
    screen.close()
    assert [line for line in terminal.lines() if line] == ["ok: [press-1]", "ok: [press-2]"]


TEXT = st.text("abcdefgh ", max_size=150)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("print"), st.lists(TEXT, min_size=1, max_size=3)),
        st.tuples(st.just("piece"), TEXT),
        st.tuples(st.just("draw"), st.lists(st.text("0123456789", min_size=1, max_size=90), max_size=4)),
        st.tuples(st.just("resize"), st.integers(20, 100)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_any_order_of_printing_drawing_and_resizing_leaves_what_was_printed(steps: list) -> None:
    terminal = TerminalModel(60, 60)
    try:
        screen = Screen(terminal.stream, threading.RLock(), clock=itertools.count(0, 10).__next__)
        out = Above(terminal.stream, screen)
        printed = ""
        for what, value in steps:
            if what == "print":
                printed += "".join(text + "\n" for text in value)
                out.write("".join(text + "\n" for text in value))
            elif what == "piece":
                printed += value
                out.write(value)
            elif what == "draw":
                columns = terminal.columns
                fitting = lines_of(*[text[: columns - 1] for text in value])
                assert screen.draw(fitting) is (not printed or printed.endswith("\n"))
            else:
                terminal.resize(value)
        screen.close()
        shown = [line.rstrip() for line in terminal.lines()]
        expected = [line.rstrip() for line in printed.split("\n")]
        assert shown[: len(expected)] == expected
        assert not any(shown[len(expected) :])
    finally:
        terminal.close()


LATE = st.lists(
    st.tuples(
        st.integers(20, 100), st.booleans(), st.sampled_from(["", "draw", "print", "draw print", "print draw draw"])
    ),
    max_size=8,
)


@settings(max_examples=100, deadline=None)
@given(LATE)
def test_a_terminal_that_tells_of_its_size_late_loses_nothing_that_was_printed(steps: list) -> None:
    """What can stay behind are rows of the lines themselves, where somebody printed in that moment."""
    terminal = TerminalModel(60, 200)
    now = [0.0]
    printed: List[str] = []
    try:
        screen = Screen(terminal.stream, threading.RLock(), clock=lambda: now[0])
        out = Above(terminal.stream, screen)

        def print_line() -> None:
            printed.append("LINE %d %s." % (len(printed), "abcdefgh" * (len(printed) % 11)))
            out.write(printed[-1] + "\n")

        has_printed_meanwhile = False
        for columns, prints_before, meanwhile in steps:
            now[0] += 10
            if prints_before:
                print_line()
            now[0] += 10
            known = screen.size()[0]
            screen.draw(lines_of("0" * (known - 1), "1" * (known // 2)))
            now[0] += 10
            terminal.resize(columns, tells=False)
            for what in meanwhile.split():
                now[0] += 0.1
                if what == "print":
                    has_printed_meanwhile = True
                    print_line()
                else:
                    screen.draw(lines_of("0" * (known - 1), "1" * (known // 2)))
            terminal.tell_size()
            now[0] += 0.25
            screen.size()
            now[0] += 0.5
            screen.draw(lines_of("0" * (columns - 1), "1" * (columns // 2)))
        screen.close()
        shown = terminal.lines()
        # A row that stayed behind counts as wrapped into what follows it.
        assert [line[line.index("LINE") :] for line in shown if "LINE" in line] == printed
        assert has_printed_meanwhile or [line for line in shown if line] == printed
    finally:
        terminal.close()


def test_a_narrower_window_is_drawn_as_soon_as_it_rests(terminal: TerminalModel) -> None:
    now = [0.0]
    screen = Screen(terminal.stream, threading.RLock(), clock=lambda: now[0])
    Above(terminal.stream, screen).write("TASK [Make an image]\n")
    assert screen.draw(lines_of("0" * 59, "1" * 50))
    for columns in (50, 40):
        now[0] += 10
        terminal.resize(columns)
        assert not screen.draw(lines_of("0" * (columns - 1)))
        now[0] += 0.25
        assert not screen.draw(lines_of("0" * (columns - 1)))
        now[0] += 0.3
        assert screen.draw(lines_of("0" * (columns - 1)))
        assert [line for line in terminal.lines() if line] == ["TASK [Make an image]", "0" * (columns - 1)]
    terminal.resize(60)
    assert screen.draw(lines_of("0" * 59)), "what becomes wider does not wait"
    assert [line for line in terminal.lines() if line] == ["TASK [Make an image]", "0" * 59]
    screen.close()


DRAGGED = st.lists(
    st.one_of(st.integers(20, 100), st.sampled_from(["tell", "draw", "print", "draw", "tell", "draw", "rest"])),
    max_size=20,
)


@settings(max_examples=300, deadline=None)
@given(DRAGGED)
@example([20, "draw", "tell", "draw", 100, "tell", 60, "draw", "tell", "draw"])
def test_a_window_that_is_dragged_to_and_fro_loses_nothing_that_was_printed(steps: list) -> None:
    """The terminal wraps anew at once and tells a third of a second later at most, whatever is drawn and printed meanwhile.

    A hand that has moved for half a second is taken to rest until the lines are drawn for the new width.
    """
    terminal = TerminalModel(60, 200)
    now, told_at, moved_at = [0.0], 0.0, -1.0
    printed: List[str] = []
    try:
        screen = Screen(terminal.stream, threading.RLock(), clock=lambda: now[0])
        out = Above(terminal.stream, screen)

        def draw() -> None:
            known = screen.size()[0]
            screen.draw(lines_of("0" * (known - 1), "1" * (known // 2)))

        def rest() -> None:
            terminal.tell_size()
            for dummy in range(4):
                draw()
                now[0] += 0.25

        for step in steps:
            now[0] += 0.1
            if terminal.columns == screen.size()[0]:
                told_at = now[0]
            if step == "tell" or now[0] > told_at + 0.3:
                terminal.tell_size()
            if step == "print":
                printed.append("LINE %d %s." % (len(printed), "abcdefgh" * (len(printed) % 11)))
                out.write(printed[-1] + "\n")
            elif step == "draw":
                draw()
            elif step == "rest":
                rest()
            elif isinstance(step, int):
                if now[0] > moved_at + 0.4:
                    rest()
                    moved_at = now[0]
                terminal.resize(step, tells=False)
        terminal.tell_size()
        screen.close()
        shown = terminal.lines()
        assert [line[line.index("LINE") :] for line in shown if "LINE" in line] == printed
    finally:
        terminal.close()
