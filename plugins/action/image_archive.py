# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks an image in to the archive; the module of the same name documents it."""

from __future__ import annotations

import getpass
from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import ARCHIVE
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.operator_action import OperatorAction


class ActionModule(OperatorAction):
    """The verb ``archive``."""

    verb = "archive"
    spec = ARCHIVE

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        """Name the user of the controller as the author where the task names none."""
        return super().work(dict(arguments, author=arguments.get("author") or _user()))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return ""
