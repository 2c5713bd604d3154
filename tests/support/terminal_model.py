# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal for tests: a pseudo terminal whose other end is a model that wraps, scrolls, erases, and wraps anew when resized.

It understands what the bars use and fails on anything else. Real terminals are tried in tests/integration.
"""

from __future__ import annotations

import codecs
import fcntl
import io
import os
import re
import select
import struct
import termios
from typing import List, Tuple

_SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")
_BEGUN = re.compile(r"\x1b(\[\??[0-9;]*)?\Z")


class TerminalModel:
    """Rows of text; a row that goes on in the next one is marked."""

    def __init__(self, columns: int = 60, height: int = 40) -> None:
        master, slave = os.openpty()
        self._master = master
        self.columns, self.height = columns, height
        self.stream = io.TextIOWrapper(os.fdopen(slave, "wb", buffering=0), "utf-8", write_through=True, newline="")
        self._rows: List[Tuple[str, bool]] = [("", False)]
        self._row = self._column = self._top = 0
        self._wraps = True
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end within a character
        self._rest = ""
        self.sequences: List[str] = []
        self.tell_size()

    def close(self) -> None:
        self.stream.close()
        os.close(self._master)

    def resize(self, columns: int, tells: bool = True) -> None:
        """Change the width as most terminals do: what wrapped is joined, what does not fit wraps."""
        self.take()
        at = sum(len(text) for text, dummy in self._rows[: self._row]) + self._column
        before = sum(1 for dummy, goes_on in self._rows[: self._row] if not goes_on)
        line_start = sum(len(text) for text, dummy in self._rows[: self._first_of(self._row)])
        lines = self.lines()
        self._rows = []
        for line in lines:
            pieces = [line[start : start + columns] for start in range(0, len(line), columns)] or [""]
            self._rows += [(piece, number < len(pieces) - 1) for number, piece in enumerate(pieces)]
        offset = at - line_start
        first = [number for number in range(len(self._rows)) if self._first_of(number) == number][before]
        step = min(offset // columns, len(self._pieces(first)) - 1)
        self._row, self._column = first + step, offset - step * columns
        self.columns = columns
        self._top = max(0, max(self._row, self._last_with_text()) + 1 - self.height)
        if tells:
            self.tell_size()

    def lines(self) -> List[str]:
        """Everything that was shown, scrolled away or not, as lines."""
        self.take()
        lines, line = [], ""
        for text, goes_on in self._rows:
            line += text
            if not goes_on:
                lines.append(line)
                line = ""
        return lines

    def shown(self) -> List[str]:
        """The rows on the screen."""
        self.take()
        return [text for text, dummy in self._rows[self._top :]]

    def take(self) -> None:
        """Take in what was written."""
        while select.select([self._master], [], [], 0)[0]:
            self._rest += self._decoder.decode(os.read(self._master, 1 << 16))
        text, self._rest = self._rest, ""
        position = 0
        while position < len(text):
            found = _SEQUENCE.match(text, position)
            if found:
                self._obey(*found.groups())
                position = found.end()
                continue
            if _BEGUN.match(text, position):
                self._rest = text[position:]  # the writer has not come further yet
                break
            assert text[position] in "\r\n" or text[position].isprintable(), repr(text[position : position + 20])
            self._show(text[position])
            position += 1

    def _obey(self, private: str, number: str, what: str) -> None:
        self.sequences.append(private + number + what)
        if what == "A":
            self._row = max(self._top, self._row - int(number or 1))
        elif what == "K" and number == "2":
            self._rows[self._row] = ("", False)
        elif what == "K":
            text, goes_on = self._rows[self._row]
            self._rows[self._row] = (text[: self._column], goes_on)  # that it wrapped is not forgotten, as in tmux
        elif what == "J":
            self._rows[self._row] = (self._rows[self._row][0][: self._column], False)
            self._rows[self._row + 1 :] = [("", False)] * (len(self._rows) - self._row - 1)
        elif private + number == "?7":
            self._wraps = what == "h"
        else:
            assert what == "m", "a terminal may not know %s%s%s" % (private, number, what)

    def _show(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._next_row(False)
        else:
            if self._column == self.columns:
                if self._wraps:
                    self._next_row(True)
                    self._column = 0
                else:
                    self._column -= 1
            text, goes_on = self._rows[self._row]
            text = text.ljust(self._column)
            self._rows[self._row] = (text[: self._column] + character + text[self._column + 1 :], goes_on)
            self._column += 1

    def _next_row(self, goes_on: bool) -> None:
        if goes_on:
            self._rows[self._row] = (self._rows[self._row][0], True)
        self._row += 1
        if self._row == len(self._rows):
            self._rows.append(("", False))
        self._top = max(self._top, self._row + 1 - self.height)

    def _first_of(self, row: int) -> int:
        while row and self._rows[row - 1][1]:
            row -= 1
        return row

    def _pieces(self, row: int) -> List[str]:
        pieces = [self._rows[row][0]]
        while self._rows[row][1]:
            row += 1
            pieces.append(self._rows[row][0])
        return pieces

    def _last_with_text(self) -> int:
        return max((number for number, (text, dummy) in enumerate(self._rows) if text), default=0)

    def tell_size(self) -> None:
        """Tell the programs; tmux does it a moment later."""
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", self.height, self.columns, 0, 0))
