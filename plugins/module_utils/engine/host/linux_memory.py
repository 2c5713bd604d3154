# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Little memory for this process: the device runs a plant."""

from __future__ import annotations

import ctypes
import os

_M_ARENA_MAX = -8  # malloc.h of glibc; mallopt(3)


def share_one_arena() -> bool:
    """Let all threads allocate from the same place, if the C library allows it. Call before threads start.

    Else each keeps what it once had: with some reads and writes in progress 40 MiB more, and no time is won, since Python
    lets one thread at a time allocate anyway.
    """
    if os.name == "nt":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and mallopt(_M_ARENA_MAX, 1) == 1
