# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts written data into parts; a deadline is checked between them."""

from __future__ import annotations

from typing import Iterable, Iterator, Optional

from .contract import READ_SIZE_BYTES, Deadline


def parts_of(data: Iterable[bytes], deadline: Optional[Deadline]) -> Iterator[memoryview]:
    """Yield ``data`` in parts of at most ``READ_SIZE_BYTES``, without a copy; ask ``deadline`` before each."""
    for piece in data:
        view = memoryview(piece)
        for start in range(0, len(view), READ_SIZE_BYTES):
            if deadline is not None:
                deadline()
            yield view[start : start + READ_SIZE_BYTES]
