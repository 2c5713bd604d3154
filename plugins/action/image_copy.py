# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies an image with all that a recovery needs; the module of the same name documents it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import COPY
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import BundleFailed
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.recovery_program import (
    PROGRAM_NAME,
    cached_program,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.link import Link
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.operator_action import OperatorAction


class ActionModule(OperatorAction):
    """The verb ``copy``. The recovery program is built on the controller, or is a file there."""

    verb = "copy"
    spec = COPY

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        """Have the program at hand before anything is copied."""
        if self._task.check_mode:
            arguments = dict(arguments, program=None)
        else:
            arguments = dict(arguments, program=arguments.get("program") or cached_program())
        return super().work(arguments)

    def over_link(self, link: Link, request: Dict[str, Any]) -> Dict[str, Any]:
        """Bring the program to the operator host."""
        if not request.get("program"):
            return request
        try:
            data = Path(request["program"]).read_bytes()
        except OSError as error:
            raise BundleFailed(path=request["program"], reason=error.strerror or str(error)) from None
        return dict(request, program=link.put_data(data, PROGRAM_NAME))
