# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the memory of this process small, since the device runs a plant, and closed to others (Linux)."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8  # malloc.h of glibc; mallopt(3)
_PR_SET_DUMPABLE = 4  # linux/prctl.h


def share_one_arena() -> bool:
    """Let all threads allocate from the same place, if the C library allows it. Call before threads start.

    Else each keeps what it once had: with some reads and writes in progress 40 MiB more, and no time is won, since Python
    lets one thread at a time allocate anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and mallopt(_M_ARENA_MAX, 1) == 1


def close_memory() -> None:
    """Let no core dump and no other process of the same user read this process's memory [prctl(2), ptrace(2)].

    Locking it into RAM would take the memory of a small device from the plant, and fails for ordinary users once
    memory grows: swap is left to the device, as docs/security.md says.
    """
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
