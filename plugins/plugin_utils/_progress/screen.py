# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few lines at the bottom of a terminal that are redrawn in place, below all other output.

The cursor stays visible, no mode of the terminal outlives a write, and nothing is switched to another screen: a process
that is killed leaves a usable terminal. Other output goes through byte for byte; the lines are removed only while it is
printed.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any, Callable, List, Sequence, Tuple

from .drawing import Line

# Whole rows, one at a time: a row of which a part was erased would still count as wrapped, and be joined with the next when
# the terminal becomes wider; and tmux keeps a screen that is erased from its first cell on in the history.
_UP_AND_ERASE = "\x1b[A\x1b[2K"
_DEFAULT_SIZE = (80, 24)
_NEWS_OF_SIZE_SECONDS = 0.5  # how late a terminal may tell that it was resized; tmux takes a quarter
# A line that is too wide (a character that rich and the terminal measure differently) is cut off, not wrapped.
_WRAP_OFF, _WRAP_ON = "\x1b[?7l", "\x1b[?7h"


class Screen:
    """The lines at the bottom. ``lock`` is what everything that prints takes; it must be reentrant."""

    def __init__(
        self, stream: Any, lock: Any, wraps_again: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._descriptor = stream.fileno()
        self._lock = lock
        self._wraps_again = wraps_again
        self._clock = clock
        self._doubtful_until = 0.0
        self._seen_columns = 0
        self._seen_at = -_NEWS_OF_SIZE_SECONDS
        self._drawn_columns = 0
        self._lines: List[Line] = []
        self._on_screen: List[int] = []
        self._is_mid_line = False
        self._unwritten = b""
        self._never_waiting = _open_again(self._descriptor)

    def size(self) -> Tuple[int, int]:
        """Return columns and rows as they are now."""
        try:
            columns, rows = os.get_terminal_size(self._descriptor)
        except OSError:
            return _DEFAULT_SIZE
        columns, rows = columns or _DEFAULT_SIZE[0], rows or _DEFAULT_SIZE[1]
        if columns != self._seen_columns:
            self._seen_columns, self._seen_at = columns, self._clock()
        return columns, rows

    def draw(self, lines: Sequence[Line]) -> bool:
        """Draw, and return True; return False while other output is printed, the terminal accepts no bytes (Ctrl-S, a
        line that hangs), or it is just being made narrower.

        Never waits. The rest of a frame that the terminal does not accept at once is written before any other output.

        :raises OSError: when the terminal is closed.
        """
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._write("", waits=False)
            if self._is_mid_line or self._unwritten or self._is_being_made_narrower():
                return False
            self._lines = list(lines)
            self._redraw(waits=False)
        finally:
            self._lock.release()
        return True

    def print_above(self, stream: Any, text: str) -> int:
        """Print other output on ``stream``, which shows on this terminal."""
        with self._lock:
            self._erase()
            written = stream.write(text)
            stream.flush()
            if text:
                self._is_mid_line = not text.endswith("\n")
                self._doubt()
            if not self._is_mid_line:
                self._redraw(waits=True)
        return int(written or 0)

    def close(self) -> None:
        """Take the lines away for good."""
        with self._lock:
            self._lines = []
            self._erase()
            os.close(self._never_waiting)

    def _redraw(self, waits: bool) -> None:
        columns, rows = self.size()
        lines = self._lines[-max(1, rows - 1) :]
        drawn = "".join("%s\n" % line.text for line in lines)
        up = self._up()
        self._on_screen = []
        if up or drawn:
            self._write("%s%s%s%s" % (up, _WRAP_OFF, drawn, _WRAP_ON), waits)
        self._on_screen = [min(line.cells, columns) for line in lines]
        if columns > self._drawn_columns:
            self._doubt()
        self._drawn_columns = columns if lines else 0

    def _erase(self) -> None:
        up = self._up()
        self._on_screen = []
        self._write(up, waits=True)

    def _up(self) -> str:
        """Return what erases the lines, from below them to the first.

        Most terminals wrap what stands there already when they become narrower. tmux does so a moment before it tells,
        and lines drawn in that moment are cut off; the rows that they left above them make up for it, unless other
        output came in between or the lines before were shorter. When it is dragged to and fro, it may be wider again
        than it told. Rather than to take away what was printed, rows of the lines are left then.
        """
        columns = self.size()[0]
        is_in_doubt = columns < self._drawn_columns and (self._seen_at < self._doubtful_until or not self._is_settled())
        if is_in_doubt or not self._wraps_again:
            columns = sys.maxsize
        rows = sum(max(1, -(-cells // columns)) for cells in self._on_screen)
        return "\r" + _UP_AND_ERASE * rows if rows else ""

    def _is_being_made_narrower(self) -> bool:
        return self.size()[0] < self._drawn_columns and not self._is_settled()

    def _is_settled(self) -> bool:
        return self._clock() >= self._seen_at + _NEWS_OF_SIZE_SECONDS

    def _doubt(self) -> None:
        """The terminal may be narrower already than what is drawn now, which it cuts off. Its news are looked for with each
        frame only, hence twice the time."""
        self._doubtful_until = self._clock() + 2 * _NEWS_OF_SIZE_SECONDS

    def _write(self, text: str, waits: bool) -> None:
        data = self._unwritten + text.encode(getattr(self._stream, "encoding", None) or "utf-8", "replace")
        if waits:
            while data:
                data = data[os.write(self._descriptor, data) :]
        elif data:
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self._never_waiting, data) :]
        self._unwritten = data


def _open_again(descriptor: int) -> int:
    """Open the terminal again, so that writing does not wait: other processes share the mode of the inherited
    descriptor."""
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
    try:
        return os.open(os.ttyname(descriptor), flags)
    except OSError:  # a container may not have its name
        return os.open("/dev/fd/%d" % descriptor, flags)


class Above:
    """Stands in for ``sys.stdout`` or ``sys.stderr`` while there are lines on the screen."""

    def __init__(self, stream: Any, screen: Screen) -> None:
        self._stream = stream
        self._screen = screen
        self._process = os.getpid()

    def write(self, text: str) -> int:
        """Print above the lines. In a worker, a copy of this process, there are none and the lock may be held for ever."""
        if os.getpid() != self._process:
            return int(self._stream.write(text))
        return self._screen.print_above(self._stream, text)

    def writelines(self, texts: Sequence[str]) -> None:
        self.write("".join(texts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def wraps_again(environment: Any) -> bool:
    """Whether the terminal rewraps its lines when it becomes narrower. Where it does not, a line that was counted twice
    would erase a line of other output above it."""
    if "TMUX" in environment:
        return True
    terminal = environment.get("TERM", "")
    return not ("XTERM_VERSION" in environment or "STY" in environment or terminal in ("linux", "vt100", "screen"))
