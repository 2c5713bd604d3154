# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where space is inserted or removed so that a disk fills a larger target or fits a smaller one.

On a larger target the chosen partition grows by what is free, and everything behind it moves to the end. On a smaller one
free space between the last partitions goes first, then what file systems leave, of the emptiest volume first.
"""

from __future__ import annotations

from typing import List, NamedTuple, Sequence, Tuple

from ...disk.layout import DiskLayout
from ...errors import RestoreCannotShrink
from .held import Held
from .shift import UNIT_BYTES, Cut
from .volume import Volume

_RESERVE_BYTES = 8 << 20
_RESERVE_PART = 16  # of what is in use


class Room(NamedTuple):
    """The disk as it is, and where partitions must end on the target."""

    disk: str
    target: str
    layout: DiskLayout
    volumes: Sequence[Volume]
    held: Held
    ebrs: Sequence[Tuple[int, int]]  # start and length of extended boot records
    limit_bytes: int
    target_bytes: int

    @property
    def end_bytes(self) -> int:
        """The end of the last partition or held byte of the imaged disk."""
        last = max((one.start_bytes + one.length_bytes for one in self.layout.partitions), default=0)
        return max(last, self.held.end_within(last, self.layout.size_bytes))


def to_grow(room: Room, one: Volume) -> List[Cut]:
    """The one cut at the end of the volume that grows, none where there is no room."""
    is_last = room.end_bytes == one.end_bytes
    if is_last:
        by = room.limit_bytes - room.limit_bytes % UNIT_BYTES - one.end_bytes
    else:
        # Bytes in the gap behind would be covered by the grown volume if they did not move with what follows.
        by = (room.limit_bytes - _up(room.end_bytes, room.layout.sector_bytes)) // UNIT_BYTES * UNIT_BYTES
    return [Cut(one.end_bytes, by)] if by > 0 else []


def to_shrink(room: Room) -> Tuple[List[Cut], List[Tuple[Volume, int]]]:
    """The cuts, and the volumes that become smaller with the bytes that each of them gives.

    :raises RestoreCannotShrink: with the numbers, when all of it is not enough.
    """
    needed = _up(room.end_bytes, UNIT_BYTES) - room.limit_bytes // UNIT_BYTES * UNIT_BYTES
    if room.end_bytes <= room.limit_bytes:
        return [], []
    cuts: List[Cut] = []
    for end, free in _gaps(room):
        take = min(free // UNIT_BYTES * UNIT_BYTES, needed)
        if take > 0:
            cuts.append(Cut(end, -take))
            needed -= take
    given: List[Tuple[Volume, int]] = []
    said: List[str] = []
    for one, free, words in sorted(_spare(room), key=lambda spare: -spare[1]):
        take = min(free, needed)
        said.append(words)
        if take > 0:
            cuts.append(Cut(one.end_bytes, -take))
            given.append((one, take))
            needed -= take
    if needed > 0:
        raise RestoreCannotShrink(
            disk=room.disk,
            target=room.target,
            target_bytes=room.target_bytes,
            missing_bytes=needed,
            reason="; ".join(said) or "its partitions can't be shrunk",
        )
    return cuts, given


def _gaps(room: Room) -> List[Tuple[int, int]]:
    """The end and the removable bytes of each gap, the last first; what an image holds of a gap stays."""
    items = [(one.partition.start_bytes, one.end_bytes) for one in room.volumes]
    starts = sorted(start for start, dummy in items)
    for place, length in room.ebrs:
        # A record and its partition stay together.
        following = next((start for start in starts if start > place), place + length)
        items.append((place, following))
    items.sort()
    found = []
    last = max((one.start_bytes + one.length_bytes for one in room.layout.partitions), default=0)
    for (dummy, end), (start, dummy_end) in zip(items, [*items[1:], (last, last)]):
        if start > end:
            found.append((start, start - room.held.end_within(end, start)))
    return sorted(found, reverse=True)


def _spare(room: Room) -> List[Tuple[Volume, int, str]]:
    """The bytes that each volume can give, in whole units, and the words for a refusal."""
    found = []
    for one in room.volumes:
        name = "partition %d (%s)" % (one.number, one.kind or "unknown content")
        length = one.partition.length_bytes
        if not (one.is_ext or one.is_ntfs):
            found.append((one, 0, "%s of %d bytes can't be shrunk" % (name, length)))
            continue
        reason = one.why_unclean()
        used = None if reason else one.used_bytes()
        if used is None:
            found.append(
                (
                    one,
                    0,
                    "%s of %d bytes can't be shrunk (%s)"
                    % (name, length, reason or "its map of used blocks is not reliable"),
                )
            )
            continue
        least = used + used // _RESERVE_PART + _RESERVE_BYTES
        free = max(0, (length - least) // UNIT_BYTES * UNIT_BYTES)
        found.append((one, free, "%s of %d bytes has %d in use and can give %d" % (name, length, used, free)))
    return found


def _up(count: int, unit: int) -> int:
    return -(-count // unit) * unit
