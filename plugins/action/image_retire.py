# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletes all images of a device, or one; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import RETIRE
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.operator_action import OperatorAction


class ActionModule(OperatorAction):
    """The verb ``retire``."""

    verb = "retire"
    spec = RETIRE

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        """Run the verb; only the play knows whether the device will make another image."""
        result = super().work(arguments)
        if arguments["in_inventory"] and not result.get("image") and result.get("deleted"):
            warning = (
                "%s is still in the inventory: its next run starts a new directory. Remove the device and its timers there."
                % result["device"]
            )
            result["warnings"] = [*(result.get("warnings") or []), warning]
        return result
