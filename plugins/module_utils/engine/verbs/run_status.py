# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of a verb while it works: warnings and progress."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Optional

from ..image.writing.waiting import Waited, Waiting
from ..storage.notices import Notices
from .overdue import Pace, Progress, overdue

_MAX_NOTICES = 10
READING = "reading"
WORKING = "working"  # before the first phase with a measure
Report = Callable[[Dict[str, Any]], None]


class RunStatus:
    """Status events, not more often than a second, with rate and estimate."""

    def __init__(self, report: Report, cancelled: Callable[[], bool]) -> None:
        self.report = report
        self.cancelled = cancelled
        self._phase = ""
        self._phase_began = self._heard = time.monotonic()
        self._last = 0.0
        self._notices_left = _MAX_NOTICES
        self._began = self._phase_began
        self._waited_before = Waited(0.0, None)  # in the phases before this one
        self._pace: Optional[Pace] = None
        self.waiting = Waiting()
        self.late: List[str] = []  # the warning that the run will not end in time
        self.notices = Notices(self._waiting, self._going_on)

    def warn(self, sentence: str) -> None:
        self.report({"event": "warning", "message": sentence})

    def watch(self, pace: Pace) -> None:
        """Warn if the run, with these limits, will not end in time."""
        self._pace = pace

    def _waiting(self, what: str, sentence: str) -> None:
        """Report a wait and its reason. An unstable line is reported a few times only."""
        if self._notices_left:
            self._notices_left -= 1
            self.warn(sentence)
        self.report(
            {
                "event": "status",
                "phase": "waiting for %s" % what,
                "phase_before": self._phase or WORKING,
                "remaining_seconds": None,
            }
        )

    def _going_on(self) -> None:
        self.report({"event": "status", "phase": self._phase or WORKING, "remaining_seconds": None})

    def late_after(self, seconds: float) -> List[str]:
        """For the result of a run that took so long: the warning, if it came true."""
        return list(self.late) if self._pace is not None and seconds > self._pace.due_seconds else []

    def progress(self, phase: str, done: int, total: int, stored: int = 0) -> None:
        """Take in how far a phase is. Its rate is its own: reading says nothing about how fast another disk is written."""
        now = time.monotonic()
        is_new = phase != self._phase
        if is_new:
            self._phase, self._phase_began = phase, self._heard if done else now
            self._waited_before = self.waiting.so_far()
        self._heard = now
        # The first word of a phase always passes: it alone says that a run that fails at once has begun to write.
        if not is_new and now - self._last < 1.0 and done < total:
            return
        self._last = now
        elapsed = max(now - self._phase_began, 1e-3)
        rate = int(done / elapsed)
        self.report(
            {
                "event": "status",
                "phase": phase,
                "bytes_in_use": total,
                "bytes_done": done,
                "bytes_stored": stored,
                "rate_bytes_per_second": rate,
                "remaining_seconds": int((total - done) / rate) if rate and total >= done else None,
            }
        )
        if self._pace is not None and phase == READING and not self.late:
            self._look_at_the_end(self._pace, Progress(elapsed, done, total, stored))

    def _look_at_the_end(self, pace: Pace, at: Progress) -> None:
        sentence = overdue(pace, at, self.waiting.so_far().since(self._waited_before), self._phase_began - self._began)
        if sentence is not None:
            self.late.append(sentence)
            self.warn(sentence)
