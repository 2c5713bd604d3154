# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers on a device the command for after a run, and has it run; the module of the same name documents it."""

from __future__ import annotations

import datetime
import json
import secrets
import time
from typing import Any, ClassVar, Dict, List, Sequence, Tuple

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import AFTER_COMMAND
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import (
    AfterCommandFailed,
    AfterCommandSilent,
    AgentMissing,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.action import DeviceAction
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import Agent
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.answers import said

_SHORTEST_WAIT = 20.0
_LONGEST_WAIT = 120.0
_WAIT_SHARE = 20  # of the time that it took so far
_MOST_SECONDS = 2 * 86400  # a limit for a number that the device gives
_ORDER = ("after", "time_limit_seconds", "start_within_seconds")


class ActionModule(DeviceAction):
    """Needs the agent: it is there when the controller is not."""

    spec = AFTER_COMMAND
    required_if: ClassVar[Sequence[Tuple[str, Any, List[str]]]] = (
        ("state", "registered", ["after"]),
        ("state", "run", ["id"]),
    )

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        if self._task.check_mode:
            return {"changed": arguments["state"] == "registered", "id": None, "outcome": None}
        if arguments["state"] == "run":
            return self._run_now(arguments)
        link = self.open_link(arguments)
        agent = self.look_at_agent(link, arguments)
        self.install(agent)
        name = "after-%s-%s" % (datetime.datetime.now().strftime("%Y%m%d-%H%M%S"), secrets.token_hex(3))
        order = json.dumps({one: arguments[one] for one in _ORDER}).encode("ascii")
        self.mended(agent, lambda: agent.call("after-register", name, link.put_data(order, "order.json")))
        return {"changed": True, "id": name, "outcome": None}

    def _run_now(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        name = str(arguments["id"])
        agent = self.look_at_agent(self.open_link(arguments), arguments)
        if not agent.current:
            raise AgentMissing(device=self._host, run=name)
        found = self._wait_for(agent, name)
        outcome = found["outcome"]
        self.done = {"changed": found["due"], "id": name, "outcome": outcome}
        if not found["due"]:
            self.say("the run is still in progress; the device runs the command %s at its end" % name)
        elif outcome is None:
            raise AfterCommandSilent(device=self._host, seconds=found["most_seconds"])
        elif outcome["timed_out"] or outcome["exit_status"] != 0:
            how = (
                "it was stopped at its time limit"
                if outcome["timed_out"]
                else "exit status %s" % outcome["exit_status"]
            )
            words = said(str(outcome.get("output") or ""))
            raise AfterCommandFailed(device=self._host, reason=how + (": " + words.rstrip(".") if words else ""))
        return self.done

    def _wait_for(self, agent: Agent, name: str) -> Dict[str, Any]:
        """Ask until there is an outcome. A short question at a time, so that a command of hours is not a lost link."""
        began = time.monotonic()
        while True:
            share = (time.monotonic() - began) / _WAIT_SHARE
            found = agent.call("after-run", name, "--wait", str(int(min(_LONGEST_WAIT, max(_SHORTEST_WAIT, share)))))
            if not found["due"] or found["outcome"] is not None:
                return found
            if time.monotonic() - began > min(found["most_seconds"], _MOST_SECONDS):
                return found
