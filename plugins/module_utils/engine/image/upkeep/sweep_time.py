# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time that one sweep or scrub may spend on packs, so that a slow storage full of foreign files does not hold a run."""

from __future__ import annotations

import time
from typing import Callable, Optional

LONGEST_SECONDS = 300.0
_LEAST = 256  # packs that every sweep handles, however slow the storage is: else a crowd would never get smaller


class SweepTime:
    """Asked before each pack, for one kind of work (moving to the trash, deleting, or hashing)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, longest_seconds: Optional[float] = None) -> None:
        self._clock = clock
        self._end = clock() + (LONGEST_SECONDS if longest_seconds is None else longest_seconds)
        self._handled = 0

    def allows_next(self) -> bool:
        if self._handled >= _LEAST and self._clock() >= self._end:
            return False
        self._handled += 1
        return True
