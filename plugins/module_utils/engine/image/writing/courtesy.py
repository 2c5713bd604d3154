# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``limit_read_rate: auto``: full speed on a disk that no other program uses, small and rare reads on one that others
use.

The I/O scheduler's idle class does nothing under ``none`` and little under ``mq-deadline``, the usual ones of SSDs:
asking for little protects other programs under every scheduler. See docs/performance.md for what it costs and saves.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Callable, Deque, Optional, Tuple

from ...errors import RunCancelled
from ...host.activity import DiskActivity
from ...storage.pause import pause

_FREE_PIECE_BYTES = 1 << 20
_PIECE_BYTES = 128 << 10  # others wait for one piece at most
_ROTATIONAL_PIECE_BYTES = 512 << 10  # where a seek costs more than the transfer, fewer seeks are the courtesy
_LOOK_SECONDS = 0.5
_WINDOW_SECONDS = 2.0
_BUSY_BYTES = 48_000  # in a window: a dozen small writes; a system that idles occasionally writes a few pages of log
_CALM_SECONDS = 3.0
_FREE_BYTES_PER_SECOND = 200e6
_PACE_BYTES_PER_SECOND = 8e6
_BURST_SECONDS = 0.05
_LONGEST_DEBT_SECONDS = 2.0
_SLOW = 3.0
FLOOR_BYTES_PER_SECOND = 2e6


class Courtesy:
    """Paces the reads of one disk. Not safe to use from several threads at once.

    As soon as others use the disk the rate falls to the pace; when they stopped for some seconds it doubles with every
    look until there is no limit again. So who uses the disk in bursts is harmed at the start of a burst at most.

    The floor is a promise over time. A pause ends late where others have the processors, and each piece costs a wait for
    one: at the pace of small pieces such a run crawls. As long as less than the floor was read, there is no pause, and a
    piece is as large as what is missing.
    """

    def __init__(
        self,
        activity: Optional[DiskActivity],
        *,
        floor_bytes_per_second: float = FLOOR_BYTES_PER_SECOND,
        left_disk: Callable[[float], None] = lambda dummy_seconds: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._activity = activity
        self._pace = max(_PACE_BYTES_PER_SECOND, floor_bytes_per_second)
        self._promise = _Promise(floor_bytes_per_second)
        self._left_disk = left_disk
        self._clock = clock
        self._sleep = sleep
        self._cancelled = cancelled
        self._piece = _ROTATIONAL_PIECE_BYTES if activity is not None and activity.is_rotational else _PIECE_BYTES
        self._rate = _FREE_BYTES_PER_SECOND
        self._allowed_from = self._busy_until = clock()
        self._looked = clock() - _LOOK_SECONDS  # what happened before the first read counts
        self._own = _OwnLatency()
        self._seen: Deque[Tuple[float, int]] = deque()

    @property
    def is_free(self) -> bool:
        return self._rate >= _FREE_BYTES_PER_SECOND

    def admit(self, length_bytes: int) -> int:
        """Wait until the next read is allowed; return how much of ``length_bytes`` it may take at once.

        :raises RunCancelled: when the run is cancelled during the wait.
        """
        self._look()
        if self.is_free:
            piece = min(length_bytes, _FREE_PIECE_BYTES)
        else:
            pieces = min(self._promise.missing, _FREE_PIECE_BYTES) // self._piece
            piece = min(length_bytes, max(1, pieces) * self._piece)
            self._pause(piece, is_behind=pieces > 0)
        if self._cancelled():
            raise RunCancelled()
        return piece

    def _pause(self, piece: int, *, is_behind: bool) -> None:
        now = self._clock()
        start = now if is_behind else max(self._allowed_from, now - _BURST_SECONDS)
        self._allowed_from = start + piece / self._rate
        if start > now:
            self._left_disk(start - now)
            pause(start - now, self._sleep, self._cancelled)
            self._promise.passed(self._clock() - now)

    def after_read(self, length_bytes: int, seconds: float) -> None:
        """Learn from how long the read took."""
        self._own.add(length_bytes, seconds)
        self._promise.passed(seconds)
        self._promise.read(length_bytes)

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        if self._others_are_there():
            self._rate = self._pace
            self._busy_until = now + _CALM_SECONDS
        elif now >= self._busy_until and not self.is_free:
            self._rate *= 2

    def _others_are_there(self) -> bool:
        if self._activity is None:
            return self._own.is_slow()
        self._seen.append((self._looked, self._activity.others().others_bytes))
        while self._seen[0][0] <= self._looked - _WINDOW_SECONDS:
            self._seen.popleft()
        return sum(others_bytes for dummy, others_bytes in self._seen) > _BUSY_BYTES


class _Promise:
    """The bytes that the floor promises for the time of pauses and reads, and that were not read yet.

    Bytes read beyond it are not a credit, and time without a read is not a debt.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._missing = 0.0

    @property
    def missing(self) -> int:
        return int(self._missing)

    def passed(self, seconds: float) -> None:
        """Bounded: after a read that took minutes, the disk is not read without a pause for minutes."""
        self._missing = min(self._missing + seconds * self._rate, self._rate * _LONGEST_DEBT_SECONDS)

    def read(self, size_bytes: int) -> None:
        self._missing = max(0.0, self._missing - size_bytes)


class _OwnLatency:
    """Where the system does not tell who uses the disk, our own reads do: they take longer than on a quiet disk."""

    def __init__(self) -> None:
        self._quiet: Optional[float] = None
        self._recent: Optional[float] = None

    def add(self, length_bytes: int, seconds: float) -> None:
        if length_bytes < 4096 or seconds < 0.0002:
            return  # from the cache: it says nothing of the disk
        cost = seconds / (length_bytes + _PIECE_BYTES)  # a small read costs as much as a larger one
        self._quiet = cost if self._quiet is None else min(cost, self._quiet * 1.002)
        self._recent = cost if self._recent is None else 0.7 * self._recent + 0.3 * cost

    def is_slow(self) -> bool:
        return self._quiet is not None and self._recent is not None and self._recent > _SLOW * self._quiet
