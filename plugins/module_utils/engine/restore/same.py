# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a target holds what an image holds: before a restore, which is then complete, and after it, as its proof.

No note says so, since a target is byte for byte what was imaged and has no room for one. Its chunks are read and their ids
compared with those of the image, up to the first difference: nothing but the index is fetched from the storage.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, List, Optional

from ..disk.extents import ExtentSet
from ..errors import EngineError
from ..image.format.constants import CHUNK_BYTES
from ..image.reader import DiskReader
from .target import Target

_STEP_BYTES = 1 << 20
Progress = Callable[[str, int, int], None]
Reached = Callable[[int, int], None]


def holds_already(
    reader: DiskReader, target: Target, allowed: ExtentSet, cleared: ExtentSet, progress: Progress
) -> bool:
    """Compare everything that a restore would write, zeros for what it would clear included.

    An image that can't be read tells nothing here: the restore itself says what is wrong with it.
    """
    try:
        with target.reading():
            place = first_difference(reader, target, allowed, cleared, partial(progress, "comparing"))
            return place is None
    except EngineError:
        return False


def first_difference(
    reader: DiskReader, target: Target, allowed: ExtentSet, cleared: ExtentSet, reached: Reached
) -> Optional[int]:
    """Where the target, which is open, first holds something else than the image: the start of a chunk or of a piece of a cleared
    range, in bytes; ``None`` if it holds all of it.

    :param reached: called with the bytes compared so far and their sum.
    :raises EngineError: when the index, or a chunk that has to be compared by its bytes, can't be read.
    """
    compared = reader.streamed_of(allowed)
    size_bytes = reader.size_bytes
    share = size_bytes / max(1, size_bytes + cleared.total_bytes)  # of the work; the rest is zeros
    for start, ids in reader.chunk_ids():
        reached(int(start * share), size_bytes)
        if not _has_chunks(reader, target, compared, start, ids):
            return start
    done_bytes = size_bytes
    for extent in cleared.difference(reader.streamed()) if cleared else ():
        for start in range(extent.start_bytes, extent.end_bytes, _STEP_BYTES):
            length = min(_STEP_BYTES, extent.end_bytes - start)
            reached(min(size_bytes, int(done_bytes * share)), size_bytes)
            if target.read(start, length).count(0) != length:
                return start
            done_bytes += length
    reached(size_bytes, size_bytes)
    return None


def _has_chunks(reader: DiskReader, target: Target, allowed: ExtentSet, start: int, ids: List[bytes]) -> bool:
    end = min(start + len(ids) * CHUNK_BYTES, reader.size_bytes)
    if not any(True for dummy in allowed.clipped(start, end)):
        return True
    data = target.read(start, end - start)
    # A bad sector beside a restored volume: the bytes of the volume itself decide.
    found = reader.identify(data) if len(data) == end - start else [b""] * len(ids)
    # A differing chunk may be lost in a damaged image, and only part of it may belong to a restored volume: its bytes
    # decide.
    different = [number for number, one in enumerate(ids) if not one or found[number] != one]
    places = ((start + number * CHUNK_BYTES, min(start + (number + 1) * CHUNK_BYTES, end)) for number in different)
    return all(
        target.read(part.start_bytes, part.length_bytes) == reader.read(part.start_bytes, part.length_bytes)
        for first, last in places
        for part in allowed.clipped(first, last)
    )
