# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the agent lives: a path that could be its own, and the device is asked for exactly that one."""

from __future__ import annotations

import json
from typing import List

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import AgentDirectoryInvalid
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import Agent, checked_directory
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.link import Answer

BASE = "/var/lib/plantops-imaging"
PROBE = {
    "ok": True,
    "base": BASE,
    "platform": "linux-x86_64-glibc-cp311",
    "parts": [],
    "versions": [],
    "current": None,
    "previous": None,
    "unsafe": None,
}


class Device:
    def __init__(self) -> None:
        self.asked: List[List[str]] = []

    def put(self, dummy_path: str, name: str) -> str:
        return "/tmp/task/" + name

    def put_data(self, dummy_data: bytes, name: str) -> str:
        return "/tmp/task/" + name

    def run(self, words: List[str]) -> Answer:
        self.asked.append(words)
        if words[0] == "/bin/sh":
            return Answer(0, "python=python3\n" + json.dumps(PROBE) + "\n", "")
        return Answer(0, '{"ok": true, "changed": false}\n', "")


@pytest.mark.parametrize(
    "directory", ["opt", "/", "/opt", "//opt/", "../x", "/srv/a/../b", "/srv/a\n/b", "/srv/" + "x" * 300]
)
def test_what_can_not_be_the_agents_own_is_refused(directory: str) -> None:
    with pytest.raises(AgentDirectoryInvalid):
        checked_directory(directory)


def test_the_device_is_asked_for_that_directory_by_every_step() -> None:
    assert checked_directory("/var//lib/./plantops-imaging/") == BASE
    device = Device()
    agent = Agent(device, "press-1", None, lambda dummy: None, BASE)  # type: ignore[arg-type]
    agent.look()
    agent.remove()
    assert device.asked[0][5] == BASE
    assert '--base "$base"' in device.asked[0][2]
    assert device.asked[1][-2:] == ["--base", BASE]
