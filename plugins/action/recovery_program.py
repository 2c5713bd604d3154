# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the recovery program on the controller; the module of the same name documents it."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ansible.plugins.action import ActionBase
from ansible_collections.plantops.imaging.plugins.module_utils._arguments import PROGRAM, failure
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import EngineError
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.recovery_program import (
    DEFAULT_PLATFORMS,
    BuiltProgram,
    build_program,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._diffs import Diff, diff_of


class ActionModule(ActionBase):  # type: ignore[misc]
    """Needs no connection: nothing is done on the host of the task."""

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Build it where it is missing or another one; a failure of the catalogue is returned as a failed result."""
        result: Dict[str, Any] = super().run(tmp, task_vars)
        dummy_result, arguments = self.validate_argument_spec(argument_spec=PROGRAM)
        try:
            built = build_program(
                arguments["destination"],
                platforms=arguments["platforms"] or DEFAULT_PLATFORMS,
                cache_folder=arguments["cache_folder"],
                wheel_folder=arguments["wheel_folder"],
                check=self._task.check_mode,
            )
        except EngineError as error:
            result.update(failure(error.as_dict()), failed=True, changed=False)
            return result
        result.update(built._asdict())
        if self._task.diff and built.changed:
            result["diff"] = _diff_of(built)
        return result


def _diff_of(built: BuiltProgram) -> Diff:
    before = "sha256:%s" % built.replaced if built.replaced else "none"
    after = "sha256:%s" % built.sha256 if built.sha256 else "not built yet: its packages must be downloaded first"
    return diff_of(built.path, [before], [after])
