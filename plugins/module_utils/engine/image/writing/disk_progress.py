# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a disk is done, as a run's status reports it."""

from __future__ import annotations

from typing import Callable

from ...disk.extents import ExtentSet
from ..format import constants as fmt

_REPORT_CHUNKS = 64  # 4 MiB: a slow disk read at a limit is seen to move


class DiskProgress:
    """Counts the bytes in use up to the place that a run has reached."""

    def __init__(self, used: ExtentSet, report: Callable[[int], None]) -> None:
        """:param report: called with the sum, first with 0, whenever it has grown."""
        self._used = used
        self._report = report
        self._done_bytes = 0
        self._done_until = 0

    def begin(self) -> None:
        self._report(0)

    def segment(self, number: int) -> None:
        """The segment ``number``, and all before it, are done."""
        self._reach((number + 1) * fmt.SEGMENT_BYTES)

    def chunks(self, number: int, until: int) -> None:
        """The chunks in front of ``until`` of the segment ``number`` are done."""
        self._reach(number * fmt.SEGMENT_BYTES + until // _REPORT_CHUNKS * _REPORT_CHUNKS * fmt.CHUNK_BYTES)

    def _reach(self, end_bytes: int) -> None:
        """All bytes in front of ``end_bytes`` are done. Bytes that are read a second time, to be stored or repaired,
        count once."""
        if end_bytes <= self._done_until:
            return
        done_bytes = sum(extent.length_bytes for extent in self._used.clipped(self._done_until, end_bytes))
        self._done_until = end_bytes
        if done_bytes:
            self._done_bytes += done_bytes
            self._report(self._done_bytes)
