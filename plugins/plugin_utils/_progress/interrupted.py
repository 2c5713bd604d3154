# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last lines of an interrupted play: which runs it followed, and whether they continue.

An interrupt ends the workers of Ansible at once, and Ansible drops the lines that they still show. So each worker notes in
a file without a name, opened before Ansible forks, which run it follows; the main process shows at its exit which are left.
Ansible imports the action plugins, and this file with them, in the main process before it forks.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import tempfile
from typing import Dict, List, NamedTuple, Optional

from .._sentences import show_sentence

ON_DEVICE, HERE, CANCELLED = "on_device", "here", "cancelled"


class Followed(NamedTuple):
    """A run that a task follows; ``fate`` is what an interrupt of the play means for it. ``run`` is "" without a handle."""

    task: str
    device: str
    verb: str
    run: str
    fate: str


class FollowedRuns:
    """The runs that are followed right now, noted by workers and read by the process that forked them."""

    def __init__(self) -> None:
        self._process_id = os.getpid()
        try:
            self._file: Optional[int] = _nameless_file()
        except OSError:
            self._file = None  # no room for a temporary file: the play continues, and an interrupt is not explained

    def begin(self, followed: Followed) -> None:
        """Note that a task follows a run; a later note of the same task replaces it."""
        self._note(followed._asdict())

    def end(self, task: str, device: str) -> None:
        """Note that the task has the outcome of its run."""
        self._note({"task": task, "device": device})

    def left(self) -> List[Followed]:
        """Return the runs whose task never noted an end."""
        found: Dict[str, Followed] = {}
        for line in self._lines():
            note = json.loads(line)
            key = "%s %s" % (note["task"], note["device"])
            found.pop(key, None)
            if "run" in note:
                found[key] = Followed(**note)
        return sorted(found.values(), key=lambda one: (one.device, one.task))

    def tell(self) -> None:
        """Say what becomes of the runs that are left; only in the process that made the file."""
        if os.getpid() != self._process_id:
            return
        for line in lines_of(self.left()):
            show_sentence(line)

    def _note(self, note: Dict[str, str]) -> None:
        if self._file is not None:
            os.write(self._file, json.dumps(note).encode("ascii") + b"\n")

    def _lines(self) -> List[bytes]:
        if self._file is None:
            return []
        return os.pread(self._file, os.fstat(self._file).st_size, 0).splitlines()


def _nameless_file() -> int:
    """Open a file that forks share: each write is added whole at the end, whichever process writes."""
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_APPEND)
    return descriptor


def lines_of(left: List[Followed]) -> List[str]:
    """Return a line for each run that is left, and one about those that continue."""
    lines = ["%s: the play was interrupted; %s" % (one.device, _fate(one)) for one in left]
    if any(one.fate == ON_DEVICE for one in left):
        lines.append("The same command follows the runs that continue to their end, and does what was not begun.")
    return lines


def _fate(one: Followed) -> str:
    if one.fate == ON_DEVICE:
        command = "ansible-playbook plantops.imaging.%s --limit %s -e imaging_run=%s -e imaging_cancel=true"
        return "the run %s continues on the device. To cancel it: %s" % (
            one.run,
            command % (one.verb, one.device, one.run),
        )
    if one.fate == CANCELLED:
        return "the run %s is being cancelled, because imaging_cancel_on_interrupt is set" % one.run
    if one.verb == "restore":
        return "its run on this machine stops with it. Its targets may be incomplete until the same command has ended"
    return "its run on this machine stops with it. Earlier images are intact, and the same command reuses what was uploaded"


FOLLOWED_RUNS = FollowedRuns()
atexit.register(FOLLOWED_RUNS.tell)
