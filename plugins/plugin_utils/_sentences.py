# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences that a task shows during the play: where they don't spoil the output of the site's stdout callback.

A callback that makes one document of a play (JSON, YAML, a report) has the standard output for itself. Which one does can't
be asked, so those that are known to print lines are named here; beside any other, sentences go to the error output.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from ansible import constants
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.plugins.loader import callback_loader
from ansible.utils.display import Display
from ansible_collections.plantops.imaging.plugins.module_utils.engine.tame import one_line

display = Display()
_PRINT_LINES = ("default", "minimal", "oneline", "selective", "unixy", "dense", "awx_display")
_HEADING = "v2_playbook_on_task_start"


def show_sentence(sentence: str) -> None:
    """Show one line."""
    display.display(one_line(sentence), stderr=not prints_lines(str(constants.DEFAULT_STDOUT_CALLBACK)))


def prints_lines(callback: str) -> bool:
    """Whether the stdout callback of this name is one that prints lines as things happen."""
    if callback.rsplit(".", 1)[-1] in _PRINT_LINES:
        return True
    try:
        found = callback_loader.get(callback, class_only=True)
    except Exception:  # loading a site's own file may raise anything, which Ansible has reported already
        return False
    # debug, yaml and a site's own descend from it; what makes a document prints no heading of a task.
    if not (isinstance(found, type) and issubclass(found, Default)):
        return False
    return getattr(found, _HEADING) is getattr(Default, _HEADING)
