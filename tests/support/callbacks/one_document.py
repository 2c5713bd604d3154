# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback for tests: the whole play as one JSON document on standard output, as ``ansible.posix.json`` prints it.

Like that one it shows results as Ansible hands them over, with the arguments of modules and warnings, at any verbosity.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: one_document
type: stdout
short_description: Print one JSON document for tests
description: Prints all results as one JSON document when the play is over.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Collects every result, and prints at the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "one_document"

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._results: List[Dict[str, Any]] = []

    def _note(self, result: Any, status: str) -> None:
        host, task = result._host.get_name(), result._task.get_name()
        self._results.append({"task": task, "host": host, "status": status, "result": result._result})

    def v2_runner_on_ok(self, result: Any) -> None:
        self._note(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ARG002
        self._note(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._note(result, "unreachable")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._note(result, "skipped")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        hosts = {host: stats.summarize(host) for host in stats.processed}
        print(json.dumps({"results": self._results, "stats": hosts}, default=str, indent=1, sort_keys=True))
