# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress callback with the events that Ansible sends, real forked workers and a model of a terminal."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest
from ansible import constants
from ansible_collections.plantops.imaging.plugins.callback import progress
from ansible_collections.plantops.imaging.plugins.callback.progress import CallbackModule
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress import channel as _progress_channel
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress import show as _progress_show
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.records import Record
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.reporter import ProgressReporter
from support.terminal_model import TerminalModel

MIB = 1 << 20


class Told:
    """What the callback says through Ansible's display."""

    def __init__(self) -> None:
        self.lines: List[str] = []
        self.warnings: List[str] = []
        self._lock = threading.RLock()

    def display(self, line: str) -> None:
        self.lines.append(line)

    def warning(self, line: str) -> None:
        self.warnings.append(line)


def task_of(uuid: str, action: str = "plantops.imaging.image", run_once: bool = False) -> SimpleNamespace:
    return SimpleNamespace(_uuid=uuid, action=action, resolved_action=action, run_once=run_once)


def host_of(name: str) -> SimpleNamespace:
    return SimpleNamespace(get_name=lambda: name)


def result_of(task: SimpleNamespace, name: str, **result: Any) -> SimpleNamespace:
    return SimpleNamespace(_task=task, _host=host_of(name), _result=result)


def play_of(*names: str) -> SimpleNamespace:
    manager = SimpleNamespace(get_vars=lambda play: {"ansible_play_batch": list(names), "of": play})
    return SimpleNamespace(get_variable_manager=lambda: manager)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    monkeypatch.setattr(progress, "display", told)
    return told


