# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk or file that an entry of ``imaging_drives`` chose, on every system."""

from __future__ import annotations

import re
from typing import FrozenSet, NamedTuple, Optional, Tuple

from ..host.windows_names import NameKind, kind_of_name

Span = Tuple[int, int]
_NUMBER = re.compile(r"disk(\d{1,4})")  # of a disk as Windows numbers it


class Chosen(NamedTuple):
    """A disk or image file to be opened. ``spans`` are the bytes whose volumes were chosen, from and to, or None for all."""

    path: str
    spans: Optional[FrozenSet[Span]]
    entries: Tuple[str, ...]  # of imaging_drives

    def joined(self, other: Chosen) -> Chosen:
        """Join two choices of one disk."""
        spans = None if self.spans is None or other.spans is None else self.spans | other.spans
        entries = self.entries + tuple(entry for entry in other.entries if entry not in self.entries)
        return Chosen(self.path, spans, entries)


def number_of(entry: str) -> Optional[int]:
    """The number that ``disk0`` names, None for any other entry."""
    match = _NUMBER.fullmatch(entry)
    return int(match.group(1)) if match else None


def can_move(entry: str) -> bool:
    """Whether an entry is a name or a place, which may stand for another disk after a restart; ids do not."""
    is_place_of_windows = kind_of_name(entry) is not NameKind.OTHER or number_of(entry) is not None
    return entry.startswith("/") or is_place_of_windows
