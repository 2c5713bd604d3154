# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds bundles of the agent on the controller, which has the collection; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import BUNDLE
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.bundle import build_bundle
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.windows.python_source import PythonSource
from ansible_collections.plantops.imaging.plugins.plugin_utils._build_action import BuildAction


class ActionModule(BuildAction):
    """Builds the bundle of each platform."""

    spec = BUNDLE

    def build(self, arguments: Dict[str, Any], *, check: bool) -> Dict[str, Any]:
        options = {name: arguments[name] for name in ("version", "cache_folder", "wheel_folder")}
        given = {
            one["platform"]: PythonSource(one["source"], one["sha256"]) for one in arguments["python_distributions"]
        }
        for platform in arguments["platforms"]:
            python = given.get(platform)
            self.built.append(build_bundle(platform, arguments["destination"], python=python, check=check, **options))
        return {"bundles": [one._asdict() for one in self.built]}
