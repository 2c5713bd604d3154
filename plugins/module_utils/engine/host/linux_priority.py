# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lowest CPU and I/O priority for this process, since the device runs a plant (Linux)."""

from __future__ import annotations

import ctypes
import os
import platform
from typing import List

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "i686": 289, "i386": 289, "armv7l": 314}
_IOPRIO_IDLE = 3 << 13  # linux/ioprio.h: class idle


def lower_priority() -> List[str]:
    """Lower it as far as the system lets us; return what took effect. Call before threads start."""
    done = []
    os.nice(19)
    done.append("nice 19")
    if _lower_group():
        done.append("autogroup 19")
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None and ctypes.CDLL(None).syscall(number, 1, 0, _IOPRIO_IDLE) == 0:
        done.append("I/O class idle")
    if _written("/proc/self/oom_score_adj", "1000"):
        done.append("first to go when memory is short")
    return done


def _lower_group() -> bool:
    """Where the kernel groups processes by session, nice counts inside a session only; the group has its own (sched(7)).

    Only in our own session: the starter of the engine must not be slowed down.
    """
    return os.getsid(0) == os.getpid() and _written("/proc/self/autogroup", "19")


def _written(path: str, text: str) -> bool:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    except OSError:
        return False
    return True
