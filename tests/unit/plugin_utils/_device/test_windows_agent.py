# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent of a device behind a share: when it is installed anew, when its present version makes the switch, when not removed."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    AgentDirectoryInvalid,
    InstallationRunLives,
    WriteFilterActive,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._device import windows_agent as _windows_agent
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import AgentRefused
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.link import Answer
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.windows_agent import WindowsAgent
from support.windows.folder_share import SmallBundle

OLD, NEW = SmallBundle("0.1.0", "1111111111111111"), SmallBundle("0.2.0", "2222222222222222")
BASE = "C:\\Program Files\\plantops-imaging"


class Device:
    """A device and its installer."""

    def __init__(self, current: str = "") -> None:
        self.current = current
        self.service = "image" if current else ""
        self.works = True
        self.is_interrupted = self.was_removing = self.has_removed = False
        self.states: List[str] = []
        self.done: List[str] = []
        self.more_seconds = 0.0
        self.settled = 0
        self.refusal: Optional[WriteFilterActive] = None

    # the installer

    def look(self) -> Dict[str, Any]:
        found = {"base": BASE, "platform": "windows-amd64", "current": self.current, "service": self.service}
        found.update(is_removing=self.was_removing, has_removed=self.has_removed)
        return dict(found, versions=[self.current], exists=bool(self.current))

    def sweep_removed(self) -> None:
        self.done.append("sweep")

    def install(self, bundle: Any) -> int:
        self.done.append("install")
        self.works, self.was_removing = True, False
        self.current, self.service = bundle.identity, "image"
        return 7

    def copy(self, dummy_bundle: Any) -> int:
        self.done.append("copy")
        return 7

    def go_back(self) -> bool:
        """Only what an interrupted update left can be undone."""
        self.done.append("go back")
        self.works = self.works or self.is_interrupted
        return self.is_interrupted

    def remove(self) -> bool:
        self.done.append("remove")
        self.current = self.service = ""
        return True

    # the link

    def on_share(self, ask: Any, more_seconds: float = 0) -> Any:
        self.more_seconds = max(self.more_seconds, more_seconds)
        return ask(self)

    def drop_folder(self) -> None:
        self.done.append("drop")

    def run(self, words: List[str]) -> Answer:
        assert words[0].startswith(BASE)
        if not self.works:
            return Answer(1, "", "no module")
        verb = words[6] if words[3].endswith("main") else words[4]
        answer: Dict[str, Any] = {"ok": True}
        if verb == "version":
            answer.update(version="0.1.0", id=None, protocol=1, python="3.8.10", platform=None)
        elif verb == "runs":
            answer["runs"] = [{"run": "image-1-%d" % at, "state": state} for at, state in enumerate(self.states)]
        elif verb == "settle":
            self.settled += 1
            answer.update(changed=False, installed=self.current, replaced=None)
            if self.refusal:
                answer = dict(self.refusal.as_dict(), ok=False)
        else:
            assert verb == "switch"
            self.done.append(verb)
            self.current = words[-1]
            answer.update(changed=True, installed=words[-1], replaced=None)
        return Answer(0, json.dumps(answer) + "\n", "")


@pytest.fixture(autouse=True)
def _installer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_windows_agent, "ShareInstaller", lambda device: device)


def agent_of(device: Device, bundle: Optional[SmallBundle] = NEW) -> WindowsAgent:
    made = WindowsAgent(device, "pc", lambda dummy: bundle)  # type: ignore[arg-type, return-value]
    made.look()
    return made


def test_a_device_without_an_agent_gets_one() -> None:
    device = Device()
    agent = agent_of(device)
    assert not agent.is_useful()
    assert agent.plan().changed
    installed = agent.install()
    assert (installed.id, installed.replaced, installed.sent_bytes) == (NEW.identity, None, 7)
    assert device.done == ["install"]
    assert agent.is_useful()
    assert not agent.install().changed
    assert device.more_seconds > 2 * len(NEW.files), "many small files over a slow line take long"


