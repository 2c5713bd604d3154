# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletes ended runs from a device, after their results were stored; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict, List

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.plantops.imaging.plugins.module_utils._arguments import FORGET_RUNS
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import EngineError
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.action import DeviceAction
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import AgentRefused
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.answers import said


class ActionModule(DeviceAction):
    """A run that can't be deleted is collected again by the next play, which finds its document in place.

    So this never fails a play, whose run has ended well.
    """

    spec = FORGET_RUNS

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        forgotten: List[str] = []
        if arguments["runs"] and not self._task.check_mode:
            try:
                self._forget(arguments, forgotten)
            except (AgentRefused, AnsibleConnectionFailure, EngineError) as error:
                self.say("warning: its ended runs stay on it until the next play: %s" % said(str(error)))
        return {"changed": bool(forgotten), "forgotten": forgotten}

    def _forget(self, arguments: Dict[str, Any], forgotten: List[str]) -> None:
        """Delete the runs, and add each that was deleted to ``forgotten``."""
        agent = self.look_at_agent(self.open_link(arguments), arguments)
        for run in arguments["runs"] if agent.current else []:
            try:
                if agent.call("forget", run)["changed"]:
                    forgotten.append(run)
            except AgentRefused as refusal:
                self.say("warning: the run %s stays on it: %s" % (run, said(str(refusal))))
