# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of a run: one small document, replaced when something changed and not more often than once a second."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, List, Optional

from ..amounts import size
from ..errors import AgentFileFailed, EngineError, RestoreLost, RestoreNotBegun, RunLost
from ..host.process import boot_id
from ..moments import moment
from .protocol import ENDED
from .redaction import Redactor
from .shortening import shorten_names
from .spool import RunFolder, Spool

_WRITE_SECONDS = 1.0
_LAST_WORD_SECONDS = 60.0
_MAX_WARNINGS = 100
_MAX_WARNING_CHARACTERS = 1000
_PROGRESS = ("phase", "bytes_in_use", "bytes_done", "bytes_stored", "rate_bytes_per_second", "remaining_seconds")
_WRITING = "writing"


def first_status(run: str) -> Dict[str, Any]:
    """The status of a run that waits for its secrets."""
    now = moment()
    status: Dict[str, Any] = dict.fromkeys(_PROGRESS, 0)
    status.update(number=1, run=run, state="waiting", phase="waiting", remaining_seconds=None, warnings=[])
    return dict(status, started=now, updated=now)


def _lost(folder: RunFolder, status: Dict[str, Any], is_known: bool) -> RunLost:
    """The error of a lost run. It promises that a restore wrote nothing only where that is certain: what the file says is
    late by a second, after a loss of power by more.

    :param is_known: whether the status was read; one that is damaged says nothing.
    """
    reason = _how_it_was_lost(folder)
    if not folder.run.startswith("restore-"):
        return RunLost(run=folder.run, reason=reason)
    job = folder.read("job.json") or {}
    wanted, reason = job.get("map"), reason.rstrip(".")
    targets = ", ".join(str(one) for one in wanted.values()) if isinstance(wanted, dict) else "its targets"
    if job.get("check") is True or (is_known and status.get("state") == "waiting" and _ran_until_now(folder)):
        return RestoreNotBegun(run=folder.run, reason=reason, targets=targets)
    done, total = (int(status.get(name) or 0) for name in ("bytes_done", "bytes_in_use"))
    state = "The content of %s may be written in part." % targets
    if done and _WRITING in (status.get("phase"), status.get("phase_before")):
        state = "%s of %s were written: the content of %s is incomplete." % (size(done), size(total), targets)
    return RestoreLost(run=folder.run, reason=reason, targets=targets, state=state, written_bytes=done)


def _ran_until_now(folder: RunFolder) -> bool:
    """Whether the device has not restarted since the run began: a loss of power may bring an older status back."""
    return not folder.has("runner.json") or (folder.read("runner.json") or {}).get("boot_id") == boot_id()


def current_status(spool: Spool, folder: RunFolder) -> Dict[str, Any]:
    """Return the newest status; that of a run whose process ended without a result becomes ``lost``.

    :raises RunUnknown: when it was forgotten in the meantime. :raises AgentPathUnsafe: :raises AgentFileFailed:
    """
    status = _read(folder)
    if status is not None and (status.get("state") in ENDED or spool.living() == folder.run):
        return status
    found = _read(folder)  # it may have ended since the first look
    status = dict(first_status(folder.run), **(found or {}))
    if status.get("state") in ENDED:
        return status
    error = _lost(folder, status, found is not None)
    status.update(number=status["number"] + 1, state="lost", error=error.as_dict(), updated=moment())
    with folder.unless_forgotten():
        folder.write("status.json", status, durable=True)
    return status


def _read(folder: RunFolder) -> Optional[Dict[str, Any]]:
    """The status as it is stored, or None if it is invalid: a damaged disk may hold anything in its place."""
    status = folder.read("status.json")
    if status is None or not isinstance(status.get("state"), str) or not isinstance(status.get("number"), int):
        return None
    return status


def _how_it_was_lost(folder: RunFolder) -> str:
    runner = folder.read("runner.json")
    if runner is None:
        return "its process was killed before it started"
    if runner.get("boot_id") != boot_id():
        return "the device restarted"
    return "its process was killed"


class StatusFile:
    """The runner's side. Methods may be called from any thread."""

    def __init__(self, folder: RunFolder, redact: Redactor, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._redact = redact
        self._clock = clock
        self._lock = threading.Lock()
        self._status = folder.read("status.json") or first_status(folder.run)
        self._changed = False
        self._written = clock() - _WRITE_SECONDS
        self._warnings_left_out = 0

    def snapshot(self) -> Dict[str, Any]:
        """The status as it was written last or is going to be."""
        with self._lock:
            return dict(self._status, warnings=list(self._status["warnings"]))

    def report(self, event: Dict[str, Any]) -> None:
        """Take in an event of the run; it is written when the last write is a second old."""
        with self._lock:
            if self._status["state"] in ENDED:
                return  # the result was written
            if event.get("event") == "status":
                # A phase without a measure keeps the figures of the one before.
                known = _PROGRESS if event.get("bytes_in_use") else ("phase", "remaining_seconds")
                self._status.update({name: event[name] for name in known if name in event})
                self._status["phase_before"] = event.get("phase_before") or ""
            elif event.get("event") == "warning":
                self._warn(str(event.get("message")))
            else:
                return
            self._changed = True
        self.flush()

    def _warn(self, text: str) -> None:
        warnings: List[str] = self._status["warnings"]
        if len(warnings) < _MAX_WARNINGS:
            warnings.append(self._shown(text))
            return
        self._warnings_left_out += 1
        warnings[_MAX_WARNINGS - 1] = "%d more warnings were omitted." % (self._warnings_left_out + 1)

    def _shown(self, text: str) -> str:
        return self._redact(text)[:_MAX_WARNING_CHARACTERS]

    def _presentable(self, result: Dict[str, Any]) -> Dict[str, Any]:
        """The result with warnings like those above it, and of a size that a controller takes."""
        short: Dict[str, Any] = shorten_names(result)
        warnings = [str(text) for text in result.get("warnings") or []]
        if warnings:
            short["warnings"] = [self._shown(text) for text in warnings[:_MAX_WARNINGS]]
        if len(warnings) > _MAX_WARNINGS:
            short["warnings"][-1] = "%d more warnings were omitted." % (len(warnings) - _MAX_WARNINGS + 1)
        return short

    def flush(self) -> None:
        """Write what changed if it is time. A file system without room does not end a run: it is tried again."""
        with self._lock:
            if not self._changed or self._clock() - self._written < _WRITE_SECONDS:
                return
            try:
                self._write()
            except AgentFileFailed:
                self._written = self._clock()

    def running(self) -> None:
        with self._lock:
            self._status.update(state="running", phase="preparing")
            self._write()

    def end(self, state: str, *, result: Optional[Dict[str, Any]] = None, error: Optional[EngineError] = None) -> None:
        """Write the last status, with patience: without it the run counts as lost.

        :raises AgentFileFailed: when it can't be written for a minute.
        """
        with self._lock:
            self._status.update(state=state)
            if result is not None:
                self._status["result"] = self._presentable(result)
            if error is not None:
                self._status.pop("result", None)
                self._status["error"] = {name: self._redact(text) for name, text in error.as_dict().items()}
            deadline = self._clock() + _LAST_WORD_SECONDS
            while True:
                try:
                    self._write(durable=True)
                    return
                except AgentFileFailed:
                    if self._clock() > deadline:
                        raise
                time.sleep(_WRITE_SECONDS)

    def _write(self, durable: bool = False) -> None:
        self._status.update(number=self._status["number"] + 1, updated=moment())
        self._folder.write("status.json", self._status, durable=durable)
        self._changed = False
        self._written = self._clock()
