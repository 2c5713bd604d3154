# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds bundles of the agent on the controller, which has the collection; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ansible.plugins.action import ActionBase
from ansible_collections.plantops.imaging.plugins.module_utils._arguments import BUNDLE, failure
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import EngineError
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.bundle import Built, build_bundle
from ansible_collections.plantops.imaging.plugins.plugin_utils._diffs import Diff, diff_of


class ActionModule(ActionBase):  # type: ignore[misc]
    """Needs no connection: nothing is done on the host of the task."""

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Build what is missing; a failure of the catalogue is returned as a failed result."""
        result: Dict[str, Any] = super().run(tmp, task_vars)
        dummy_result, arguments = self.validate_argument_spec(argument_spec=BUNDLE)
        options = {name: arguments[name] for name in ("version", "cache_folder", "wheel_folder")}
        built = []
        try:
            for platform in arguments["platforms"]:
                built.append(build_bundle(platform, arguments["destination"], check=self._task.check_mode, **options))
        except EngineError as error:
            result.update(failure(error.as_dict()), failed=True, changed=any(one.changed for one in built))
            return result
        result.update(changed=any(one.changed for one in built), bundles=[one._asdict() for one in built])
        if self._task.diff:
            result["diff"] = [_diff_of(one) for one in built if one.changed]
        return result


def _diff_of(built: Built) -> Diff:
    before = "sha256:%s" % built.replaced if built.replaced else "none"
    after = "sha256:%s" % built.sha256 if built.sha256 else "not built yet: its packages must be downloaded first"
    return diff_of(built.path, [before], [after])
