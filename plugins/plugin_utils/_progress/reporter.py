# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a task tells where its device is: to the progress callback when it draws, as lines when not.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

from typing import Any, Callable, Dict

from .channel import current_channel
from .lines import ProgressLines
from .records import Record, record_of


class ProgressReporter:
    """The progress of one device in one task."""

    def __init__(self, task: str, device: str, verb: str, show_line: Callable[[str], None]) -> None:
        self._channel = current_channel()
        self._lines = ProgressLines(device, verb, show_line)
        self._last = Record(task, device, verb, "")

    def show(self, status: Dict[str, Any]) -> None:
        """Tell the figures of a status."""
        last = self._last
        record = record_of(last.task, last.device, last.verb, status)
        if not record.bytes_in_use:  # a phase without a measure keeps the figures of the one before
            record = last._replace(
                phase=record.phase, rate_bytes_per_second=0, remaining_seconds=None, warnings=record.warnings
            )
        if not self._send(record._replace(is_away=False)):
            self._lines.show(status)

    def enter(self, phase: str) -> None:
        """Tell a phase that has no figures. Lines do without it."""
        self._send(self._last._replace(phase=phase, is_away=False))

    def connection_lost(self, is_lost: bool) -> None:
        """Tell that the device does not answer, or does again. The link says the same in a line."""
        self._send(self._last._replace(is_away=is_lost))

    def _send(self, record: Record) -> bool:
        self._last = record
        if self._channel is not None and not self._channel.send(record):
            self._channel = None
        return self._channel is not None
