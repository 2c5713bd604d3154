# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates: a token bucket for what is sent, and pacing of what is read so that the plant's own I/O stays quick."""

from __future__ import annotations

import threading
import time
from typing import Callable, Optional

from ..disk.source import BlockSource
from ..errors import RunCancelled

_LONGEST_SLEEP_SECONDS = 0.2  # cancel is looked at this often
_BURST_SECONDS = 0.1


class TokenBucket:
    """Lets ``rate_bytes_per_second`` through; 0 means no limit. A caller may go into debt and sleeps it off."""

    def __init__(
        self,
        rate_bytes_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._rate = rate_bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._cancelled = cancelled
        self._tokens = 0.0
        self._filled = clock()
        self._lock = threading.Lock()

    def take(self, size_bytes: int) -> None:
        """Wait until ``size_bytes`` may pass.

        :raises RunCancelled: when the run is cancelled meanwhile.
        """
        if self._cancelled():
            raise RunCancelled()
        if self._rate <= 0:
            return
        with self._lock:
            now = self._clock()
            self._tokens = min(self._tokens + (now - self._filled) * self._rate, self._rate * _BURST_SECONDS)
            self._filled = now
            self._tokens -= size_bytes
            wait_seconds = -self._tokens / self._rate
        while wait_seconds > 0:
            if self._cancelled():
                raise RunCancelled()
            step = min(wait_seconds, _LONGEST_SLEEP_SECONDS)
            self._sleep(step)
            wait_seconds -= step


class AdaptiveRate:
    """``auto``: rests in proportion to how far the disk's latency is above its quiet level.

    The quiet level is the lowest time per byte seen, forgotten slowly. Twice that level means that somebody else waits
    for the disk too: then we rest as long as the read took, times the excess, but never below ``floor``.
    """

    def __init__(
        self,
        *,
        floor_bytes_per_second: float = 2e6,
        sleep: Callable[[float], None] = time.sleep,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._floor = floor_bytes_per_second
        self._sleep = sleep
        self._cancelled = cancelled
        self._quiet: Optional[float] = None
        self._recent: Optional[float] = None

    def after_read(self, length_bytes: int, seconds: float) -> None:
        if self._cancelled():
            raise RunCancelled()
        if length_bytes <= 0:
            return
        cost = max(seconds, 1e-6) / length_bytes
        self._quiet = cost if self._quiet is None else min(cost, self._quiet * 1.002)
        self._recent = cost if self._recent is None else 0.7 * self._recent + 0.3 * cost
        excess = self._recent / self._quiet
        # Reads from the cache make the quiet level absurdly low; below half a millisecond nobody waits for us.
        if excess <= 2.0 or seconds < 0.0005 * max(1.0, length_bytes / (1 << 20)):
            return
        rest = min(seconds * (excess - 1.0), 4 * seconds, length_bytes / self._floor)
        while rest > 0:
            if self._cancelled():
                raise RunCancelled()
            self._sleep(min(rest, _LONGEST_SLEEP_SECONDS))
            rest -= _LONGEST_SLEEP_SECONDS


class PacedSource(BlockSource):
    """A source whose reads are paced: by a bucket, by measured latency, one at a time (a disk has one head)."""

    def __init__(
        self,
        source: BlockSource,
        *,
        bucket: Optional[TokenBucket] = None,
        adaptive: Optional[AdaptiveRate] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._bucket = bucket
        self._adaptive = adaptive
        self._clock = clock
        self._lock = threading.Lock()
        self.path = source.path
        self.size_bytes = source.size_bytes
        self.sector_bytes = source.sector_bytes
        self.read_bytes = 0

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        if self._bucket is not None:
            self._bucket.take(length_bytes)
        with self._lock:
            started = self._clock()
            data = self._source.read(offset_bytes, length_bytes)
            self.read_bytes += length_bytes
            if self._adaptive is not None:
                self._adaptive.after_read(length_bytes, self._clock() - started)
        return data
