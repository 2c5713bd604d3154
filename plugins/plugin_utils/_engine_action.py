# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins of the device verbs share: arguments to a job, the run, progress, the result.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import os
from typing import Any, ClassVar, Dict, List, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.plantops.imaging.plugins.module_utils._arguments import failure, job_of, secrets_of

from ._engine_process import EngineProcess
from ._progress import ProgressLines

display = Display()


class EngineAction(ActionBase):  # type: ignore[misc]
    """Base of the action plugins that run a verb of the engine on the device."""

    verb: ClassVar[str]
    spec: ClassVar[Dict[str, Any]]

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False
    _requires_connection = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Run the verb; never raises for a failure of the catalogue but returns it as a failed result."""
        result: Dict[str, Any] = super().run(tmp, task_vars)
        dummy_result, arguments = self.validate_argument_spec(argument_spec=self.spec)
        arguments = {name: value for name, value in arguments.items() if name in self.spec}
        job = job_of(self.verb, arguments, self._task.check_mode)
        job["timestamp"] = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        process = EngineProcess(job, secrets_of(self.spec, arguments), self._prefix())
        self._host = str((task_vars or {}).get("inventory_hostname", "device"))
        lines = ProgressLines(self._host, self.verb, display.display)
        event = process.run(lambda event: self._on_event(event, lines, result))
        if event.pop("event") == "error":
            result.update(failure(event), failed=True, changed=False)
            return result
        for warning in event.pop("warnings", []):
            result.setdefault("warnings", []).append(warning)
        result.update(self.finish(event))
        return result

    def say(self, sentence: str) -> None:
        """Show a sentence about this device while the play goes on."""
        display.display("%s: %s" % (self._host, sentence))

    def finish(self, event: Dict[str, Any]) -> Dict[str, Any]:
        """Turn the engine's result into the task's."""
        return event

    def _on_event(self, event: Dict[str, Any], lines: ProgressLines, result: Dict[str, Any]) -> None:
        if event.get("event") == "status":
            lines.show(event)
        elif event.get("event") == "warning":
            result.setdefault("warnings", []).append(str(event["message"]))

    def _prefix(self) -> List[str]:
        transport = getattr(self._connection, "transport", "")
        if transport != "local":
            raise AnsibleActionFail(
                "This device is reached over %s. This version runs the engine on the machine of ansible-playbook only: "
                "give the device ansible_connection: local, or run ansible-playbook on the device." % transport
            )
        if self._connection.become is None or os.geteuid() == 0:
            return []
        if self._connection.become.name not in ("sudo", "ansible.builtin.sudo"):
            raise AnsibleActionFail(
                "Become method %s can't be used for a local device: use sudo without a password, or run "
                "ansible-playbook as root." % self._connection.become.name
            )
        return ["sudo", "-n", "-E", "--preserve-env=PYTHONPATH,PYTHONDONTWRITEBYTECODE", "--"]
