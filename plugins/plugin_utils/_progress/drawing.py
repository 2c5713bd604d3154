# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the board as lines for a terminal, with rich: a row for each device that fits, the others and all of them in sums.

All text of a device or an inventory passes through ``plain`` here, and is never read as markup.

This file is PRIVATE to the collection.
"""

from __future__ import annotations

import io
from typing import List, NamedTuple, Optional, Sequence, Tuple

from .._units import duration, rate, size
from .board import DONE, FAILED, RUNNING, SKIPPED, UNREACHABLE, WAITING, Row, Totals, say_states, say_totals

try:
    from rich.cells import cell_len
    from rich.console import Console, RenderableType
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text
except ImportError:
    HAS_RICH = False
else:
    HAS_RICH = True

_STYLES = {
    RUNNING: "",
    WAITING: "dim",
    DONE: "green",
    FAILED: "bold red",
    UNREACHABLE: "bold red",
    SKIPPED: "dim",
}
# The order in which rows are shown when not all fit; inside of a kind the order of the play.
_PRECEDENCE = (RUNNING, FAILED, UNREACHABLE, WAITING, DONE, SKIPPED)
_LEAST_BAR_CELLS = 8
_MOST_BAR_CELLS = 40
_MOST_NAME_CELLS = 30
_PERCENT_CELLS, _RATE_CELLS, _LEFT_CELLS, _SIZES_CELLS = 5, 9, 9, 22


class Look(NamedTuple):
    """The capabilities of the terminal."""

    width: int
    height: int
    encoding: str
    has_colour: bool


class Line(NamedTuple):
    """A line with its escape sequences, and how many cells of the terminal it takes."""

    text: str
    cells: int


def draw(rows: Sequence[Row], totals: Totals, look: Look) -> List[Line]:
    """Return at most ``look.height`` lines, none wider than ``look.width``."""
    if look.height < 1 or look.width < 1:
        return []
    has_sums = len(rows) > 1
    space = look.height - has_sums
    shown, hidden = _choose(rows, space)
    if hidden:
        shown, hidden = _choose(rows, space - 1)
    drawn = [_cells_of(row) for row in shown]
    lines = [_print(_table(drawn, look), look)] if shown else []
    if hidden and space > len(shown):
        lines.append(_print(Text(_say_hidden(hidden), style="dim"), look))
    if has_sums:
        lines.append(_print(Text(say_totals(totals), style="bold"), look))
    return [line for part in lines for line in part][: look.height]


def plain(text: str) -> str:
    """Return the text without what would make a terminal do something."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _choose(rows: Sequence[Row], space: int) -> Tuple[List[Row], List[Row]]:
    """Return the rows that are shown and those that are not, both in the order of the play."""
    space = max(0, space)

    def importance(number: int) -> Tuple[int, bool, int]:
        row = rows[number]
        return _PRECEDENCE.index(row.state), not row.is_in_trouble, number

    chosen = set(sorted(range(len(rows)), key=importance)[:space])
    return (
        [row for number, row in enumerate(rows) if number in chosen],
        [row for number, row in enumerate(rows) if number not in chosen],
    )


def _say_hidden(rows: Sequence[Row]) -> str:
    states = {state: sum(row.state == state for row in rows) for state in _PRECEDENCE}
    percents = sorted(row.record.percent for row in rows if row.state == RUNNING and row.record.percent is not None)
    where = " (%d to %d %%)" % (percents[0], percents[-1]) if percents else ""
    return "not shown: %s%s" % (say_states(states), where)


class _Cells(NamedTuple):
    """The cells of a row, from left to right."""

    name: str
    what: str
    percent: Optional[int]
    rate: str
    left: str
    sizes: str
    style: str