def test_a_working_agent_makes_the_switch_to_the_new_one() -> None:
    device = Device(OLD.identity)
    installed = agent_of(device).install()
    assert (installed.id, installed.replaced) == (NEW.identity, OLD.identity)
    assert device.done == ["copy", "switch"]


def test_an_agent_that_does_not_work_is_replaced() -> None:
    device = Device(OLD.identity)
    device.works = False
    agent = agent_of(device)
    agent.install()
    assert device.done == ["go back", "install"]


def test_an_agent_whose_update_was_interrupted_makes_the_next_one() -> None:
    device = Device(OLD.identity)
    device.works, device.is_interrupted = False, True
    installed = agent_of(device).install()
    assert (installed.id, installed.replaced) == (NEW.identity, OLD.identity)
    assert device.done == ["go back", "copy", "switch"]


def test_an_agent_behind_a_write_filter_is_removed_again() -> None:
    """The share does not show the filter: the agent finds it when it runs, and would be gone after a restart."""
    device = Device()
    device.refusal = WriteFilterActive(filter="UWF", volume="C:", disable="d", enable="e")
    with pytest.raises(AgentRefused) as refused:
        agent_of(device).install()
    assert refused.value.error["code"] == WriteFilterActive.code
    assert device.done == ["install", "remove"]
    device.refusal = None
    agent_of(device).install()
    assert (device.done[2:], device.settled) == (["install"], 2)


def test_an_agent_whose_service_is_gone_is_installed_again() -> None:
    device = Device(NEW.identity)
    device.service = ""
    agent = agent_of(device)
    assert not agent.is_useful()
    assert agent.plan().changed
    agent.install()
    assert device.done == ["install"]


def test_check_mode_without_a_bundle_says_that_something_changes() -> None:
    planned = agent_of(Device(OLD.identity), None).plan()
    assert (planned.changed, planned.id, planned.sent_bytes) == (True, None, None)


@pytest.mark.parametrize("state", ["waiting", "running"])
def test_an_agent_with_a_run_in_progress_is_not_removed(state: str) -> None:
    device = Device(NEW.identity)
    device.states = ["done", state]
    with pytest.raises(InstallationRunLives):
        agent_of(device).remove()
    assert "remove" not in device.done


def test_an_agent_is_removed_after_its_task_folder() -> None:
    device = Device(NEW.identity)
    device.states = ["done", "failed"]
    agent = agent_of(device)
    assert agent.would_remove()
    assert agent.remove()
    assert device.done == ["drop", "remove"]
    assert not agent_of(device).would_remove()


@pytest.mark.parametrize("current", [NEW.identity, OLD.identity, ""])
def test_an_agent_whose_removal_was_interrupted_is_installed_anew_or_removed(current: str) -> None:
    """Whatever is left of it: its service may work now and not start with Windows any more."""
    device = Device(current)
    device.was_removing = True
    agent = agent_of(device)
    assert agent.was_removing
    assert agent.would_remove()
    assert not agent.is_useful()
    assert agent.plan().changed
    assert agent.install().changed
    assert (device.done[-1], agent.was_removing, agent.is_useful()) == ("install", False, True)
    device.was_removing = True
    agent = agent_of(device)
    assert agent.remove()
    assert device.done[-1] == "remove"


def test_what_a_removal_put_aside_and_a_program_held_is_swept_without_another_installation() -> None:
    device = Device(NEW.identity)
    device.has_removed = True
    agent = agent_of(device)
    assert (agent.was_removing, agent.is_useful()) == (True, True)
    assert not agent.install().changed
    assert device.done == ["sweep"]


def test_no_other_directory_can_be_chosen() -> None:
    with pytest.raises(AgentDirectoryInvalid):
        WindowsAgent(Device(), "pc", lambda dummy: None, "C:\\elsewhere")  # type: ignore[arg-type]
