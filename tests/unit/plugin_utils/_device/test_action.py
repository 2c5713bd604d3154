# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local device: whose agent is looked for, and who the engine's process becomes."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, List, Optional

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.plantops.imaging.plugins.action.agent import ActionModule as AgentAction
from ansible_collections.plantops.imaging.plugins.action.device_info import ActionModule
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    AgentAnswerInvalid,
    DeviceServiceFailed,
    EngineError,
    RemovalInterrupted,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._device import action as _device_action
from ansible_collections.plantops.imaging.plugins.plugin_utils._device import process as _engine_process
from ansible_collections.plantops.imaging.plugins.plugin_utils._device import windows_agent as _windows_agent
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.action import DeviceAction
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import Installation

ACCOUNTS = {"root": 0, "line3": 1003, "press": 1004}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def account(name: str) -> SimpleNamespace:
        return SimpleNamespace(pw_uid=ACCOUNTS[name], pw_dir=str(tmp_path / name))

    monkeypatch.setattr(_device_action, "pwd", SimpleNamespace(getpwnam=account))
    monkeypatch.setattr(_device_action.probe, "ROOT_BASE", str(tmp_path / "opt"))
    monkeypatch.setattr(_device_action.probe, "default_base", lambda: str(tmp_path / "mine"))
    return tmp_path


def action_of(user: Optional[str], monkeypatch: pytest.MonkeyPatch, me: int, method: str = "sudo") -> DeviceAction:
    action: DeviceAction = ActionModule.__new__(ActionModule)
    become = None if user is None else SimpleNamespace(name=method, get_option=lambda *dummy, **dummy_more: user)
    action._connection, action._play_context = SimpleNamespace(become=become), None
    monkeypatch.setattr(_device_action.os, "geteuid", lambda: me)
    return action


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("user", "me", "words"),
    [
        (None, 1003, []),
        ("root", 0, []),
        ("line3", 1003, []),
        ("line3", 0, ["-u", "line3"]),
        ("root", 1003, ["-u", "root"]),
        ("press", 1003, ["-u", "press"]),
        ("nobody-knows", 0, ["-u", "nobody-knows"]),
    ],
)
def test_the_process_becomes_the_user_of_the_task(
    user: Optional[str], me: int, words: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = action_of(user, monkeypatch, me).local_prefix()
    assert prefix == (
        ["sudo", "-n", "-H", *words, "--preserve-env=PYTHONPATH,PYTHONDONTWRITEBYTECODE", "--"] if words else []
    )


@pytest.mark.usefixtures("folder")
def test_another_method_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnsibleActionFail, match="Become method doas"):
        action_of("root", monkeypatch, 1003, "doas").local_prefix()


@pytest.mark.parametrize(
    ("user", "me", "base"),
    [
        (None, 1003, "mine"),
        ("line3", 1003, "mine"),
        ("root", 1003, "opt"),
        ("press", 0, "press/.local/share/plantops-imaging"),
    ],
)
def test_the_agent_is_that_of_the_user_whom_the_task_becomes(
    user: Optional[str], me: int, base: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not action_of(user, monkeypatch, me).has_local_agent()
    (folder / base).mkdir(parents=True)
    assert action_of(user, monkeypatch, me).has_local_agent()
    assert not action_of("nobody-knows", monkeypatch, me).has_local_agent()


def test_the_accounts_are_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.geteuid()
    assert action_of(pwd.getpwuid(here).pw_name, monkeypatch, here).local_prefix() == []


def test_a_process_that_takes_no_signal_ends_when_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dummy_process: subprocess.Popen[bytes]) -> None:
        raise PermissionError

    monkeypatch.setattr(_engine_process, "_STOP_SECONDS", 20.0)
    monkeypatch.setattr(subprocess.Popen, "terminate", refuse)
    monkeypatch.setattr(subprocess.Popen, "kill", refuse)
    process = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
    _engine_process._stop(process)
    assert process.returncode is not None


BROKEN = [
    AgentAnswerInvalid(device="pc", command="version", status=1, words="no module"),
    DeviceServiceFailed(device="pc", service="s", reason="it ended at its start", base="b"),
]


