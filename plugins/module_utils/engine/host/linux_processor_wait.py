# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time that this process was ready to work and other programs had the processors (Linux).

The kernel counts for each thread how long it was on a run queue (Documentation/scheduler/sched-stats.rst, the second
figure of ``/proc/<pid>/task/<tid>/schedstat``, in nanoseconds).
"""

from __future__ import annotations

import os
from typing import Dict, Optional

_MOST_THREADS = 256


class ProcessorWait:
    """Adds up the waits of this process from look to look.

    The threads of a run wait at the same time and for one another, so between two looks the longest wait of a thread counts,
    not the sum. It is the part of a run that it could have saved on a quiet machine, or less.
    """

    def __init__(self, root: str = "/") -> None:
        self._folder = os.path.join(root, "proc", "self", "task")
        self._last = self._look()
        self._waited = 0.0

    def seconds(self) -> Optional[float]:
        """Return the seconds since this object was made, or None where the kernel does not count them."""
        now = self._look()
        if not now or not self._last:
            return None
        self._waited += max(waited - self._last.get(thread, 0) for thread, waited in now.items()) / 1e9
        self._last = now
        return self._waited

    def _look(self) -> Dict[str, int]:
        found = {}
        try:
            threads = os.listdir(self._folder)[:_MOST_THREADS]
        except OSError:
            return {}
        for thread in threads:
            try:
                with open(os.path.join(self._folder, thread, "schedstat"), "rb") as file:
                    figures = file.read(200).split()
            except OSError:
                continue  # the thread has ended, or the kernel does not count
            # A kernel that was built without these figures prints zeros, also of a thread that is running just now.
            if len(figures) == 3 and figures[1].isdigit() and figures[2] != b"0":
                found[thread] = int(figures[1])
        return found
