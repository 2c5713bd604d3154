# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletes ended runs from a device, after their results were stored; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict, List

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import FORGET_RUNS
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.action import DeviceAction
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import AgentRefused


class ActionModule(DeviceAction):
    """A run that can't be deleted is collected again by the next play, which finds its document in place."""

    spec = FORGET_RUNS

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        forgotten: List[str] = []
        if self._task.check_mode or not arguments["runs"]:
            return {"changed": False, "forgotten": forgotten}
        agent = self.look_at_agent(self.open_link(arguments), arguments)
        for run in arguments["runs"] if agent.current else []:
            try:
                if agent.call("forget", run)["changed"]:
                    forgotten.append(run)
            except AgentRefused as refusal:
                self.say("the run %s stays on the device: %s" % (run, refusal))
        return {"changed": bool(forgotten), "forgotten": forgotten}
