# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs, updates and removes the agent of a device; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import AGENT
from ansible_collections.plantops.imaging.plugins.plugin_utils._agent import Agent, Installation
from ansible_collections.plantops.imaging.plugins.plugin_utils._device_action import DeviceAction
from ansible_collections.plantops.imaging.plugins.plugin_utils._diffs import of_agent


class ActionModule(DeviceAction):
    """Brings the device's agent into the wanted state."""

    spec = AGENT

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        agent = self.look_at_agent(self.open_link(arguments), arguments)
        about = {"base": agent.found["base"], "platform": agent.found["platform"], "python": agent.python}
        before = agent.current
        if arguments["state"] == "absent":
            done = self._remove(agent)
        elif arguments["state"] == "present" and agent.is_useful():
            done = {"changed": False, "installed": before, "replaced": None, "sent_bytes": 0}
        else:
            installed = agent.plan() if self._task.check_mode else self._install(agent)
            done = {
                "changed": installed.changed,
                "installed": installed.id,
                "replaced": installed.replaced,
                "sent_bytes": installed.sent_bytes,
            }
        result = dict(about, **done)
        if self._task.diff:
            result["diff"] = [of_agent(before, done["installed"])]
        return result

    def _install(self, agent: Agent) -> Installation:
        installed = self.install(agent)
        return installed if installed.changed or agent.is_useful() else agent.install(anew=True)

    def _remove(self, agent: Agent) -> Dict[str, Any]:
        before = agent.current or None
        if self._task.check_mode:
            changed = agent.would_remove()
        else:
            changed = agent.is_installed() and agent.remove()
        return {"changed": changed, "installed": None, "replaced": before, "sent_bytes": 0}
