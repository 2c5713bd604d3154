# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bars for the devices that are imaged or restored, below what the stdout callback prints."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: aggregate
short_description: Bars on a terminal for all devices that are imaged or restored
version_added: 0.1.0
author:
  - plantops.imaging contributors (@plantops)
description:
  - While the tasks of M(plantops.imaging.image) and M(plantops.imaging.image_restore) run, the last lines of the terminal show a row
    for each device - the current step, progress, rate, an estimate, warnings and the final state - and a line with
    the totals.
  - It works beside any stdout callback. The output of that callback appears above the bars, unchanged, and the bars
    disappear when the last device has ended.
  - Without a terminal, as in a pipe, in AWX and with C(TERM=dumb), it draws no bars, and the modules print a line for
    every ten percent as they do without it.
  - When more devices run than the terminal has lines, those with warnings and those that started first are shown, and
    the others are summarized.
  - It never blocks a task. A report that does not fit is dropped, the final state of a device comes from Ansible
    itself, and if drawing fails the callback warns once and the modules print lines again.
requirements:
  - rich 13.0 or newer (Python package, on the controller)
  - enabled in the configuration - C(callbacks_enabled = plantops.imaging.progress)
options:
  style:
    description:
      - C(auto) draws bars on a terminal.
      - C(lines) lets the modules print their lines, also on a terminal.
    type: str
    choices: [auto, lines]
    default: auto
    env:
      - name: PLANTOPS_IMAGING_PROGRESS
    ini:
      - section: callback_plantops_imaging_progress
        key: style
  rows:
    description:
      - The maximum number of terminal lines to use. Four lines are always reserved for other output.
      - V(0) means all lines.
    type: int
    default: 0
    env:
      - name: PLANTOPS_IMAGING_PROGRESS_ROWS
    ini:
      - section: callback_plantops_imaging_progress
        key: rows
seealso:
  - module: plantops.imaging.image
  - module: plantops.imaging.image_restore
"""

EXAMPLES = r"""
# ansible.cfg: always
#   [defaults]
#   callbacks_enabled = plantops.imaging.progress
#
# or for one run
#   ANSIBLE_CALLBACKS_ENABLED=plantops.imaging.progress ansible-playbook -i hosts.yml plantops.imaging.image
"""

import atexit
import os
import sys
import threading
from typing import Any, Dict, List, Optional

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.utils.display import Display
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.board import (
    DONE,
    FAILED,
    SKIPPED,
    UNREACHABLE,
)
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.drawing import HAS_RICH, plain
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.screen import wraps_again
from ansible_collections.plantops.imaging.plugins.plugin_utils._progress.show import Settings, Show

display = Display()

_VERBS = {"plantops.imaging.image": "image", "plantops.imaging.image_restore": "restore"}


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Tells the bars what Ansible does; everything that is drawn is done by ``Show``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "plantops.imaging.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._play: Any = None
        self._show: Optional[Show] = None

    def set_options(self, *arguments: Any, **options: Any) -> None:
        """Find out whether there is anything to draw on."""
        super().set_options(*arguments, **options)
        if self.get_option("style") == "lines" or not _is_terminal():
            self.disabled = True
        elif not HAS_RICH:
            self.disabled = True
            display.warning(
                "plantops.imaging.progress draws no bars: the Python package rich is missing on the controller. "
                "Progress is shown as lines; pip install rich, or take the callback out of callbacks_enabled."
            )

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._end_if_idle()
        self._play = play

    def v2_playbook_on_task_start(self, task: Any, *dummy: Any, **dummy_options: Any) -> None:
        self._begin(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._begin(task)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        verb = _verb_of(task)
        if self._show is not None and verb is not None:
            self._show.start(task._uuid, verb, host.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        self._end(result, DONE)

    def v2_runner_on_failed(self, result: Any, *dummy: Any, **dummy_options: Any) -> None:
        self._end(result, FAILED)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._end(result, UNREACHABLE)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._end(result, SKIPPED)

    def v2_playbook_on_stats(self, dummy_stats: Any) -> None:
        self._close()

    def _begin(self, task: Any) -> None:
        self._end_if_idle()
        verb = _verb_of(task)
        if verb is None or self.disabled:
            return
        try:
            if self._show is None:
                self._show = Show(self._settings(), self._give_up)
                atexit.register(self._close)
            if self._play is not None and not task.run_once:
                self._show.announce(task._uuid, verb, self._devices())
        except Exception as error:
            self._give_up(error)

    def _end(self, result: Any, state: str) -> None:
        show = self._show
        if show is None or _verb_of(_part(result, "task")) is None:
            return
        task, host = _part(result, "task"), _part(result, "host")
        show.end(task._uuid, host.get_name(), state, _part(result, "result"))
        if not show.is_working() and not show.is_waiting():
            self._close()

    def _end_if_idle(self) -> None:
        """Another task begins: rows that still wait have no task left, unless devices are still busy (strategy free)."""
        if self._show is not None and not self._show.is_working():
            self._close()

    def _close(self) -> None:
        show, self._show = self._show, None
        if show is None:
            return
        atexit.unregister(self._close)
        line = show.close()
        if line:
            display.display(line)

    def _give_up(self, error: Exception) -> None:
        """Draw nothing any more; a task must never suffer from it."""
        self.disabled = True
        show, self._show = self._show, None
        if show is not None:
            show.close()
        words = plain("%s: %s" % (type(error).__name__, error))[:300]
        display.warning("plantops.imaging.progress draws no bars any more (%s). Progress is shown as lines." % words)

    def _settings(self) -> Settings:
        has_colour = not (constants.ANSIBLE_NOCOLOR or os.environ.get("NO_COLOR"))
        lock = getattr(display, "_lock", None) or threading.RLock()
        return Settings(lock, has_colour, max(0, self.get_option("rows")), wraps_again(os.environ))

    def _devices(self) -> List[str]:
        """The hosts of this play, or of its batch with ``serial``, in their order."""
        variables: Dict[str, Any] = self._play.get_variable_manager().get_vars(play=self._play)
        return [str(name) for name in variables.get("ansible_play_batch") or []]


def _verb_of(task: Any) -> Optional[str]:
    return _VERBS.get(str(getattr(task, "resolved_action", None) or task.action))


def _part(result: Any, name: str) -> Any:
    """Return ``result.task`` and the like; before ansible-core 2.19 their names begin with an underscore."""
    return getattr(result, name) if hasattr(result, name) else getattr(result, "_" + name)


def _is_terminal() -> bool:
    """Whether a user watches. AWX gives its plays a terminal too, but makes events of the output."""
    stream = sys.stdout
    if not stream.isatty() or os.environ.get("TERM", "dumb") in ("", "dumb", "unknown"):
        return False
    return str(constants.DEFAULT_STDOUT_CALLBACK).rsplit(".", 1)[-1] != "awx_display"
