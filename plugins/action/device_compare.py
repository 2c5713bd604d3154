# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares two images of a device; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import COMPARE
from ansible_collections.plantops.imaging.plugins.module_utils.engine.device.compare import words
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.operator_action import OperatorAction


class ActionModule(OperatorAction):
    """The verb ``compare``."""

    verb = "compare"
    spec = COMPARE

    def finish(self, event: Dict[str, Any]) -> Dict[str, Any]:
        """Show the differences in the play."""
        comparison = event.get("comparison") or {}
        if comparison.get("against"):
            for line in (words.headline(comparison), *words.lines(comparison)):
                self.say(line)
        return event
