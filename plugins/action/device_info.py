# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells what a device is and which disks it has; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import DEVICE_INFO
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.action import DeviceAction
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.agent import AgentRefused
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.disk_list import disk_list, lines_of, warnings_of
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.process import ask_engine


class ActionModule(DeviceAction):
    """Asks the device's agent, which it installs first."""

    spec = DEVICE_INFO

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        if self.is_local() and not self.has_local_agent(arguments.get("agent_directory") or ""):
            answer = ask_engine(self.local_prefix(), "info")
            if not answer["ok"]:
                raise AgentRefused(answer)
            return dict(self._told(answer), changed=False)
        return self._ask_agent(arguments)

    def _told(self, answer: Dict[str, Any]) -> Dict[str, Any]:
        """Show the disks, a line each, and return the answer with them."""
        disks = disk_list(answer["information"])
        for line in lines_of(disks):
            self.say(line)
        told = {"information": answer["information"], "document": answer.get("document"), "disks": disks}
        return dict(told, warnings=warnings_of(answer["information"]))

    def _ask_agent(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        agent = self.look_at_agent(self.open_link(arguments), arguments)
        if not self._task.check_mode:
            installed = self.install(agent)
            answer = self.mended(agent, lambda: agent.call("info"))
        else:
            installed = agent.plan()
            if not agent.is_useful():
                warning = self.would_install(installed, "its information is available only with that agent")
                told = {"changed": True, "information": None, "document": None, "disks": [], "warnings": [warning]}
                return self.with_agent(told, installed)
            answer = agent.call("info")
        return self.with_agent(dict(self._told(answer), changed=installed.changed), installed)
