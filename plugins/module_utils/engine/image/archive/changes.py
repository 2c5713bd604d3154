# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of each disk differs between two images: chunks are compared by their ids, so that only the indexes are fetched."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from ..format import constants as fmt
from ..format.index import Segment
from ..reader import DiskReader, ImageReader


class DiskChange(NamedTuple):
    """One disk in two images; an image that lacks it has the size ``None``."""

    stable_id: str
    before: str  # "disk0", "" where it is not in the image
    after: str
    size_bytes_before: Optional[int]
    size_bytes_after: Optional[int]
    changed_bytes: Optional[int]  # None where the images have no key in common
    in_use_bytes_before: int
    in_use_bytes_after: int

    def as_dict(self) -> Dict[str, Any]:
        return dict(self._asdict())


def compare_disks(one: ImageReader, other: ImageReader) -> List[DiskChange]:
    """Compare the disks of two images, matched by what identifies them."""
    is_comparable = (one.key.key_id if one.key else "") == (other.key.key_id if other.key else "")
    before = {disk.stable_id: number for number, disk in enumerate(one.manifest.disks)}
    after = {disk.stable_id: number for number, disk in enumerate(other.manifest.disks)}
    found = []
    for stable_id in [*before, *(name for name in after if name not in before)]:
        first, second = before.get(stable_id), after.get(stable_id)
        old = one.manifest.disks[first] if first is not None else None
        new = other.manifest.disks[second] if second is not None else None
        changed: Optional[int] = None
        if first is None and new is not None:
            changed = new.in_use_bytes
        elif second is None and old is not None:
            changed = old.in_use_bytes
        elif is_comparable and first is not None and second is not None:
            changed = _changed_bytes(one.disk(first), other.disk(second))
        found.append(
            DiskChange(
                stable_id,
                old.name if old else "",
                new.name if new else "",
                old.size_bytes if old else None,
                new.size_bytes if new else None,
                changed,
                old.in_use_bytes if old else 0,
                new.in_use_bytes if new else 0,
            )
        )
    return found


def _changed_bytes(one: DiskReader, other: DiskReader) -> int:
    """Bytes of chunks that differ, in whole chunks; segments of the same id are not fetched."""
    size_bytes = max(one.size_bytes, other.size_bytes)
    count = -(-size_bytes // fmt.SEGMENT_BYTES)
    return sum(_changed_in_segment(one, other, number, size_bytes) for number in range(count))


def _changed_in_segment(one: DiskReader, other: DiskReader, number: int, size_bytes: int) -> int:
    ids = [disk.root.segments[number].segment_id if number < len(disk.root.segments) else None for disk in (one, other)]
    if ids[0] == ids[1]:
        return 0
    first, second = _segment(one, number), _segment(other, number)
    start = number * fmt.SEGMENT_BYTES
    count = min(fmt.SEGMENT_CHUNKS, -(-(size_bytes - start) // fmt.CHUNK_BYTES))
    changed = (position for position in range(count) if _id(first, position) != _id(second, position))
    return sum(min(fmt.CHUNK_BYTES, size_bytes - start - position * fmt.CHUNK_BYTES) for position in changed)


def _segment(disk: DiskReader, number: int) -> Optional[Segment]:
    """The segment, or ``None`` if it is all hole or beyond the end of the disk."""
    if number >= len(disk.root.segments) or disk.root.segments[number].place is None:
        return None
    return disk.segment(number)


def _id(segment: Optional[Segment], position: int) -> bytes:
    return segment.id_at(position) if segment is not None and position < segment.count else fmt.HOLE_ID
