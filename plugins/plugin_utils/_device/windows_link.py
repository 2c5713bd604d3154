# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on a connection of this collection's own kind, ``admin_share``: files through the share, commands through
the agent's service.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from typing import Callable, List, Optional, TypeVar

from ansible_collections.plantops.imaging.plugins.module_utils.engine.agent.service_client import LIMIT_SECONDS
from ansible_collections.plantops.imaging.plugins.module_utils.engine.errors import EngineError

from .._admin_share.commands import Commands
from .._admin_share.raising import ansible_error, is_about_connection
from .._admin_share.share import DeviceShare
from .link import SLOWEST_BYTES_PER_SECOND, Answer, Link

_TASKS = "\\service\\put"
_STALE_SECONDS = 24 * 3600
_GRACE_SECONDS = 60
_WAYS = 2  # each file is read back
_SECONDS_FOR_A_FILE = 2.0  # opened, closed and opened again over a line by satellite
_Result = TypeVar("_Result")


def seconds_for(size_bytes: int, files: int = 1) -> float:
    """Return how long files take to a device and back at the least speed that is waited for."""
    return _WAYS * size_bytes / SLOWEST_BYTES_PER_SECOND + files * _SECONDS_FOR_A_FILE


class WindowsLink(Link):
    """The link of one task to a Windows device."""

    def _prepare(self) -> None:
        """Everything that is needed is part of this kind of connection."""

    def on_share(self, ask: Callable[[DeviceShare], _Result], more_seconds: float = 0) -> _Result:
        """Ask with the open share; ask again when the link was lost. ``more_seconds``: for what takes long.

        :raises EngineError: what the device refuses. :raises AnsibleConnectionFailure: a device that is away.
        """
        return self._persist(lambda: self._bounded(lambda: self._told(ask), more_seconds))

    def run(self, words: List[str], data: Optional[bytes] = None, more_seconds: float = 0) -> Answer:
        """Run a program, as SYSTEM, with ``data`` on its standard input."""
        line = subprocess.list2cmdline(words)
        seconds = LIMIT_SECONDS + int(more_seconds)
        # The service's own limit comes first: it knows why.
        answer = self.on_share(lambda share: Commands(share).run(line, data or b"", seconds), seconds + _GRACE_SECONDS)
        return Answer(answer.status, answer.stdout.decode("utf-8", "replace"), answer.stderr.decode("utf-8", "replace"))

    def put(self, local_path: str, name: str) -> str:
        """Put a file into this task's folder on the device and return its name there; the folder goes with the task."""

        def put(share: DeviceShare) -> str:
            path = "%s\\%s" % (self._own_folder(share), name)
            share.put(local_path, path)
            return share.place.on_device(path)

        return self.on_share(put, seconds_for(os.path.getsize(local_path)))

    def folder(self) -> str:
        """Return this task's folder on the device."""
        return self.on_share(lambda share: share.place.on_device(self._own_folder(share)))

    def drop_folder(self) -> None:
        """Delete this task's folder; the next file makes another one."""
        if self._folder is not None:
            folder, self._folder = self._folder, None
            self.on_share(lambda share: share.delete_tree(folder))

    def _own_folder(self, share: DeviceShare) -> str:
        """Return this task's folder as a path of the share; delete those of tasks that were killed."""
        if self._folder is None:
            tasks = share.place.base_in_share + _TASKS
            share.make_folder(tasks)
            now = int(time.time())
            for entry in share.entries(tasks) or []:
                made = entry.name.partition("-")[0]
                if not made.isdigit() or abs(now - int(made)) > _STALE_SECONDS:
                    share.delete_tree("%s\\%s" % (tasks, entry.name))
            folder = "%s\\%d-%s" % (tasks, now, secrets.token_hex(6))
            share.make_folder(folder)
            self._folder = folder
        return self._folder

    def _told(self, ask: Callable[[DeviceShare], _Result]) -> _Result:
        try:
            return ask(self._connection.share())
        except EngineError as error:
            if is_about_connection(error):
                raise ansible_error(error) from None
            raise
