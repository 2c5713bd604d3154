# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits in the field test for what Windows does a moment later."""

from __future__ import annotations

import time
from typing import Callable, Optional


def within(seconds: float, ask: Callable[[], Optional[bool]], pause_seconds: float = 0.1) -> bool:
    """Return whether the question was answered with yes in this time; it is asked at least once."""
    deadline = time.monotonic() + seconds
    while not ask():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_seconds)
    return True
