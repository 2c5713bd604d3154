# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk or file that an entry of ``imaging_drives`` chose, on every system."""

from __future__ import annotations

from typing import FrozenSet, NamedTuple, Optional, Tuple

Span = Tuple[int, int]


class Chosen(NamedTuple):
    """A disk or image file to be opened. ``spans`` are the bytes whose volumes were chosen, from and to, or None for all."""

    path: str
    spans: Optional[FrozenSet[Span]]
    entries: Tuple[str, ...]  # of imaging_drives
