# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bars on a terminal while imaging tasks run: the channel, the board and the screen brought together by one thread.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional

from .board import SKIPPED, Board, say_end
from .channel import Channel, close_channel, open_channel
from .drawing import Look, draw
from .records import Record
from .screen import Above, Screen

_FRAME_SECONDS = 0.25
_IDLE_FRAME_SECONDS = 1.0  # the time that passes is part of the picture
_JOIN_SECONDS = 5.0
_LINES_LEFT_TO_OTHERS = 4


class Settings(NamedTuple):
    """The wishes of the user and the terminal. ``lock`` is the one under which Ansible prints and forks."""

    lock: Any
    has_colour: bool
    most_lines: int
    wraps_again: bool


class Show:
    """Lives from the beginning of the first imaging task to the end of the last; the next one gets a new object.

    Its methods are called by the main process only; an error in its thread ends the bars and is passed to ``fail``.
    """

    def __init__(self, settings: Settings, fail: Callable[[Exception], None]) -> None:
        self._settings = settings
        self._fail = fail
        self._board = Board()
        self._lock = threading.Lock()
        self._stdout, self._stderr = sys.stdout, sys.stderr
        self._screen = Screen(self._stdout, settings.lock, settings.wraps_again)
        self._wake_receiving, self._wake_sending = os.pipe()
        self._is_over = False
        self._has_news = True
        self._channel: Channel = open_channel()
        self._take_over_output()
        self._thread = threading.Thread(target=self._run, name="plantops.imaging.progress", daemon=True)
        self._thread.start()

    def announce(self, task: str, verb: str, devices: Iterable[str]) -> None:
        """A task begins for these devices."""
        with self._lock:
            self._board.announce(task, verb, devices)
            self._has_news = True

    def start(self, task: str, verb: str, device: str) -> None:
        """A device's turn has come."""
        with self._lock:
            self._board.start(task, verb, device)
            self._has_news = True

    def end(self, task: str, device: str, state: str, result: Dict[str, Any]) -> None:
        """A device's task has ended."""
        with self._lock:
            self._board.end(task, device, state, result)
            self._has_news = True

    def is_working(self) -> bool:
        with self._lock:
            return self._board.is_working()

    def is_waiting(self) -> bool:
        with self._lock:
            return self._board.is_waiting()

    def close(self) -> Optional[str]:
        """Remove the bars, let all output print as before, and return the line that sums up, or ``None`` for a single
        device."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
            rows, totals = self._board.rows(), self._board.totals()
        if was_over:
            return None
        os.write(self._wake_sending, b"x")
        if threading.current_thread() is not self._thread:
            self._thread.join(_JOIN_SECONDS)
        close_channel()
        self._give_output_back()
        self._screen.close()
        if not self._thread.is_alive():
            os.close(self._wake_sending)
            os.close(self._wake_receiving)
        verbs = sorted({row.record.verb for row in rows})
        concerned = [row for row in rows if row.state != SKIPPED]
        return "%s: %s" % (", ".join(verbs), say_end(totals)) if len(concerned) > 1 else None

    def _take_over_output(self) -> None:
        sys.stdout = Above(self._stdout, self._screen)
        if _shows_on_same_terminal(self._stdout, self._stderr):
            sys.stderr = Above(self._stderr, self._screen)

    def _give_output_back(self) -> None:
        """A program that replaced the streams later stays: it holds the callback's, which then print as before."""
        if isinstance(sys.stdout, Above):
            sys.stdout = self._stdout
        if isinstance(sys.stderr, Above):
            sys.stderr = self._stderr

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:
            if not self._is_over:
                self._fail(error)

    def _follow(self) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._wake_receiving, select.POLLIN)
        next_frame = drawn_at = 0.0
        drawn_size = (0, 0)
        while not self._is_over:
            poll.poll(max(0.0, next_frame - time.monotonic()) * 1000)
            if self._is_over:
                return
            self._take(self._channel.receive())
            now = time.monotonic()
            if now < next_frame:
                continue
            next_frame = now + _FRAME_SECONDS
            size = self._screen.size()
            if self._has_news or size != drawn_size or now >= drawn_at + _IDLE_FRAME_SECONDS:
                self._has_news = False
                if not self._draw(*size):
                    self._has_news = True
                drawn_at, drawn_size = now, size

    def _take(self, records: List[Record]) -> None:
        with self._lock:
            for record in records:
                self._board.take(record)
                self._has_news = True

    def _draw(self, columns: int, rows: int) -> bool:
        height = max(1, min(self._settings.most_lines or rows, rows - _LINES_LEFT_TO_OTHERS))
        encoding = getattr(self._stdout, "encoding", None) or "utf-8"
        with self._lock:
            devices, totals = self._board.rows(), self._board.totals()
        # One cell is left free: some terminals can't distinguish a line as wide as the terminal from one that
        # continues.
        look = Look(max(1, columns - 1), height, encoding, self._settings.has_colour)
        return self._screen.draw(draw(devices, totals, look))


def _shows_on_same_terminal(stream: Any, other: Any) -> bool:
    try:
        return bool(other.isatty() and os.ttyname(stream.fileno()) == os.ttyname(other.fileno()))
    except (OSError, ValueError, AttributeError):
        return False
