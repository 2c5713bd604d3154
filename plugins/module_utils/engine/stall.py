# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects stalled transfers, including peers that send a byte just in time to defeat a timeout."""

from __future__ import annotations

import threading
import time
from typing import Callable, TypeVar

# The slowest lines in use for images (GPRS) move ten times as much.
LEAST_BYTES_PER_SECOND = 1 << 10
# Long enough for a server that looks for something, for a cell that is changed and for an answer of a MiB at 10 kB/s.
WINDOW_SECONDS = 300.0

Answer = TypeVar("Answer")


def headway_bytes() -> float:
    """The bytes that a transfer must move in one window, and a repeated call before it counts as making progress."""
    return LEAST_BYTES_PER_SECOND * WINDOW_SECONDS


class TooSlow(Exception):
    """The other side drips. To be taken for a time-out."""


class Line:
    """The bytes that all transfers of a connection have moved together: one may have to wait for the megabytes of
    another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.moved_bytes = 0

    def moved(self, count: int) -> None:
        with self._lock:
            self.moved_bytes += count


class Pace:
    """Of one transfer. Only the time is counted that is spent in :meth:`waited`, not what the caller does in between."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._begin()

    def _begin(self) -> None:
        self._waited_seconds = 0.0
        self._before_bytes = self._line.moved_bytes

    def waited(self, call: Callable[[], Answer]) -> Answer:
        started = time.monotonic()
        answer = call()
        self._waited_seconds += time.monotonic() - started
        return answer

    def moved(self, count: int) -> None:
        """:raises TooSlow: when a window is over in which the whole line moved less than it must."""
        self._line.moved(count)
        if self._waited_seconds < WINDOW_SECONDS:
            return
        if self._line.moved_bytes - self._before_bytes < LEAST_BYTES_PER_SECOND * self._waited_seconds:
            raise TooSlow("it moved less than %d bytes a second" % LEAST_BYTES_PER_SECOND)
        self._begin()
