# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command for after a run: the application is running again after each way in which a run can end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest
from ansible_collections.plantops.imaging.plugins.action import after_command
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import EngineError as OfActions
from support.agent_runs import AgentOnDevice, Refused, image_job, random_disk, wait_until

NAME = "after-1"
RUN = "run-1"


class Application:
    """An application of a plant, started by a command that a person might write; each start is a line of its file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "starts"
        self.start = ["/bin/sh", "-c", 'echo start >> "$1"; echo started', "sh", str(self.file)]

    def starts(self) -> int:
        return len(self.file.read_text(encoding="ascii").splitlines()) if self.file.exists() else 0

    def wait(self) -> None:
        wait_until(lambda: self.starts() > 0)


@pytest.fixture
def application(tmp_path: Path) -> Application:
    return Application(tmp_path)


@pytest.fixture
def long_job(memory_path: Path) -> Dict[str, Any]:
    disk = memory_path / "long.img"
    with open(disk, "wb") as file:
        file.truncate(1 << 30)
    return image_job(memory_path, disk, limit_read_rate=50)


def register(agent: AgentOnDevice, application: Application, **more: Any) -> None:
    order = dict({"after": application.start, "time_limit_seconds": 20, "start_within_seconds": 600}, **more)
    assert agent.call("after-register", NAME, agent.put(order))["id"] == NAME
    assert application.starts() == 0


def begin(agent: AgentOnDevice, job: Dict[str, Any]) -> None:
    agent.deliver(agent.start(RUN, job, "--after", NAME))


def watchers(agent: AgentOnDevice) -> List[int]:
    """The processes that hold the lock of a command: its watcher."""
    lock = os.stat(str(agent.base / "spool" / ".after" / NAME / "lock"))
    found = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError):
            for descriptor in os.listdir("/proc/%d/fd" % pid):
                status = os.stat("/proc/%d/fd/%s" % (pid, descriptor))
                if (status.st_dev, status.st_ino) == (lock.st_dev, lock.st_ino):
                    found.append(pid)
    return found


def runner(agent: AgentOnDevice) -> int:
    path = agent.base / "spool" / RUN / "runner.json"
    return int(json.loads(path.read_text(encoding="ascii"))["pid"])


def kill_all(agent: AgentOnDevice) -> None:
    """The system ends everything of the agent at once, as for want of memory."""
    for pid in {*watchers(agent), runner(agent)}:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not watchers(agent))


def terminate(agent: AgentOnDevice) -> None:
    os.kill(runner(agent), signal.SIGTERM)


def cancel(agent: AgentOnDevice) -> None:
    agent.call("cancel", RUN)


def kill_runner(agent: AgentOnDevice) -> None:
    os.kill(runner(agent), signal.SIGKILL)


def kill_watcher(agent: AgentOnDevice) -> None:
    for pid in watchers(agent):
        os.kill(pid, signal.SIGKILL)
    cancel(agent)


@pytest.mark.parametrize("end", [cancel, terminate, kill_runner], ids=lambda one: str(one.__name__))
def test_it_runs_without_a_controller_when_the_run_ends(
    agent: AgentOnDevice, application: Application, long_job: Dict[str, Any], end: Callable[[AgentOnDevice], None]
) -> None:
    register(agent, application)
    begin(agent, long_job)
    time.sleep(1.0)
    assert application.starts() == 0, "the run is in progress"
    end(agent)
    application.wait()
    outcome = agent.call("after-run", NAME)["outcome"]
    assert (outcome["exit_status"], outcome["output"]) == (0, "started")
    agent.call("runs")
    assert application.starts() == 1


@pytest.mark.parametrize("end", [kill_all, kill_watcher], ids=lambda one: str(one.__name__))
@pytest.mark.parametrize("verb", [("runs",), ("status", RUN), ("after-run", NAME)], ids=lambda one: str(one[0]))
def test_the_next_verb_makes_up_for_a_watcher_that_was_killed(
    agent: AgentOnDevice,
    application: Application,
    long_job: Dict[str, Any],
    end: Callable[[AgentOnDevice], None],
    verb: List[str],
) -> None:
    register(agent, application)
    begin(agent, long_job)
    end(agent)
    agent.call(*verb)
    application.wait()
    assert application.starts() == 1


def test_a_spool_that_takes_nothing_keeps_no_verb_from_answering(
    agent: AgentOnDevice, application: Application
) -> None:
    register(agent, application)
    folder = agent.base / "spool" / ".after" / NAME
    (folder / "lock").rename(folder / "aside")
    (folder / "lock").mkdir()
    assert agent.call("runs")["runs"] == []
    (folder / "lock").rmdir()
    (folder / "aside").rename(folder / "lock")
    assert agent.call("after-run", NAME)["outcome"]["exit_status"] == 0
    assert application.starts() == 1


def test_it_runs_after_success_and_after_a_failure(
    agent: AgentOnDevice, application: Application, memory_path: Path
) -> None:
    register(agent, application)
    begin(agent, image_job(memory_path, random_disk(memory_path / "disk.img", 4_000_000)))
    application.wait()
    assert agent.call("status", RUN)["status"]["state"] == "done"
    application.file.unlink()
    order = {"after": application.start}
    agent.call("after-register", "after-2", agent.put(order))
    agent.deliver(agent.start("run-2", image_job(memory_path, memory_path / "missing.img"), "--after", "after-2"))
    application.wait()
    assert agent.call("status", "run-2")["status"]["state"] == "failed"


def test_a_controller_that_is_lost_before_the_run_or_its_secrets(
    agent: AgentOnDevice, application: Application, long_job: Dict[str, Any]
) -> None:
    register(agent, application, start_within_seconds=1)
    application.wait()
    with pytest.raises(Refused) as caught:
        agent.start(RUN, long_job, "--after", NAME)
    assert caught.value.code == "A351"
    wait_until(lambda: agent.call("status", RUN)["status"]["state"] == "cancelled")
    application.file.unlink()
    agent.call("after-register", "after-2", agent.put({"after": application.start}))
    agent.start("run-2", long_job, "--after", "after-2", "--wait-for-secrets", "1")
    application.wait()
    assert agent.call("status", "run-2")["status"]["error"]["code"] == "A317"


def test_a_device_that_restarted_runs_it_at_the_next_contact(agent: AgentOnDevice, application: Application) -> None:
    register(agent, application)
    for pid in watchers(agent):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not watchers(agent))
    path = agent.base / "spool" / ".after" / NAME / "order.json"
    path.write_text(json.dumps(dict(json.loads(path.read_text(encoding="ascii")), boot_id="other")), encoding="ascii")
    agent.call("runs")
    application.wait()


def test_the_controller_asks_in_vain_while_the_run_is_in_progress(
    agent: AgentOnDevice, application: Application, long_job: Dict[str, Any]
) -> None:
    register(agent, application)
    begin(agent, long_job)
    looked = agent.call("after-run", NAME)
    assert (looked["outcome"], looked["due"]) == (None, False)
    assert application.starts() == 0
    cancel(agent)
    application.wait()


def test_a_command_that_takes_longer_than_an_answer_runs_once(agent: AgentOnDevice, application: Application) -> None:
    slow = ["/bin/sh", "-c", 'echo start >> "$1"; sleep 3; echo slow', "sh", str(application.file)]
    agent.call("after-register", NAME, agent.put({"after": slow, "time_limit_seconds": 30}))
    first = agent.call("after-run", NAME, "--wait", "1")
    assert (first["outcome"], first["due"]) == (None, True)
    assert first["most_seconds"] > 30
    outcome = agent.call("after-run", NAME, "--wait", "20")["outcome"]
    assert (outcome["exit_status"], outcome["output"]) == (0, "slow")
    assert application.starts() == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["/bin/sh", "-c", "echo no; exit 3"], {"exit_status": 3, "timed_out": False, "output": "no"}),
        (["/bin/sleep", "60"], {"exit_status": None, "timed_out": True}),
        (["/no/such/program"], {"exit_status": None, "timed_out": False}),
        ([sys.executable, "-c", "print('x' * (1 << 20))"], {"exit_status": 0}),
    ],
)
def test_an_outcome_is_bounded_and_told(agent: AgentOnDevice, words: List[str], expected: Dict[str, Any]) -> None:
    agent.call("after-register", NAME, agent.put({"after": words, "time_limit_seconds": 1}))
    outcome = agent.call("after-run", NAME)["outcome"]
    assert {name: outcome[name] for name in expected} == expected
    assert len(outcome["output"]) <= 16 << 10


@pytest.mark.parametrize("after", [None, [], "systemctl start x", [1], [""], ["a\0b"], ["a"] * 65, ["a" * 5000]])
def test_what_is_no_command_is_refused(agent: AgentOnDevice, after: Any) -> None:
    with pytest.raises(Refused) as caught:
        agent.call("after-register", NAME, agent.put({"after": after}))
    assert caught.value.code == "A350"
    for verb in (["after-run", NAME], ["after-run", "../x"]):
        with pytest.raises(Refused) as caught:
            agent.call(*verb)
        assert caught.value.code in ("A353", "A310")


class _Slow:
    """An agent whose command has its outcome after so many questions; None for never."""

    def __init__(self, questions: Optional[int], most_seconds: int = 1000) -> None:
        self.left, self.most_seconds = questions, most_seconds
        self.waits: List[int] = []

    def call(self, verb: str, name: str, *words: str) -> Dict[str, Any]:
        assert (verb, name, words[0]) == ("after-run", NAME, "--wait")
        self.waits.append(int(words[1]))
        done = self.left is not None and len(self.waits) >= self.left
        outcome = {"exit_status": 0, "timed_out": False} if done else None
        return {"outcome": outcome, "due": True, "most_seconds": self.most_seconds}


@pytest.mark.parametrize(("questions", "seconds"), [(40, 7200), (None, 90), (None, 10**15)])
def test_the_controller_asks_for_hours_in_short_questions_and_not_for_ever(
    questions: Optional[int], seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = _Slow(questions, seconds)
    monkeypatch.setattr(after_command.time, "monotonic", lambda: float(sum(slow.waits)))
    found = after_command.ActionModule.__new__(after_command.ActionModule)._wait_for(slow, NAME)  # type: ignore[arg-type]
    assert (found["outcome"] is None) is (questions is None)
    assert max(slow.waits) <= 120, "no question takes as long as a link waits for an answer"
    assert sum(slow.waits) <= 3 * 86400


@pytest.mark.parametrize("questions", [3, None])
def test_a_device_that_is_silent_about_its_command_is_an_error(
    questions: Optional[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = _Slow(questions, 90)
    action: Any = after_command.ActionModule.__new__(after_command.ActionModule)
    action._host = "press-07"
    monkeypatch.setattr(after_command.time, "monotonic", lambda: float(sum(slow.waits)))
    monkeypatch.setattr(slow, "current", "1.0.0", raising=False)
    monkeypatch.setattr(action, "open_link", lambda dummy_arguments: None)
    monkeypatch.setattr(action, "look_at_agent", lambda *dummy: slow)
    if questions is not None:
        assert action._run_now({"id": NAME})["outcome"]["exit_status"] == 0
        return
    with pytest.raises(OfActions) as caught:
        action._run_now({"id": NAME})
    assert (caught.value.code, caught.value.fields) == ("A346", {"device": "press-07", "seconds": 90})
    assert action.done["outcome"] is None
