# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates: a token bucket for what is sent or read, and a source whose reads are paced."""

from __future__ import annotations

import threading
import time
from typing import Callable, List, Optional, Tuple

from ...disk.source import BlockSource
from ...errors import RunCancelled
from ...storage.pause import pause
from .courtesy import Courtesy
from .waiting import Waiting

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

        :raises RunCancelled: when the run is cancelled during the wait.
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
        pause(wait_seconds, self._sleep, self._cancelled)


class PacedSource(BlockSource):
    """A source whose reads are paced: by a bucket, by courtesy, one at a time (a disk has one head)."""

    def __init__(
        self,
        source: BlockSource,
        *,
        bucket: Optional[TokenBucket] = None,
        courtesy: Optional[Courtesy] = None,
        waiting: Optional[Waiting] = None,
    ) -> None:
        self._source = source
        self._bucket = bucket
        self._courtesy = courtesy
        self._waiting = waiting
        self._lock = threading.Lock()
        self._small = False
        self.path = source.path
        self.size_bytes = source.size_bytes
        self.sector_bytes = source.sector_bytes

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        data = bytearray(length_bytes)
        self.read_into(offset_bytes, memoryview(data))
        return bytes(data)

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        if self._bucket is not None:
            self._bucket.take(len(buffer))
        if self._waiting is not None:
            self._waiting.look()
        with self._lock:
            if self._courtesy is None:
                self._source.read_into(offset_bytes, buffer)
            else:
                self._read_in_pieces(self._courtesy, offset_bytes, buffer)

    def data_ranges(self, start_bytes: int, end_bytes: int) -> List[Tuple[int, int]]:
        return self._source.data_ranges(start_bytes, end_bytes)

    def _read_in_pieces(self, courtesy: Courtesy, offset_bytes: int, buffer: memoryview) -> None:
        done = 0
        while done < len(buffer):
            piece = courtesy.admit(len(buffer) - done)
            if self._small is courtesy.is_free:
                self._small = not courtesy.is_free
                self._source.expect_small_reads(self._small)  # else the kernel reads megabytes ahead at once
            started = time.monotonic()
            self._source.read_into(offset_bytes + done, buffer[done : done + piece])
            courtesy.after_read(piece, time.monotonic() - started)
            done += piece
