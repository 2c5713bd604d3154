# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An end for what a connection plugin would wait for without one: a device whose disk hangs, or that stalls on purpose.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import Any, Iterator, List

from ansible.errors import AnsibleConnectionFailure

_AGAIN_SECONDS = 30.0


class DeviceSilent(AnsibleConnectionFailure):  # type: ignore[misc]
    """The device keeps the connection but does not answer."""


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let the block raise :class:`DeviceSilent` when it takes longer, and again should a plugin try once more by itself.

    Ansible's own time limit of a task (``timeout``) uses the same timer; where a site has set one, it alone counts.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def give_up(dummy_number: int, dummy_frame: Any) -> None:
        raise DeviceSilent("the device did not answer within %d seconds" % seconds)

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
    try:
        yield
    except DeviceSilent:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _end_clients()
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _end_clients() -> None:
    """End the ssh or sftp that still waits: a worker of Ansible has no other children while it asks a device."""
    for pid in _children():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)


def _children() -> List[int]:
    try:
        text = Path("/proc/self/task/%d/children" % os.getpid()).read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]
