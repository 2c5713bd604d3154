# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes an image of a device; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import IMAGE
from ansible_collections.plantops.imaging.plugins.module_utils.engine.device.compare import words
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.engine_action import EngineAction
from ansible_collections.plantops.imaging.plugins.plugin_utils._diffs import deleted_of, of_comparison, of_images
from ansible_collections.plantops.imaging.plugins.plugin_utils._units import duration, size


class ActionModule(EngineAction):
    """The verb ``image``."""

    verb = "image"
    spec = IMAGE

    def finish(self, event: Dict[str, Any]) -> Dict[str, Any]:
        """Say what was done in a line, and show what changed on the device since the last image as Ansible's diff."""
        if not event.get("image") and all(name in event for name in ("bytes_in_use", "bytes_to_send")):
            self.say(
                "would create an image (%s in use, about %s to upload)%s"
                % (size(event["bytes_in_use"]), _to_send(event), _and_delete(event))
            )
        if event.get("image") and all(name in event for name in ("seconds", "bytes_in_use", "bytes_stored")):
            self.say(
                "created image %s in %s: %s in use, %s uploaded, the rest already stored or empty"
                % (
                    event["image"],
                    duration(round(event["seconds"])),
                    size(event["bytes_in_use"]),
                    size(event["bytes_stored"]),
                )
            )
        comparison = event.get("comparison")
        if comparison and comparison["against"]:
            for line in (words.headline(comparison), *words.lines(comparison)):
                self.say(line)
        if self._task.diff:
            event["diff"] = of_images(event) + of_comparison(comparison)
        return event


def _to_send(event: Dict[str, Any]) -> str:
    least, most = event["bytes_to_send"], event.get("bytes_to_send_most", 0)
    return "%s to %s" % (size(least), size(most)) if most > least else size(least)


def _and_delete(event: Dict[str, Any]) -> str:
    deleted = deleted_of(event)
    return " and then delete: %s" % ", ".join(deleted) if deleted else ""
