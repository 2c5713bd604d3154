# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the recovery program on the controller; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import PROGRAM
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.recovery_program import (
    DEFAULT_PLATFORMS,
    build_program,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._build_action import BuildAction


class ActionModule(BuildAction):
    """Builds one program for all platforms."""

    spec = PROGRAM

    def build(self, arguments: Dict[str, Any], *, check: bool) -> Dict[str, Any]:
        platforms = arguments["platforms"] or DEFAULT_PLATFORMS
        folders = {name: arguments[name] for name in ("cache_folder", "wheel_folder")}
        program = build_program(arguments["destination"], platforms=platforms, check=check, **folders)
        self.built.append(program)
        return program._asdict()
