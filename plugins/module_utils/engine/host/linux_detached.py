# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a process that outlives its starter (POSIX)."""

from __future__ import annotations

import os
import signal
from typing import Callable, List, NamedTuple


class Work(NamedTuple):
    """The work of a detached process: a call, and the same as a module with arguments for a system that can't fork."""

    call: Callable[[], None]
    module: str
    arguments: List[str]


def spawn_detached(work: Work, keep: int) -> None:
    """Call ``work`` in a process without parent, session, terminal and descriptors, which outlives its starter.

    Only the descriptor ``keep`` stays open there: a lock that its file description holds then lives as long as the new
    process. The call must not raise; nothing of the caller's stack is unwound there.

    :raises OSError: when the system has no room for another process.
    """
    child = os.fork()
    if child:
        dummy_pid, status = os.waitpid(child, 0)
        if status:
            raise OSError("the system did not start a process for it")
        return
    status = 1
    try:
        os.setsid()
        if os.fork() == 0:
            _let_go(keep)
            work.call()
        status = 0
    finally:
        os._exit(status)


def _let_go(keep: int) -> None:
    os.chdir("/")
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    for descriptor in _open_descriptors():
        if descriptor > 2 and descriptor != keep:
            try:
                os.close(descriptor)
            except OSError:
                continue  # the one that the listing itself was read through


def _open_descriptors() -> List[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return [int(name) for name in os.listdir(folder)]
        except OSError:
            continue
    return list(range(3, 1024))
