# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks an image in to the archive; the module of the same name documents it."""

from __future__ import annotations

import getpass
from typing import Any, Dict, Iterator

from ansible_collections.plantops.imaging.plugins.module_utils._arguments import ARCHIVE
from ansible_collections.plantops.imaging.plugins.module_utils.engine.amounts import size
from ansible_collections.plantops.imaging.plugins.module_utils.engine.device.compare import words
from ansible_collections.plantops.imaging.plugins.plugin_utils._device.operator_action import OperatorAction


class ActionModule(OperatorAction):
    """The verb ``archive``."""

    verb = "archive"
    spec = ARCHIVE

    def work(self, arguments: Dict[str, Any]) -> Dict[str, Any]:
        """Name the user of the controller as the author where the task names none."""
        return super().work(dict(arguments, author=arguments.get("author") or _user()))

    def finish(self, event: Dict[str, Any]) -> Dict[str, Any]:
        """Show the versions in the play: they are the answer, and a playbook has no task that prints them."""
        for line in _lines(event):
            self.say(line)
        return event


def _lines(event: Dict[str, Any]) -> Iterator[str]:
    comparison = event.get("comparison") or {}
    for one in event.get("versions") or []:
        parts = ["v%s" % one.get("version"), one.get("image"), one.get("author"), one.get("comment")]
        yield ", ".join(str(part) for part in parts if part) + ("" if one.get("ok", True) else ": not intact")
    if event.get("changed_bytes") is not None:
        yield "%s of the disks differ" % size(event["changed_bytes"])
    if comparison.get("against"):
        yield words.headline(comparison)
        yield from words.lines(comparison)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return ""
