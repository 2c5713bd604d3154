# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of the action plugins that build files on the controller: arguments, failures as results, the diff.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Dict, List, Optional, Union

from ansible.plugins.action import ActionBase
from ansible_collections.plantops.imaging.plugins.module_utils._arguments import failure
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import EngineError
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.publishing import Built
from ansible_collections.plantops.imaging.plugins.module_utils.engine.install.recovery_program import BuiltProgram

from ._diffs import Diff, diff_of

BuiltFile = Union[Built, BuiltProgram]


class BuildAction(ActionBase):  # type: ignore[misc]
    """Needs no connection: the plugin works on the controller alone."""

    spec: ClassVar[Dict[str, Any]]

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Build the missing files; a failure of the catalogue is returned as a failed result."""
        result: Dict[str, Any] = super().run(tmp, task_vars)
        dummy_result, arguments = self.validate_argument_spec(argument_spec=self.spec)
        self.built: List[BuiltFile] = []
        try:
            result.update(self.build(arguments, check=bool(self._task.check_mode)))
        except EngineError as error:
            result.update(failure(error.as_dict()), failed=True)
        result["changed"] = any(one.changed for one in self.built)
        if self._task.diff and not result.get("failed"):
            result["diff"] = [_diff_of(one) for one in self.built if one.changed]
        return result

    @abstractmethod
    def build(self, arguments: Dict[str, Any], *, check: bool) -> Dict[str, Any]:
        """Build, add each file to ``built``, and return the fields of the result.

        :raises EngineError: as :func:`build_bundle` and :func:`build_program` do.
        """


def _diff_of(built: BuiltFile) -> Diff:
    before = "sha256:%s" % built.replaced if built.replaced else "none"
    after = "sha256:%s" % built.sha256 if built.sha256 else "not built yet: its packages must be downloaded first"
    return diff_of(built.path, [before], [after])
