# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary at the end of a play of this collection."""

from __future__ import annotations

DOCUMENTATION = r"""
name: summary
type: aggregate
short_description: Summary of all devices at the end of a play
version_added: 0.1.0
author:
  - plantops.imaging contributors (@plantops)
description:
  - At the end of a play that ran an entry point of the role C(imaging), it prints a row for each
    device - the image or the failure with its code and reason, sizes, duration, changes on the device, deleted images -
    with what to do about a failure, the last good image of a device that has no new one, and the disks that changed. The
    last image is known from C(imaging_results_directory), if that is on the controller.
  - The text of each warning follows with the devices that it is of. Then lists name the devices that were imaged, that
    failed, that were not reached, whose disks changed, and that have no new image. A line before them is the command
    that runs the play again for the devices that failed; it does not repeat variables of the command line.
  - In check mode a list names the devices that would be imaged. A device with several jobs has a row for each job.
  - It works beside any stdout callback. Beside one that makes a single document of a play, such as JSON, it prints to
    the error output.
  - A play with more than 40 devices shows rows only for the devices that failed.
requirements:
  - enabled in the configuration - C(callbacks_enabled = plantops.imaging.summary)
"""

EXAMPLES = r"""
# ansible.cfg
#   [defaults]
#   callbacks_enabled = plantops.imaging.progress, plantops.imaging.summary
"""

import sys
from typing import Any

from ansible import constants, context
from ansible.plugins.callback import CallbackBase
from ansible.utils.display import Display
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.again import command_again
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.summary import Summary
from ansible_collections.plantops.imaging.plugins.plugin_utils._sentences import prints_lines

display = Display()
_RESULT = "plantops.imaging.run_result"
_IMAGE = "plantops.imaging.image"
_MOST_CHARACTERS = 300


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Collects the results of the tasks that leave a document; ``Summary`` makes the lines."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "plantops.imaging.summary"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._summary = Summary()
        self._is_ours = False  # a play of the site's own that never asks this collection has no summary

    def v2_playbook_on_task_start(self, task: Any, *dummy: Any, **dummy_options: Any) -> None:
        self._is_ours = self._is_ours or _action(task).startswith("plantops.imaging.")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._take(result)

    def v2_runner_on_failed(self, result: Any, *dummy: Any, **dummy_options: Any) -> None:
        self._take(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._summary.add_unreachable(_part(result, "host").get_name(), _reason(_part(result, "result")))

    def v2_playbook_on_stats(self, dummy_stats: Any) -> None:
        on_stderr = not prints_lines(str(constants.DEFAULT_STDOUT_CALLBACK))
        options = context.CLIARGS
        again = command_again(options.get("args") or (), options, sys.argv[1:], self._summary.failed())
        for line in self._summary.lines(again=again) if self._is_ours else []:
            display.display(line, stderr=on_stderr)

    def _take(self, result: Any) -> None:
        task, host = _part(result, "task"), _part(result, "host").get_name()
        action = _action(task)
        found = _part(result, "result")
        if action == _IMAGE and isinstance(found.get("device_changes"), list) and found.get("image"):
            self._summary.add_changes(host, len(found["device_changes"]))
        elif action == _RESULT and isinstance(found.get("document"), dict):
            self._summary.add(host, found["document"], found.get("path"))


def _reason(result: Any) -> str:
    """The last line that the connection said, which is that of ``ssh`` itself, without Ansible's words before it."""
    lines = [line.strip() for line in str(result.get("msg") or "").splitlines() if line.strip()]
    return (lines[-1] if lines else "").rpartition("via ssh: ")[2][:_MOST_CHARACTERS]


def _action(task: Any) -> str:
    return str(getattr(task, "resolved_action", None) or task.action)


def _part(result: Any, name: str) -> Any:
    """Return ``result.task`` and the like; before ansible-core 2.19 their names begin with an underscore."""
    return getattr(result, name) if hasattr(result, name) else getattr(result, "_" + name)
