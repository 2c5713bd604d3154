# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of all devices for the progress callback: Ansible's events give the start and the end of a task, records
its progress.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from .._units import duration, rate, size
from .records import Record

WAITING, RUNNING, DONE, FAILED, UNREACHABLE, SKIPPED = "waiting", "running", "done", "failed", "unreachable", "skipped"
_STATES = (RUNNING, WAITING, DONE, FAILED, UNREACHABLE, SKIPPED)
_Key = Tuple[str, str]


class Row(NamedTuple):
    """One device in one task."""

    device: str
    state: str
    record: Record
    error_code: str = ""

    @property
    def is_in_trouble(self) -> bool:
        return self.record.is_away or bool(self.record.warnings)


class Totals(NamedTuple):
    """All devices as one."""

    states: Dict[str, int]
    bytes_in_use: int
    bytes_done: int
    bytes_stored: int
    rate_bytes_per_second: int
    remaining_seconds: Optional[int]
    elapsed_seconds: int


class Board:
    """The devices of the imaging tasks in progress. Not safe for threads: its owner locks it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._rows: Dict[_Key, Row] = {}

    def announce(self, task: str, verb: str, devices: Iterable[str]) -> None:
        """A task begins, for these devices in this order. Those that it was announced for before stay as they are."""
        for device in devices:
            self._rows.setdefault((task, device), Row(device, WAITING, Record(task, device, verb, "")))

    def start(self, task: str, verb: str, device: str) -> None:
        """The device's task begins, perhaps again."""
        self._rows[task, device] = Row(device, RUNNING, Record(task, device, verb, ""))

    def take(self, record: Record) -> None:
        """Take in a device's progress. A record after its end, or of a device that was not started, has no effect."""
        row = self._rows.get((record.task, record.device))
        if row is not None and row.state == RUNNING:
            self._rows[record.task, record.device] = row._replace(record=record)

    def end(self, task: str, device: str, state: str, result: Dict[str, Any]) -> None:
        """The device's task has ended: its end and the figures of its result replace all reports."""
        row = self._rows.get((task, device))
        if row is None:
            return
        record = row.record._replace(is_away=False, rate_bytes_per_second=0, remaining_seconds=None)
        if state == DONE:
            in_use = _count(result.get("bytes_in_use"), record.bytes_in_use)
            stored = _count(result.get("bytes_stored"), record.bytes_stored)
            record = record._replace(bytes_in_use=in_use, bytes_done=in_use, bytes_stored=stored)
        code = result.get("error_code")
        self._rows[task, device] = row._replace(state=state, record=record, error_code=str(code) if code else "")

    def rows(self) -> List[Row]:
        return list(self._rows.values())

    def is_working(self) -> bool:
        return any(row.state == RUNNING for row in self._rows.values())

    def is_waiting(self) -> bool:
        return any(row.state == WAITING for row in self._rows.values())

    def totals(self) -> Totals:
        """Return the sums over all devices. There is no estimate while devices wait of which nothing is known."""
        rows = self._rows.values()
        records = [row.record for row in rows]
        running = [row.record for row in rows if row.state == RUNNING]
        left = [record.remaining_seconds for record in running]
        known = [seconds for seconds in left if seconds is not None]
        is_known = bool(known) and len(known) == len(left) and not self.is_waiting()
        return Totals(
            states={state: sum(row.state == state for row in rows) for state in _STATES},
            bytes_in_use=sum(record.bytes_in_use for record in records),
            bytes_done=sum(min(record.bytes_done, record.bytes_in_use) for record in records),
            bytes_stored=sum(record.bytes_stored for record in records),
            rate_bytes_per_second=sum(record.rate_bytes_per_second for record in running),
            remaining_seconds=max(known) if is_known else None,
            elapsed_seconds=int(self._clock() - self._began),
        )


def say_totals(totals: Totals) -> str:
    """Return the line below the bars."""
    parts = [say_states(totals.states)]
    if totals.bytes_in_use:
        figures = ["%s of %s" % (size(totals.bytes_done), size(totals.bytes_in_use))]
        if totals.rate_bytes_per_second:
            figures.append(rate(totals.rate_bytes_per_second))
        if totals.bytes_stored:
            figures.append("%s stored" % size(totals.bytes_stored))
        parts.append(", ".join(figures))
    times = "%s so far" % duration(totals.elapsed_seconds)
    if totals.remaining_seconds is not None:
        times += ", about %s left" % duration(totals.remaining_seconds)
    return "; ".join([*parts, times])


def say_end(totals: Totals) -> str:
    """Return the line that stays when the bars are removed."""
    parts = [say_states(totals.states, {RUNNING: "not ended", WAITING: "not begun"})]
    if totals.bytes_in_use:
        parts.append("%s in use, %s stored" % (size(totals.bytes_in_use), size(totals.bytes_stored)))
    return "; ".join([*parts, duration(totals.elapsed_seconds)])


def say_states(states: Dict[str, int], words: Optional[Dict[str, str]] = None) -> str:
    """Return how many devices are in which state: 3 running, 2 waiting, 1 failed."""
    said = ["%d %s" % (states[state], (words or {}).get(state, state)) for state in _STATES if states.get(state)]
    return ", ".join(said) or "no devices"


def _count(value: Any, otherwise: int) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
    return value if is_count else otherwise
