# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes an image of a device; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import IMAGE
from ansible_collections.plantops.imaging.plugins.module_utils.engine.device.compare import words
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.engine_action import EngineAction
from ansible_collections.plantops.imaging.plugins.plugin_utils._diffs import of_comparison, of_images


class ActionModule(EngineAction):
    """The verb ``image``."""

    verb = "image"
    spec = IMAGE

    def finish(self, event: Dict[str, Any]) -> Dict[str, Any]:
        """Say what changed on the device since the last image, and show it as Ansible's diff."""
        comparison = event.get("comparison")
        if comparison and comparison["against"]:
            for line in (words.headline(comparison), *words.lines(comparison)):
                self.say(line)
        if self._task.diff:
            event["diff"] = of_images(event) + of_comparison(comparison)
        return event