def give(monkeypatch: pytest.MonkeyPatch, stream: Any) -> None:
    """Have the callback print to ``stream``; pytest needs the real ones."""
    streams = SimpleNamespace(stdout=stream, stderr=stream)
    monkeypatch.setattr(progress, "sys", streams)
    monkeypatch.setattr(_progress_show, "sys", streams)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[TerminalModel]:
    terminal = TerminalModel(100, 30)
    give(monkeypatch, terminal.stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(constants, "ANSIBLE_NOCOLOR", False)
    yield terminal
    terminal.close()


def callback_of(**options: Any) -> CallbackModule:
    callback = CallbackModule()
    values = dict({"style": "auto", "rows": 0}, **options)
    callback.get_option = lambda name, *dummy: values[name]
    callback.set_options()
    return callback


@pytest.fixture
def drawn_on(terminal: TerminalModel, told: Told) -> Tuple[TerminalModel, Told]:
    """Everything that the callback needs of a terminal."""
    return terminal, told


@pytest.fixture
def callback(drawn_on: Tuple[TerminalModel, Told]) -> Iterator[CallbackModule]:
    assert all(drawn_on)
    callback = callback_of()
    yield callback
    callback._close()


def begin(callback: CallbackModule, task: SimpleNamespace, *names: str) -> None:
    callback.v2_playbook_on_play_start(play_of(*names))
    callback.v2_playbook_on_task_start(task, is_conditional=False)


def wait_for(terminal: TerminalModel, fits: Callable[[List[str]], bool]) -> List[str]:
    end = time.monotonic() + 20
    while True:
        shown = [line.rstrip() for line in terminal.shown() if line.strip()]
        if fits(shown):
            return shown
        assert time.monotonic() < end, shown
        time.sleep(0.05)


def in_worker(work: Callable[[], Any]) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def reading(percent: int, **more: Any) -> Dict[str, Any]:
    return dict({"phase": "reading", "bytes_in_use": 100 * MIB, "bytes_done": percent * MIB}, **more)


def test_a_whole_task_from_waiting_to_the_line_that_stays(
    callback: CallbackModule, terminal: TerminalModel, told: Told
) -> None:
    task = task_of("t")
    begin(callback, task, "press-1", "press-2", "press-3")
    wait_for(terminal, lambda shown: shown[-1:] == ["3 waiting; 0 s so far"])
    for name in ("press-1", "press-2"):
        callback.v2_runner_on_start(host_of(name), task)
    in_worker(lambda: ProgressReporter("t", "press-1", "image", print).show(reading(42, warnings=["w"])))
    shown = wait_for(terminal, lambda shown: any("42 %" in line for line in shown))
    assert [line.split()[:2] for line in shown[:3]] == [
        ["press-1", "reading,"],
        ["press-2", "starting"],
        ["press-3", "waiting"],
    ]
    _progress_show.sys.stdout.write("fatal: [press-1]: FAILED!\n")
    callback.v2_runner_on_failed(result_of(task, "press-1", error_code="S104"), ignore_errors=False)
    in_worker(lambda: ProgressReporter("t", "press-1", "image", print).show(reading(99)))  # late
    in_worker(lambda: ProgressReporter("t", "press-2", "image", print).show(reading(50)))
    shown = wait_for(terminal, lambda shown: any("50 %" in line for line in shown))
    assert shown[0] == "fatal: [press-1]: FAILED!"
    assert shown[1].split()[:4] == ["press-1", "failed", "S104,", "1"]
    assert "42 %" in shown[1]
    callback.v2_runner_on_ok(result_of(task, "press-2", bytes_in_use=100 * MIB, bytes_stored=MIB))
    assert told.lines == [], "press-3 still waits"
    callback.v2_runner_on_start(host_of("press-3"), task)
    callback.v2_runner_on_unreachable(result_of(task, "press-3"))
    assert told.lines == [
        "image: 1 done, 1 failed, 1 unreachable; 210 MB in use, 1.0 MB stored; %s" % told.lines[0].split("; ")[-1]
    ]
    assert [line for line in terminal.lines() if line] == ["fatal: [press-1]: FAILED!"], "the bars are gone"
    assert _progress_show.sys.stdout is terminal.stream
    assert _progress_show.sys.stderr is terminal.stream
    assert _progress_channel.current_channel() is None
    assert told.warnings == []


def test_other_tasks_are_none_of_its_business(callback: CallbackModule, terminal: TerminalModel, told: Told) -> None:
    task = task_of("t", "ansible.builtin.command")
    begin(callback, task, "press-1", "press-2")
    callback.v2_runner_on_start(host_of("press-1"), task)
    callback.v2_runner_on_ok(result_of(task, "press-1"))
    callback.v2_playbook_on_stats(None)
    assert _progress_show.sys.stdout is terminal.stream
    assert terminal.lines() == [""]
    assert told.lines == []


def test_what_waits_in_vain_ends_with_the_next_task(
    callback: CallbackModule, terminal: TerminalModel, told: Told
) -> None:
    task = task_of("t")
    begin(callback, task, "press-1", "press-2")
    callback.v2_runner_on_start(host_of("press-1"), task)
    callback.v2_runner_on_failed(result_of(task, "press-1"))
    assert _progress_show.sys.stdout is not terminal.stream
    callback.v2_playbook_on_task_start(task_of("u", "ansible.builtin.debug"), is_conditional=False)
    assert _progress_show.sys.stdout is terminal.stream
    assert told.lines[0].startswith("image: 1 not begun, 1 failed; ")


def test_another_task_beside_devices_at_work_leaves_the_bars(callback: CallbackModule, terminal: TerminalModel) -> None:
    """As with the strategy free."""
    task = task_of("t")
    begin(callback, task, "press-1", "press-2")
    callback.v2_runner_on_start(host_of("press-1"), task)
    callback.v2_playbook_on_task_start(task_of("u", "ansible.builtin.debug"), is_conditional=False)
    callback.v2_playbook_on_task_start(task_of("r", "plantops.imaging.image_restore"), is_conditional=False)
    wait_for(terminal, lambda shown: any(line.startswith("press-1 starting") for line in shown))
    assert _progress_show.sys.stdout is not terminal.stream


def test_a_task_for_one_of_many_does_not_wait_for_the_others(callback: CallbackModule, told: Told) -> None:
    task = task_of("t", run_once=True)
    begin(callback, task, "press-1", "press-2")
    callback.v2_runner_on_start(host_of("press-1"), task)
    callback.v2_runner_on_ok(result_of(task, "press-1"))
    assert _progress_channel.current_channel() is None
    assert told.lines == [], "one device needs no sum"


def test_skipped_devices_need_no_line(callback: CallbackModule, told: Told) -> None:
    task = task_of("t")
    begin(callback, task, "press-1", "press-2")
    for name in ("press-1", "press-2"):
        callback.v2_runner_on_start(host_of(name), task)
        callback.v2_runner_on_skipped(result_of(task, name))
    assert _progress_channel.current_channel() is None
    assert told.lines == []


def test_a_worker_that_floods_the_channel_stops_neither_bars_nor_events(
    callback: CallbackModule, terminal: TerminalModel, told: Told
) -> None:
    task = task_of("t")
    begin(callback, task, "press-1", "press-2")
    callback.v2_runner_on_start(host_of("press-1"), task)
    child = os.fork()
    if child == 0:
        channel = _progress_channel.current_channel()
        while channel is not None:
            channel.send(Record("t", "press-1", "image", "\x1b[2J", 100, 5))
            channel.send_bytes(b"\x1b[2J" * 1000)
        os._exit(1)
    try:
        shown = wait_for(terminal, lambda shown: any("5 %" in line for line in shown))
        assert shown[0].startswith("press-1 ?[2J")
        callback.v2_runner_on_start(host_of("press-2"), task)
        wait_for(terminal, lambda shown: any(line.startswith("2 running") for line in shown))
        for name in ("press-1", "press-2"):
            callback.v2_runner_on_ok(result_of(task, name))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert told.lines[0].startswith("image: 2 done")
    assert told.warnings == []


def test_what_fails_in_drawing_fails_no_task_and_lines_go_on(
    callback: CallbackModule, terminal: TerminalModel, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of("t")
    begin(callback, task, "press-1", "press-2")
    callback.v2_runner_on_start(host_of("press-1"), task)
    shown: List[str] = []
    reporter = ProgressReporter("t", "press-1", "image", shown.append)
    wait_for(terminal, lambda shown: len(shown) > 2)

    def fail(*dummy: Any) -> None:
        raise RuntimeError("no paint\x1b[2J")

    monkeypatch.setattr(_progress_show, "draw", fail)
    end = time.monotonic() + 20
    while not told.warnings:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert told.warnings == [
        "plantops.imaging.progress draws no bars any more (RuntimeError: no paint?[2J). Progress is shown as lines."
    ]
    assert callback.disabled
    assert _progress_show.sys.stdout is terminal.stream
    assert not any(terminal.lines())
    reporter.show(reading(50))
    assert shown == ["press-1: image, reading 50 % of 105 MB"]
    callback.v2_runner_on_ok(result_of(task, "press-1"))
    begin(callback, task_of("u"), "press-1")
    assert _progress_channel.current_channel() is None


def test_a_terminal_that_goes_away_ends_the_bars(callback: CallbackModule, terminal: TerminalModel, told: Told) -> None:
    begin(callback, task_of("t"), "press-1", "press-2")
    wait_for(terminal, lambda shown: len(shown) > 2)
    os.close(terminal._master)
    terminal._master = os.open(os.devnull, os.O_RDONLY)
    end = time.monotonic() + 20
    while not told.warnings:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert "draws no bars any more" in told.warnings[0]
    assert _progress_show.sys.stdout is terminal.stream


def test_what_fails_at_the_beginning_is_one_warning(
    terminal: TerminalModel, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(_progress_show, "open_channel", fail)
    callback = callback_of()
    begin(callback, task_of("t"), "press-1")
    begin(callback, task_of("u"), "press-1")
    assert len(told.warnings) == 1
    assert callback.disabled
    assert _progress_show.sys.stdout is terminal.stream


@pytest.mark.usefixtures("terminal")
def test_where_rich_is_missing_it_says_so_once(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HAS_RICH", False)
    assert callback_of().disabled
    assert len(told.warnings) == 1
    assert "rich is missing" in told.warnings[0]
    assert "pip install rich" in told.warnings[0]


@pytest.mark.parametrize(
    ("terminal_name", "stdout_callback", "style"),
    [
        ("dumb", "default", "auto"),
        ("", "default", "auto"),
        (None, "default", "auto"),
        ("xterm", "awx_display", "auto"),
        ("xterm", "ansible_runner.awx_display", "auto"),
        ("xterm", "default", "lines"),
    ],
)
@pytest.mark.usefixtures("terminal")
def test_where_nobody_watches_bars_it_draws_none_and_says_nothing(
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
    terminal_name: Optional[str],
    stdout_callback: str,
    style: str,
) -> None:
    if terminal_name is None:
        monkeypatch.delenv("TERM")
    else:
        monkeypatch.setenv("TERM", terminal_name)
    monkeypatch.setattr(constants, "DEFAULT_STDOUT_CALLBACK", stdout_callback)
    monkeypatch.setattr(progress, "HAS_RICH", False)
    assert callback_of(style=style).disabled
    assert told.warnings == []


def test_a_pipe_gets_no_bars(told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    with open(tmp_path / "output", "w", encoding="utf-8") as file:
        give(monkeypatch, file)
        monkeypatch.setenv("TERM", "xterm")
        assert callback_of().disabled
    assert told.warnings == []


@pytest.mark.parametrize("name", ["NO_COLOR", "ANSIBLE_NOCOLOR"])
def test_no_colour_where_none_is_wanted(
    callback: CallbackModule, terminal: TerminalModel, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name == "NO_COLOR":
        monkeypatch.setenv(name, "1")
    else:
        monkeypatch.setattr(constants, name, True)
    begin(callback, task_of("t"), "press-1", "press-2")
    wait_for(terminal, lambda shown: len(shown) > 2)
    assert not any(sequence.endswith("m") for sequence in terminal.sequences)


@pytest.mark.usefixtures("told")
def test_rows_limits_the_lines(terminal: TerminalModel) -> None:
    callback = callback_of(rows=3)
    begin(callback, task_of("t"), *["press-%d" % number for number in range(9)])
    try:
        shown = wait_for(terminal, lambda shown: len(shown) == 3)
        assert shown[1:] == ["not shown: 8 waiting", shown[2]]
    finally:
        callback._close()


def test_a_terminal_that_is_resized_is_drawn_anew(callback: CallbackModule, terminal: TerminalModel) -> None:
    task = task_of("t")
    begin(callback, task, *["press-%d" % number for number in range(4)])
    callback.v2_runner_on_start(host_of("press-0"), task)
    channel = _progress_channel.current_channel()
    assert channel is not None
    channel.send(Record("t", "press-0", "image", "reading", 100 * MIB, 30 * MIB, 0, 5_000_000, 30))
    wait_for(terminal, lambda shown: any("30 %" in line and "5.0 MB/s" in line for line in shown))
    # Within a second of the first frame rows may stay behind: the terminal may have been narrower already.
    time.sleep(1.1)
    terminal.resize(25)
    shown = wait_for(terminal, lambda shown: len(shown) == 5 and shown[0].startswith("press-0 reading  30 %"))
    assert all(len(line) < 25 for line in shown)
    terminal.resize(120)
    wait_for(terminal, lambda shown: len(shown) == 5 and "5.0 MB/s" in shown[0] and "31.5 MB of 105 MB" in shown[0])