def _cells_of(row: Row) -> _Cells:
    record = row.record
    is_running = row.state == RUNNING
    left, bytes_per_second = record.remaining_seconds, record.rate_bytes_per_second
    sizes = ""
    if record.bytes_in_use:
        sizes = "%s of %s" % (size(min(record.bytes_done, record.bytes_in_use)), size(record.bytes_in_use))
    is_yellow = is_running and row.is_in_trouble
    return _Cells(
        name=plain(row.device),
        what=_what(row),
        percent=record.percent if row.state not in (WAITING, SKIPPED) else None,
        rate=rate(bytes_per_second) if is_running and bytes_per_second else "",
        left=duration(left) if is_running and left else "",
        sizes=sizes,
        style="yellow" if is_yellow else _STYLES[row.state],
    )


def _what(row: Row) -> str:
    if row.state == RUNNING:
        words = "not responding" if row.record.is_away else plain(row.record.phase) or "starting"
    else:
        words = ("%s %s" % (row.state, plain(row.error_code))).strip()
    count = row.record.warnings
    return "%s, %d warning%s" % (words, count, "" if count == 1 else "s") if count else words


def _table(rows: Sequence[_Cells], look: Look) -> Table:
    """Lay the columns out by hand: proportions do not say which ones a narrow terminal drops."""
    name_cells = min(_MOST_NAME_CELLS, max(cell_len(row.name) for row in rows), max(4, look.width // 3))
    what_cells = min(max(cell_len(row.what) for row in rows), max(4, look.width // 3))
    used = name_cells + 1 + what_cells + 1 + _PERCENT_CELLS
    has_rate = look.width - used >= _RATE_CELLS + 1
    used += (_RATE_CELLS + 1) * has_rate
    has_left = look.width - used >= _LEFT_CELLS + 1
    used += (_LEFT_CELLS + 1) * has_left
    bar_cells = min(_MOST_BAR_CELLS, look.width - used - 1)
    has_bar = bar_cells >= _LEAST_BAR_CELLS
    has_sizes = look.width - used - 1 - bar_cells >= _SIZES_CELLS + 1
    table = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    widths = [
        (name_cells, True, "left"),
        (what_cells, True, "left"),
        (bar_cells, has_bar, "left"),
        (_PERCENT_CELLS, True, "right"),
        (_RATE_CELLS, has_rate, "right"),
        (_LEFT_CELLS, has_left, "right"),
        (_SIZES_CELLS, has_sizes, "right"),
    ]
    is_ascii = not look.encoding.lower().startswith("utf")
    for cells, is_there, side in widths:
        if is_there:
            overflow = "crop" if is_ascii else "ellipsis"
            table.add_column(width=cells, no_wrap=True, justify=side, overflow=overflow)  # type: ignore[arg-type]
    for row in rows:
        percent = "" if row.percent is None else "%d %%" % row.percent
        strip = ProgressBar(total=100, completed=row.percent or 0, width=max(1, bar_cells))
        fields: List[RenderableType] = [
            Text(row.name),
            Text(row.what),
            strip,
            Text(percent),
            Text(row.rate),
            Text(row.left),
            Text(row.sizes),
        ]
        there = [field for field, (dummy_cells, is_there, dummy_side) in zip(fields, widths) if is_there]
        table.add_row(*there, style=row.style)
    return table


class _Paper(io.StringIO):
    """Where rich prints to; it asks the file for its encoding to choose the characters of a bar."""

    def __init__(self, encoding: str) -> None:
        super().__init__(newline="")
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


def _print(drawing: object, look: Look) -> List[Line]:
    paper = _Paper(look.encoding)
    place = {"file": paper, "width": look.width, "height": look.height, "legacy_windows": False}
    colours = {"force_terminal": look.has_colour, "no_color": not look.has_colour}
    texts = {"markup": False, "emoji": False, "highlight": False}
    Console(**place, **colours, **texts).print(  # type: ignore[arg-type]
        drawing, no_wrap=True, overflow="crop", crop=True
    )
    lines = paper.getvalue().split("\n")[:-1]
    return [Line(line, Text.from_ansi(line).cell_len) for line in lines]
