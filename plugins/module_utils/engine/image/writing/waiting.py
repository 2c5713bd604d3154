# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a run waited for other programs: for the disk, which it left to them, and for a processor, which they had."""

from __future__ import annotations

import threading
import time
from typing import Callable, Dict, NamedTuple, Optional

from ...host.processor_wait import ProcessorWait

_LOOK_SECONDS = 2.0


class Waited(NamedTuple):
    """Seconds. ``processor`` is None where the system does not count it."""

    disk: float
    processor: Optional[float]

    def since(self, before: Waited) -> Waited:
        """Return the waits after ``before``."""
        processor = None if self.processor is None else self.processor - (before.processor or 0.0)
        return Waited(self.disk - before.disk, processor)

    @property
    def total(self) -> float:
        return self.disk + (self.processor or 0.0)

    def fields(self, most_seconds: float) -> Dict[str, Optional[float]]:
        """The fields of a result. The two kinds of waits may overlap: together they are never longer than the run.

        The kernel counts a wait when it ends, so that of a thread may be counted after that of another.
        """
        processor = None if self.processor is None else round(min(self.processor, most_seconds), 1)
        return {
            "waited_seconds": round(min(self.total, most_seconds), 1),
            "waited_disk_seconds": round(min(self.disk, most_seconds), 1),
            "waited_processor_seconds": processor,
        }


class Waiting:
    """Adds up the waits of one run. Methods may be called from any thread."""

    def __init__(
        self,
        processor: Optional[Callable[[], Optional[float]]] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._processor = processor or ProcessorWait().seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._disk = 0.0
        self._looked = clock()

    def left_disk(self, seconds: float) -> None:
        """Add a pause in which the disk was left to others, as long as it was meant to be: the rest is a wait for a processor."""
        with self._lock:
            self._disk += seconds

    def look(self) -> None:
        """Count the waits for a processor. A thread that ends takes its figures along, so it is called again and again."""
        with self._lock:
            now = self._clock()
            if now - self._looked >= _LOOK_SECONDS:
                self._looked = now
                self._processor()

    def so_far(self) -> Waited:
        with self._lock:
            return Waited(self._disk, self._processor())
