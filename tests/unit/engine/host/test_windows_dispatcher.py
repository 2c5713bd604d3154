# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states that a service reports, and its answers to orders."""

from __future__ import annotations

import subprocess
import sys
import threading
from types import ModuleType
from typing import Any, List, NamedTuple

import pytest
from engine.agent import windows_service
from engine.host import windows_dispatcher
from engine.host.windows_dispatcher import Session
from support.paths import ENGINE

STOPPED, START_PENDING, STOP_PENDING, RUNNING = 1, 2, 3, 4


class Told(NamedTuple):
    """One report."""

    state: int
    accepted: int
    exit: int
    checkpoint: int
    wait_milliseconds: int


class Manager:
    """Stands in for advapi32."""

    def __init__(self) -> None:
        self.told: List[Told] = []

    def SetServiceStatus(self, handle: Any, status: Any) -> int:  # noqa: N802
        assert handle.value == 7
        found = status._obj
        self.told.append(Told(*(getattr(found, name) for name in Told._fields)))
        return 1


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    made = Manager()
    monkeypatch.setattr(windows_dispatcher, "system_library", lambda name: made)
    return made


@pytest.fixture
def session(manager: Manager) -> Session:
    made = Session()
    made.attach(7)
    assert manager.told[-1].state == START_PENDING
    return made


def test_a_start_that_takes_long_reports_that_it_goes_forward(session: Session, manager: Manager) -> None:
    session.still_busy()
    session.still_busy()
    points = [one.checkpoint for one in manager.told]
    assert points == sorted(set(points)), "the same point twice: Windows would take it for hanging"
    assert all(one.wait_milliseconds >= 10000 and not one.accepted for one in manager.told)
    session.running()
    assert manager.told[-1] == Told(RUNNING, 0x105, 0, 0, 0)
    session.still_busy()
    assert manager.told[-1].state == RUNNING


def test_a_report_of_another_thread_never_brings_an_earlier_state_back(session: Session, manager: Manager) -> None:
    """A thread that says that the start continues was between its look and its report when the service was ready."""

    def tell(state: int, exit_status: int = 0) -> None:
        if state == START_PENDING:
            ready = threading.Thread(target=session.running)
            ready.start()
            ready.join(0.2)
            threads.append(ready)
        report(state, exit_status)

    threads: List[threading.Thread] = []
    report = session._tell
    vars(session)["_tell"] = tell
    session.still_busy()
    for thread in threads:
        thread.join()
    assert manager.told[-1].state == RUNNING
    session.order(1)
    session.running()
    assert manager.told[-1].state == STOP_PENDING


def test_a_start_that_hangs_ends(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    over = threading.Event()
    statuses: List[int] = []

    def end(status: int) -> None:
        statuses.append(status)
        over.set()

    serving = ModuleType("engine.agent.windows_serving")
    vars(serving)["serve"] = lambda *dummy: over.wait(10)
    monkeypatch.setitem(sys.modules, "engine.agent.windows_serving", serving)
    monkeypatch.setattr(windows_service, "_BUSY_SECONDS", 0.01)
    monkeypatch.setattr(windows_service, "_START_SECONDS", 0.05)
    monkeypatch.setattr(windows_service.os, "_exit", end)
    assert windows_service._serve(session, "base")
    assert set(statuses) == {1}


@pytest.mark.parametrize(("control", "is_shutdown"), [(1, False), (5, True), (0xF, True)])
def test_orders_to_end(session: Session, manager: Manager, control: int, is_shutdown: bool) -> None:
    session.running()
    assert session.order(control) == 0
    assert session.stop.is_set()
    assert session.is_shutdown is is_shutdown
    assert (manager.told[-1].state, manager.told[-1].accepted) == (STOP_PENDING, 0)
    session.ended(failed=False)
    assert manager.told[-1] == Told(STOPPED, 0, 0, 0, 0)


def test_other_orders(session: Session, manager: Manager) -> None:
    session.running()
    count = len(manager.told)
    assert session.order(4) == 0
    assert manager.told[count:] == [manager.told[-1]], "the state was not repeated"
    assert session.order(2) == 120
    assert len(manager.told) == count + 1
    assert not session.stop.is_set()


def test_an_end_with_a_failure_lets_windows_start_it_again(session: Session, manager: Manager) -> None:
    session.ended(failed=True)
    assert (manager.told[-1].state, manager.told[-1].exit) == (STOPPED, 1066)


def test_nothing_but_the_standard_library_is_loaded_before_the_dispatcher() -> None:
    """Windows waits 30 seconds for it, and a slow disk needs most of them for the libraries of the engine."""
    program = (
        "import engine.agent.windows_service, sys; print(*(name for name in sys.modules if name.startswith('engine.')))"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(ENGINE.parent)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert set(ran.stdout.split()) <= {
        "engine.agent",
        "engine.agent.windows_service",
        "engine.host",
        "engine.host.windows_calls",
        "engine.host.windows_dispatcher",
        "engine.install",
        "engine.install.windows_layout",
    }
