# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The link to a device: what is repeated, for how long, and what is not; how runs get their names."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest
from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    ConnectionUnfit,
    DeviceAnswerEndless,
    DeviceLinkLost,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._device import link as _link
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.run import name_of
from support.refusing import failing


class Shell:
    SHELL_FAMILY = "sh"

    def quote(self, word: str) -> str:
        return "'%s'" % word


class Connection:
    def __init__(self, transport: str = "ssh", **options: str) -> None:
        self.transport = transport
        self._shell = Shell()
        self.options = options
        self.resets = 0

    def get_option(self, name: str) -> Any:
        return self.options.get(name)

    def set_option(self, name: str, value: str) -> None:
        self.options[name] = value

    def reset(self) -> None:
        self.resets += 1
        raise AnsibleError("this connection can't")


class Action:
    """Fails as the script says, then answers."""

    def __init__(self, *script: Exception, transport: str = "ssh", **options: str) -> None:
        self._connection = Connection(transport, **options)
        self.script = list(script)
        self.commands: List[str] = []
        self.client: Any = None

    def _low_level_execute_command(self, command: str) -> Dict[str, Any]:
        self.commands.append(command)
        if self.script:
            error = self.script.pop(0)
            if error is not None:
                raise error
        return {"rc": 0, "stdout": "out", "stderr": ""}


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.pauses: List[float] = []
        monkeypatch.setattr(_link.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(_link.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def lost(times: int) -> List[Exception]:
    return [AnsibleConnectionFailure("ssh: everything it said\nShared connection to x closed.\n")] * times


def test_a_lost_connection_is_reset_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    action = Action(None, *lost(6))
    said: List[str] = []
    link = _link.Link(action, "press-1", said.append, 600)
    link.run(["true"])
    assert link.run(["agent", "status"]) == (0, "out", "")
    assert clock.pauses == [1, 2, 4, 8, 16, 20]
    assert action._connection.resets == 6
    assert action.commands[1:] == ["'agent' 'status'"] * 7
    assert [said[0].split(";")[0], said[-1]] == ["the connection was lost", "the connection is restored"]


def test_what_stays_away_is_given_up_at_the_limit_and_the_clock_starts_anew_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    action = Action(None, *lost(3), None, *lost(99))
    link = _link.Link(action, "press-1", lambda dummy: None, 10)
    link.run(["true"])
    link.run(["true"])
    began = clock.now
    with pytest.raises(DeviceLinkLost) as caught:
        link.run(["true"])
    assert clock.now - began == 10
    told = caught.value.fields
    assert (told["device"], told["seconds"]) == ("press-1", 10)
    assert told["reason"] == "Shared connection to x closed"


def test_a_device_that_never_answered_is_unreachable_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    link = _link.Link(Action(*lost(1)), "press-1", lambda dummy: None, 600)
    with pytest.raises(AnsibleConnectionFailure):
        link.run(["true"])
    assert clock.pauses == []


HUNG_UP = "Failed to connect to the host via ssh: kex_exchange_identification: read: Connection reset by peer"


def test_a_server_that_hangs_up_before_its_greeting_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    said: List[str] = []
    action = Action(*[AnsibleConnectionFailure(HUNG_UP)] * 2)
    assert _link.Link(action, "press-1", said.append, 600).run(["true"]) == (0, "out", "")
    assert clock.pauses == [1, 2]
    assert said == ["the device closed the connection before its greeting; retrying"] * 2


def test_a_server_that_never_greets_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    action = Action(*[AnsibleConnectionFailure(HUNG_UP)] * 9)
    with pytest.raises(AnsibleConnectionFailure, match="kex_exchange"):
        _link.Link(action, "press-1", lambda dummy: None, 600).run(["true"])
    assert clock.pauses == [1, 2]


def test_a_refused_login_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    link = _link.Link(Action(None, AnsibleAuthenticationFailure("no")), "press-1", lambda dummy: None, 600)
    link.run(["true"])
    with pytest.raises(AnsibleAuthenticationFailure):
        link.run(["true"])
    assert clock.pauses == [], "an account would be locked"


def a_device_that_hangs(monkeypatch: pytest.MonkeyPatch, answers_first: int) -> Action:
    """Answers some questions and then none: what asks is a process that waits, as ssh does."""
    monkeypatch.setattr(_link, "_ANSWER_SECONDS", 0.3)
    action = Action()

    def ask(command: str) -> Dict[str, Any]:
        action.commands.append(command)
        if len(action.commands) > answers_first:
            action.client = subprocess.Popen(["sleep", "1000"])
            action.client.wait()
        return {"rc": 0, "stdout": "out", "stderr": ""}

    monkeypatch.setattr(action, "_low_level_execute_command", ask)
    return action


def test_a_device_that_does_not_answer_is_a_lost_connection_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk hangs, or it stalls on purpose, while the connection lives."""
    action = a_device_that_hangs(monkeypatch, 1)
    said: List[str] = []
    link = _link.Link(action, "press-1", said.append, 0.5)
    assert link.run(["first"]).stdout == "out"
    before = signal.getsignal(signal.SIGALRM)
    with failing(DeviceLinkLost, device="press-1", reason="respond within"):
        link.run(["second"])
    assert action.client.wait(10) == -signal.SIGTERM, "what waited for it is ended"
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]) == (before, 0)


def test_a_device_that_never_answers_anything_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    action = a_device_that_hangs(monkeypatch, 0)
    with pytest.raises(AnsibleConnectionFailure, match="did not respond within"):
        _link.Link(action, "press-1", lambda dummy: None, 0.5).run(["first"])


def test_an_answer_without_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the ssh plugin does it: what comes is kept until the command ends."""
    action = Action()
    kept = []

    def ask(dummy_command: str) -> Dict[str, Any]:
        action.client = subprocess.Popen(["yes", "x" * 4000], stdout=subprocess.PIPE)
        assert action.client.stdout is not None
        while True:
            kept.append(action.client.stdout.read(1 << 20))
            assert len(kept) < 4000, "the controller's memory is full"

    monkeypatch.setattr(action, "_low_level_execute_command", ask)
    link = _link.Link(action, "press-1", lambda dummy: None, 600)
    with failing(DeviceAnswerEndless, most="268 MB"):
        link.run(["first"])
    assert action.client.wait(10) == -signal.SIGTERM


def test_a_time_limit_of_the_task_is_the_one_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    class TaskTimeout(Exception):
        """Stands for Ansible's own."""

    def out_of_time(dummy_number: int, dummy_frame: Any) -> None:
        action.client.kill()
        raise TaskTimeout

    action = a_device_that_hangs(monkeypatch, 0)
    before = signal.signal(signal.SIGALRM, out_of_time)
    signal.setitimer(signal.ITIMER_REAL, 0.8)
    try:
        with pytest.raises(TaskTimeout):
            _link.Link(action, "press-1", lambda dummy: None, 0.5).run(["first"])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_silent_server_is_noticed_unless_the_site_says_how() -> None:
    action = Action(ssh_extra_args="-v")
    _link.Link(action, "press-1", lambda dummy: None, 1)
    assert action._connection.options["ssh_extra_args"].startswith("-v -o ServerAliveInterval=")
    theirs = Action(ssh_common_args="-o ServerAliveInterval=60")
    _link.Link(theirs, "press-1", lambda dummy: None, 1)
    assert theirs._connection.options == {"ssh_common_args": "-o ServerAliveInterval=60"}
    other = Action(transport="plantops.imaging.other")
    assert _link.Link(other, "press-1", lambda dummy: None, 1).transport == "other"
    assert other._connection.options == {}


def test_a_shell_that_is_no_posix_shell_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shell, "SHELL_FAMILY", "powershell")
    with failing(ConnectionUnfit, transport="winrm", reason="powershell"):
        _link.Link(Action(transport="winrm"), "press-1", lambda dummy: None, 1)


def test_runs_of_one_job_share_the_beginning_of_their_names() -> None:
    job = {"verb": "image", "device": "press-1", "drives": ["/dev/sda"], "timestamp": "2026-11-22_13-45-10"}
    name = name_of(job)
    assert name.startswith("image-")
    assert name_of(dict(job, timestamp="2026-11-23_13-45-10")) == name
    assert name_of(dict(reversed(list(job.items())))) == name
    assert name_of(dict(job, drives=["/dev/sdb"])) != name
    assert len(name + "20261122-134510-a1b2c3") <= 64


def test_a_folder_that_is_never_made_is_a_lost_connection_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The very first thing of a task: the shell of a user whose home hangs answers nothing."""
    monkeypatch.setattr(_link, "_ANSWER_SECONDS", 0.3)
    action = Action()

    def make() -> str:
        action.client = subprocess.Popen(["sleep", "1000"])
        action.client.wait()
        return "/tmp/x"

    monkeypatch.setattr(action, "_make_tmp_path", make, raising=False)
    with pytest.raises(AnsibleConnectionFailure, match="did not respond within"):
        _link.Link(action, "press-1", lambda dummy: None, 0.5).folder()
    assert action.client.wait(10) == -signal.SIGTERM


def test_a_flood_while_a_file_is_sent_is_an_error_of_the_catalogue(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    action = Action()

    def transfer(dummy_local: str, dummy_path: str) -> None:
        raise _link.DeviceFloods

    for name, work in {
        "_make_tmp_path": lambda: "/tmp/x/",
        "_is_become_unprivileged": lambda: False,
        "_transfer_file": transfer,
        "_low_level_execute_command": lambda command, **more: {"rc": 0, "stdout": "", "stderr": ""},
    }.items():
        monkeypatch.setattr(action, name, work, raising=False)
    monkeypatch.setattr(Shell, "join_path", join, raising=False)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(DeviceAnswerEndless):
        _link.Link(action, "press-1", lambda dummy: None, 600).put(str(tmp_path / "file"), "file")


def join(dummy_shell: Shell, *words: str) -> str:
    return "/".join(words)
