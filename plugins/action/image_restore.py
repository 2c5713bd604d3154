# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores an image on a device; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict, List

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import RESTORE
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import RestoreOnManyHosts
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.engine_action import EngineAction
from ansible_collections.plantops.imaging.plugins.plugin_utils._diffs import of_targets

_MOST_NAMED = 8


class ActionModule(EngineAction):
    """The verb ``restore``."""

    verb = "restore"
    spec = RESTORE

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        """Refuse a forgotten --limit before anything is asked of the device; together with overwrite it would cost a plant its data.

        :raises RestoreOnManyHosts: without a yes. A run that is followed or cancelled was started already.
        """
        hosts = _hosts(self._vars)
        if len(hosts) > 1 and not arguments["many"] and not arguments.get("run"):
            more = ", ..." if hosts[_MOST_NAMED:] else ""
            raise RestoreOnManyHosts(count=len(hosts), hosts=", ".join(hosts[:_MOST_NAMED]) + more)
        return super().work(arguments)

    def finish(self, event: Dict[str, Any]) -> Dict[str, Any]:
        """Show what every target was and what it became as Ansible's diff."""
        if self._task.diff:
            event["diff"] = of_targets(event.get("targets") or [])
        return event


def _hosts(task_vars: Dict[str, Any]) -> List[str]:
    """All hosts of the play, those of later batches (serial) and those that failed as well."""
    names = task_vars.get("ansible_play_hosts_all") or task_vars.get("ansible_play_hosts") or []
    return [str(name) for name in names]
