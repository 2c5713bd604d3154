# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a process that outlives its starter (Windows).

It has no console, no handle of its starter but the null device, and belongs to no job if the starter's job allows leaving it
(JOB_OBJECT_LIMIT_BREAKAWAY_OK): the end of a service, of a session of WinRM or SSH, or of the controller ends it not.
Sources: "Process Creation Flags" and "Job Objects" of the Windows API.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import IO, List, Optional, Union

from . import windows_locks
from .linux_detached import Work

__all__ = ["Work", "new_process", "spawn_detached"]
DETACHED = 0x8 | 0x200  # DETACHED_PROCESS, CREATE_NEW_PROCESS_GROUP
NO_WINDOW = 0x8000000  # CREATE_NO_WINDOW
_BREAKAWAY = 0x1000000  # CREATE_BREAKAWAY_FROM_JOB
_ERROR_ACCESS_DENIED = 5  # the job does not allow it
_START_SECONDS = 60
_STEP_SECONDS = 0.02


def spawn_detached(work: Work, keep: int) -> None:
    """Run the module of ``work`` in a separate process, and return when it takes over the lock of the open file ``keep``.

    :raises OSError: when the system has no room for another process, or that one does not come so far.
    """
    process = new_process([sys.executable, "-I", "-m", work.module, *work.arguments])
    deadline = time.monotonic() + _START_SECONDS
    while not windows_locks.is_passing(keep):
        status = process.poll()
        if status is not None:
            raise OSError("its process ended with status %d before it began" % status)
        if time.monotonic() > deadline:
            raise OSError("its process did not begin within %d seconds" % _START_SECONDS)
        time.sleep(_STEP_SECONDS)


def new_process(
    words: Union[List[str], str],
    stdin: Union[int, IO[bytes], None] = subprocess.DEVNULL,
    flags: int = DETACHED,
    folder: Optional[str] = None,
) -> subprocess.Popen[bytes]:
    """Start a program that inherits nothing but ``stdin``, outside of this process's job where that is allowed.

    :raises OSError:
    """
    refused: Optional[OSError] = None
    for more in (_BREAKAWAY, 0):
        try:
            return subprocess.Popen(  # pylint: disable=ansible-bad-function
                words,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                close_fds=True,
                creationflags=flags | more,
                cwd=folder,
            )
        except OSError as error:
            refused = error
            if getattr(error, "winerror", None) != _ERROR_ACCESS_DENIED:
                break
    raise refused or OSError("the system started no process")
