# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports the waits of a run: for an unreachable storage, or for another run's lease.

Each wait of more than ten seconds is reported; shorter ones are not.
"""

from __future__ import annotations

import threading
from typing import Callable, NamedTuple, Optional

# A notice may be delayed this long by a first try without an answer, or by the pauses between tries.
SILENT_SECONDS = 3.0
_SILENT_CONNECT_SECONDS = 6.0


class Notices(NamedTuple):
    """``waiting`` receives the object, and a sentence with reason and time limit; ``going_on`` reports the end of a wait."""

    waiting: Callable[[str, str], None] = lambda what, sentence: None
    going_on: Callable[[], None] = lambda: None


NO_NOTICES = Notices()


class Outage:
    """One wait after the other, each told once. Methods may be called from any thread."""

    def __init__(self, notices: Notices, what: str) -> None:
        self._notices = notices
        self._what = what
        self._lock = threading.Lock()
        self._is_told = False
        self._timer: Optional[threading.Timer] = None

    def expect_answer(self, sentence: str) -> None:
        """Tell ``sentence`` unless :meth:`over` comes soon: connecting to an address where nothing answers takes long."""
        with self._lock:
            if self._timer is None and not self._is_told:
                self._timer = threading.Timer(_SILENT_CONNECT_SECONDS, self.tell, (sentence,))
                self._timer.daemon = True
                self._timer.start()

    def tell(self, sentence: str) -> None:
        """Tell that something is waited for, once until it is over."""
        with self._lock:
            if self._is_told:
                return
            self._is_told = True
        self._notices.waiting(self._what, sentence)

    def over(self) -> None:
        """There was an answer: after a reported wait, report that the run continues."""
        if self._drop():
            self._notices.going_on()

    def give_up(self) -> None:
        """The wait has ended; a failure is reported by its error."""
        self._drop()

    def _drop(self) -> bool:
        if self._timer is None and not self._is_told:
            return False
        with self._lock:
            timer, self._timer = self._timer, None
            was_told, self._is_told = self._is_told, False
        if timer is not None:
            timer.cancel()
        return was_told
