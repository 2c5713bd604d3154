# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores an image on a device; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import RESTORE
from ansible_collections.plantops.imaging.plugins.plugin_utils._diffs import of_targets
from ansible_collections.plantops.imaging.plugins.plugin_utils._engine_action import EngineAction


class ActionModule(EngineAction):
    """The verb ``restore``."""

    verb = "restore"
    spec = RESTORE

    def finish(self, event: Dict[str, Any]) -> Dict[str, Any]:
        """Show what every target was and what it became as Ansible's diff."""
        if self._task.diff:
            event["diff"] = of_targets(event.get("targets") or [])
        return event
