# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs, updates and removes the agent of a device; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict, List

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import AGENT
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import AgentAnswerInvalid, DeviceSmbError
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.action import DeviceAction
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import Agent, AgentRefused, Installation
from ansible_collections.plantops.imaging.plugins.plugin_utils._diffs import of_agent

_OF_ANOTHER = (
    "%s: the user %s has an agent, too, in %s. Run the play again as that user to remove it: -e ansible_become_user=%s"
)


class ActionModule(DeviceAction):
    """Brings the device's agent into the wanted state."""

    spec = AGENT

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        agent = self.look_at_agent(self.open_link(arguments), arguments)
        about = {"base": agent.found["base"], "platform": agent.found["platform"], "python": agent.python}
        before = agent.current
        if arguments["state"] == "absent":
            done = self._remove(agent)
        elif arguments["state"] == "present" and agent.is_useful() and not agent.was_removing:
            done = {"changed": False, "installed": before, "replaced": None, "sent_bytes": 0}
        else:
            installed = self._foretold(agent) if self._task.check_mode else self._install(agent)
            done = {
                "changed": installed.changed,
                "installed": installed.id,
                "replaced": installed.replaced,
                "sent_bytes": installed.sent_bytes,
            }
        result = dict(about, **done)
        self.tell("agent", result)
        if self._task.diff:
            result["diff"] = [of_agent(before, done["installed"])]
        return result

    def _foretold(self, agent: Agent) -> Installation:
        planned = agent.plan()
        return planned if agent.is_useful() else agent.plan(anew=not planned.changed)

    def _install(self, agent: Agent) -> Installation:
        installed = self.install(agent)
        return installed if installed.changed or agent.is_useful() else agent.install(anew=True)

    def _tidy(self, agent: Agent) -> List[str]:
        """Have what killed runs left outside of the agent's folder removed, while there is an agent that can; return warnings."""
        if not agent.current:
            return []
        try:
            return list(agent.call("tidy")["warnings"])
        except (AgentAnswerInvalid, DeviceSmbError):
            return []  # an older agent, or one that is damaged, or whose service does not work
        except AgentRefused as refusal:
            return [str(refusal)]

    def _remove(self, agent: Agent) -> Dict[str, Any]:
        done: Dict[str, Any] = {"installed": None, "replaced": agent.current or None, "sent_bytes": 0}
        done["others"] = agent.of_others()
        warnings = [_OF_ANOTHER % (self._host, one["user"], one["directory"], one["user"]) for one in done["others"]]
        if self._task.check_mode:
            done["changed"] = agent.would_remove()
        else:
            warnings += self._tidy(agent)
            done["changed"] = agent.is_installed() and agent.remove()
        return dict(done, warnings=warnings) if warnings else done
