# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a target already holds what an image holds: a restore that has ended is not done, nor refused, once more.

No note says so, since a target is byte for byte what was imaged and has no room for one. Both are read and compared, up
to the first difference, which on another disk is in its first sectors.
"""

from __future__ import annotations

from typing import Callable

from ..disk.extents import ExtentSet
from ..errors import EngineError
from ..image.reader import DiskReader
from .target import Target

_STEP_BYTES = 1 << 20
_FIRST_BYTES = 4096  # of each place that is looked at before everything is
Progress = Callable[[str, int, int], None]


def holds_already(
    reader: DiskReader, target: Target, allowed: ExtentSet, cleared: ExtentSet, progress: Progress
) -> bool:
    """Compare everything that a restore would write, zeros for what it would clear included.

    An image that can't be read tells nothing here: the restore itself says what is wrong with it.
    """
    try:
        with target.reading():
            return _quickly(reader, target, allowed) and _wholly(reader, target, allowed, cleared, progress)
    except EngineError:
        return False


def _quickly(reader: DiskReader, target: Target, allowed: ExtentSet) -> bool:
    for extent in allowed:
        for start in (extent.start_bytes, max(extent.start_bytes, extent.end_bytes - _FIRST_BYTES)):
            end = min(start + _FIRST_BYTES, extent.end_bytes)
            if start < reader.size_bytes and _differs_where_held(reader, target, start, min(end, reader.size_bytes)):
                return False
    return True


def _differs_where_held(reader: DiskReader, target: Target, start: int, end: int) -> bool:
    """Whether the image holds something else there; a hole reads as zeros and says nothing."""
    data = reader.read(start, end - start)
    return any(data) and target.read(start, end - start) != data


def _wholly(reader: DiskReader, target: Target, allowed: ExtentSet, cleared: ExtentSet, progress: Progress) -> bool:
    for piece in reader.stream():
        progress("comparing", piece.offset_bytes, reader.size_bytes)
        for part in allowed.clipped(piece.offset_bytes, piece.offset_bytes + piece.length_bytes):
            start = part.start_bytes - piece.offset_bytes
            data = bytes(part.length_bytes) if piece.data is None else piece.data[start : start + part.length_bytes]
            if target.read(part.start_bytes, part.length_bytes) != data:
                return False
    for extent in cleared:
        for start in range(extent.start_bytes, extent.end_bytes, _STEP_BYTES):
            length = min(_STEP_BYTES, extent.end_bytes - start)
            inside = max(0, min(length, reader.size_bytes - start))
            expected = (reader.read(start, inside) if inside else b"").ljust(length, b"\0")
            if target.read(start, length) != expected:
                return False
    progress("comparing", reader.size_bytes, reader.size_bytes)
    return True
