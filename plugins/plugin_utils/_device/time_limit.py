# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An end for what a connection plugin would wait for or keep without one: a device that hangs, stalls or floods.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, Iterator, List

from ansible.errors import AnsibleConnectionFailure

_LOOK_SECONDS = 1.0
MOST_MEBIBYTES = 256


class DeviceSilent(AnsibleConnectionFailure):  # type: ignore[misc]
    """The device keeps the connection but does not answer."""


class DeviceFloods(Exception):
    """The device's answer has no end."""


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let the block raise :class:`DeviceSilent` when it takes longer, and again should a plugin retry on its own; and
    :class:`DeviceFloods` when this process needs much more memory during the block, since plugins keep an answer as it
    comes.

    Ansible's own time limit of a task (``timeout``) uses the same timer; where a site has set one, it alone counts.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return
    deadline = time.monotonic() + seconds
    allowed_bytes = _used_bytes() + (MOST_MEBIBYTES << 20)

    def look(dummy_number: int, dummy_frame: Any) -> None:
        if time.monotonic() >= deadline:
            raise DeviceSilent("the device did not respond within %d seconds" % seconds)
        if _used_bytes() > allowed_bytes:
            raise DeviceFloods

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, min(seconds, _LOOK_SECONDS), _LOOK_SECONDS)
    try:
        yield
    except (DeviceSilent, DeviceFloods):
        signal.setitimer(signal.ITIMER_REAL, 0)
        _end_clients()
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _used_bytes() -> int:
    """The memory of this process, 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


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