class BrokenAgent:
    """An agent that works after it was installed again."""

    current = "0.1.0-0123456789abcdef"

    def __init__(self, error: EngineError) -> None:
        self.error: Optional[EngineError] = error
        self.done: List[str] = []

    def call(self, *dummy: str) -> Any:
        if self.error is not None:
            raise self.error
        return {"warnings": []}

    def of_others(self) -> List[Any]:
        return []

    def is_useful(self) -> bool:
        return self.error is None

    def is_installed(self) -> bool:
        return True

    def install(self, anew: bool) -> Installation:
        assert anew
        self.done.append("install")
        self.error = None
        return Installation(self.current, "linux", True, self.current, 7)

    def remove(self) -> bool:
        self.done.append("remove")
        return True


@pytest.mark.parametrize("error", BROKEN)
def test_a_broken_agent_is_mended(error: EngineError, monkeypatch: pytest.MonkeyPatch) -> None:
    action: Any = action_of(None, monkeypatch, 0)
    monkeypatch.setattr(type(action), "say", lambda *dummy: None)
    agent = BrokenAgent(error)
    action.done, action._task = {"changed": False}, SimpleNamespace(diff=False)
    assert action.mended(agent, lambda: agent.call("info")) == {"warnings": []}
    assert agent.done == ["install"]
    told = action.with_agent({"changed": False}, Installation(agent.current, "linux", False, None, 0))
    assert (told["changed"], told["agent"]["changed"], told["agent"]["sent_bytes"]) == (True, True, 7)
    assert (action.done["changed"], action.done["agent"]) == (True, told["agent"])
    with pytest.raises(type(error)):
        action.mended(agent, lambda: (dummy for dummy in ()).throw(error))  # the agent is in order: the answer is not
    assert agent.done == ["install"]


@pytest.mark.parametrize("error", BROKEN)
def test_a_broken_agent_is_removed(error: EngineError) -> None:
    action: Any = AgentAction.__new__(AgentAction)
    action._task = SimpleNamespace(check_mode=False)
    agent = BrokenAgent(error)
    assert action._remove(agent)["changed"]
    assert agent.done == ["remove"]


@pytest.mark.parametrize("was_removing", [False, True])
def test_an_interrupted_removal_is_a_warning(was_removing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    action: Any = AgentAction.__new__(AgentAction)
    action._task, action._host, action._early_warnings = SimpleNamespace(check_mode=False), "pc", []
    action._connection = SimpleNamespace(transport="plantops.imaging.admin_share")
    agent = SimpleNamespace(look=lambda: None, was_removing=was_removing)
    monkeypatch.setattr(_windows_agent, "WindowsAgent", lambda *dummy: agent)
    assert action.look_at_agent(None, {"state": "absent"}) is agent
    assert [RemovalInterrupted.code in one for one in action._early_warnings] == [True] * was_removing


@pytest.mark.parametrize("was_removing", [False, True])
def test_a_useful_agent_is_installed_only_to_sweep_what_a_removal_left(
    was_removing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    action: Any = AgentAction.__new__(AgentAction)
    action._task = SimpleNamespace(check_mode=False, diff=False)
    done: List[str] = []
    agent = SimpleNamespace(
        found={"base": "b", "platform": "p"}, python="y", current="1", was_removing=was_removing, is_useful=lambda: True
    )

    def install(dummy_agent: Any) -> Installation:
        done.append("install")
        return Installation("1", "p", False, None, 0)

    for name, answer in (("open_link", lambda dummy: None), ("look_at_agent", lambda *dummy: agent)):
        monkeypatch.setattr(action, name, answer)
    monkeypatch.setattr(action, "install", install)
    monkeypatch.setattr(action, "tell", lambda *dummy: None)
    assert action.work({"state": "present"})["installed"] == "1"
    assert done == ["install"] * was_removing


def test_no_task_on_another_device_loads_the_smb_client() -> None:
    """Each task of each device runs in a separate process, which would load it again."""
    room = DeviceAction.__module__.rpartition(".")[0]
    program = "import sys, %s.engine_action; print(*sys.modules)" % room
    loaded = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    assert room + ".link" in loaded
    assert [name for name in loaded if ".engine.smb" in name or "._admin_share" in name] == []
