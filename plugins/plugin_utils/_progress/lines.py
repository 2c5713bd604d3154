# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of a run as lines for a log: one for every ten percent of a phase, with rate and estimate.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

from .._units import duration, rate, size
from .endings import WAITING

_STEP_PERCENT = 10
_MAX_PHASE_CHARACTERS = 40
_MAX_WORDS = 400


class ProgressLines:
    """Turns status events into few lines: what a log of hundreds of devices can bear."""

    def __init__(self, device: str, verb: str, show: Callable[[str], None]) -> None:
        self._device = device
        self._verb = verb
        self._show = show
        self._shown: Tuple[str, int] = ("", 0)
        self._warned = 0

    def show(self, status: Dict[str, Any]) -> None:
        """Show a line when the phase reached another ten percent."""
        done, total = int(status.get("bytes_done") or 0), int(status.get("bytes_in_use") or 0)
        phase = "".join(one for one in str(status.get("phase", ""))[:_MAX_PHASE_CHARACTERS] if one.isprintable())
        if phase.startswith(WAITING):
            self._warned = len(status.get("warnings") or [])
            if phase != self._shown[0]:
                self._shown = (phase, 0)
                self._show("%s: %s, %s%s" % (self._device, self._verb, phase, _last_word(status)))
            return
        if len(status.get("warnings") or []) > self._warned:
            self._warned = len(status["warnings"])
            self._show("%s: %s, warning%s" % (self._device, self._verb, _last_word(status)))
        if total <= 0:
            return
        step = min(100, done * 100 // total) // _STEP_PERCENT
        last_phase, last_step = self._shown
        if phase == last_phase and step <= last_step:
            return
        if step == 0:
            return
        self._shown = (phase, step)
        parts = ["%s: %s, %s %d %% of %s" % (self._device, self._verb, phase, step * _STEP_PERCENT, size(total))]
        rate_bytes = int(status.get("rate_bytes_per_second") or 0)
        if rate_bytes:
            parts.append(rate(rate_bytes))
        stored_bytes = int(status.get("bytes_stored") or 0)
        if stored_bytes:
            parts.append("%s stored" % size(stored_bytes))
        left = status.get("remaining_seconds")
        if left and step < 100 // _STEP_PERCENT:
            parts.append("about %s left" % duration(int(left)))
        self._show(", ".join(parts))


def _last_word(status: Dict[str, Any]) -> str:
    """The last warning: the reason for a wait."""
    warnings = list(status.get("warnings") or [])
    said = "".join(one for one in str(warnings[-1])[:_MAX_WORDS] if one.isprintable()) if warnings else ""
    return ": %s" % said if said else ""
