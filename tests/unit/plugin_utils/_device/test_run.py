# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of a run on a device that has one of the same request already, however it ends meanwhile."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    EngineError,
    RequestInvalid,
    RunLives,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import AgentRefused
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.run import Runs, name_of

REQUEST = {"verb": "image", "device": "pc", "drives": ["all"]}
OURS = name_of(REQUEST) + "20261130-010000-0a0b0c"
EARLIER = name_of(REQUEST) + "20261129-010000-0a0b0c"
OTHER = "restore-0123456789abcdef-20261130-010000-0a0b0c"


class Device:
    """Refuses every new run because of ``living``; says of runs what ``states`` has."""

    def __init__(self, refusal: EngineError, states: Dict[str, str]) -> None:
        self.refusal = AgentRefused(refusal.as_dict())
        self.states = states
        self.started: List[str] = []

    def put_data(self, dummy_data: bytes, name: str) -> str:
        return "/put/" + name

    def call(self, verb: str, *arguments: str) -> Dict[str, Any]:
        if verb == "runs":
            return {"runs": [{"run": run, "state": state} for run, state in self.states.items()]}
        assert verb == "start"
        if arguments[0] not in self.states:
            raise self.refusal
        self.started.append(arguments[0])
        return {"run": arguments[0], "status": {"run": arguments[0], "state": self.states[arguments[0]]}}

    def expect(self, fits: bool, dummy_command: str, otherwise: str) -> None:
        assert fits, otherwise


def started(device: Device) -> Any:
    runs = Runs(device, device, dict(REQUEST))  # type: ignore[arg-type]
    return runs.start(lambda dummy_run: None)


@pytest.mark.parametrize("state", ["running", "done", "failed"])
def test_the_run_that_stands_in_the_way_is_followed_also_when_it_has_ended_since(state: str) -> None:
    device = Device(RunLives(run="new", other=OURS), {EARLIER: "done", OURS: state})
    handle = started(device)
    assert (handle.run, handle.attached, handle.status["state"]) == (OURS, True, state)
    assert device.started == [OURS]


@pytest.mark.parametrize(
    ("refusal", "states"),
    [
        (RunLives(run="new", other=OTHER), {EARLIER: "done", OTHER: "running"}),
        (RunLives(run="new", other=OTHER), {EARLIER: "done", OTHER: "done"}),
        (RequestInvalid(reason="it names %s" % EARLIER), {EARLIER: "done"}),
    ],
)
def test_an_earlier_run_is_not_taken_for_the_one_in_the_way(refusal: EngineError, states: Dict[str, str]) -> None:
    device = Device(refusal, states)
    with pytest.raises(AgentRefused):
        started(device)
    assert device.started == []
