# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists the images of a device, or of every device of a storage; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import INFO
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.operator_action import OperatorAction


class ActionModule(OperatorAction):
    """The verb ``list``, or ``devices``."""

    verb = "list"
    spec = INFO
    required_if = (("devices", "one", ["device_name"]),)

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        """Choose the verb; that of the whole storage takes no choice of images."""
        if arguments["devices"] == "all":
            self.verb = "devices"
            for name in ("device_name", "device_alias", "job", "image", "documents"):
                arguments.pop(name, None)
        return super().work(arguments)
