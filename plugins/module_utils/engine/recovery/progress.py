# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far the program is: a bar on a terminal, a line at intervals elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import Any, Dict

from ..amounts import size
from .words import duration, option_words

_LINE_SECONDS = 15.0
_LEAST_COLUMNS = 20


class Shown:
    """Takes the engine's events."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._is_terminal = not as_json and sys.stderr.isatty()
        self._has_bar = False
        self._phase = ""
        self._last = -_LINE_SECONDS

    def __call__(self, event: Dict[str, Any]) -> None:
        kind = event.get("event")
        if self._as_json:
            sys.stderr.write(json.dumps(event, sort_keys=True) + "\n")
            sys.stderr.flush()
        elif kind == "warning":
            self.end_bar()
            sys.stderr.write("Warning: %s\n" % option_words(str(event.get("message"))))
        elif kind == "status":
            self._status(event)

    def _status(self, event: Dict[str, Any]) -> None:
        line = _line(event)
        if self._is_terminal:
            columns = max(_LEAST_COLUMNS, shutil.get_terminal_size().columns) - 1
            sys.stderr.write("\r" + _bar(event, line, columns))
            sys.stderr.flush()
            self._has_bar = True
            return
        now, phase = time.monotonic(), str(event.get("phase"))
        if phase != self._phase or now - self._last >= _LINE_SECONDS:
            self._phase, self._last = phase, now
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    def end_bar(self) -> None:
        """Continue in a new line."""
        if self._has_bar:
            sys.stderr.write("\n")
            self._has_bar = False


def _line(event: Dict[str, Any]) -> str:
    done, total = event.get("bytes_done"), event.get("bytes_in_use")
    words = str(event.get("phase") or "working")
    if not isinstance(done, int) or not isinstance(total, int) or not total:
        return words
    words += ": %s of %s (%d%%)" % (size(done), size(total), min(100, done * 100 // total))
    rate, left = event.get("rate_bytes_per_second"), event.get("remaining_seconds")
    if isinstance(rate, int) and rate:
        words += ", %s/s" % size(rate)
    if isinstance(left, int) and left and done < total:
        words += ", %s left" % duration(left)
    return words


def _bar(event: Dict[str, Any], line: str, columns: int) -> str:
    """The line behind a bar of what room it leaves, in one row of a terminal."""
    done, total = event.get("bytes_done"), event.get("bytes_in_use")
    width = min(30, columns - len(line) - 3)
    if not isinstance(done, int) or not isinstance(total, int) or not total or width < 5:
        return line[:columns].ljust(columns)
    full = min(width, done * width // total)
    return ("[%s%s] %s" % ("#" * full, "." * (width - full), line))[:columns].ljust(columns)
