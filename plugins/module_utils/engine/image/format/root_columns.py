# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The segments and packs of a root that was read, kept as its bytes: an entry becomes objects when it is asked for."""

from __future__ import annotations

import struct
from typing import Iterator, Mapping, NamedTuple, Optional, Sequence, Union, overload

from ...errors import ImageDamaged
from . import constants as fmt
from .pack_names import MOST_PLAIN, PackRecords

PACK = struct.Struct(">32sQQ")  # name, size, bytes of it that this disk needs
SEGMENT = struct.Struct(">32sIIII")  # id, pack, offset, stored length with codec in the top bit, plain length
RAW_BIT = 1 << 31
_NAME_BYTES = 32


class Place(NamedTuple):
    """Where a blob is stored: the pack's name (hex), offset and stored length in it, and its codec."""

    pack: str
    offset: int
    stored_bytes: int
    codec: int


class SegmentReference(NamedTuple):
    """An entry of the root. A segment that is all hole has the hole id and no place."""

    segment_id: bytes
    place: Optional[Place]
    plain_bytes: int


class PackNeed(NamedTuple):
    """How much of a pack a disk's image needs."""

    size_bytes: int
    needed_bytes: int


_HOLE = SegmentReference(fmt.HOLE_ID, None, 0)  # one for all: a large disk has a million


class StoredSegments(Sequence[SegmentReference]):
    """The segments of a root in order, out of its bytes: ``segments`` entries after ``packs`` packs."""

    def __init__(self, data: bytes, packs_at: int, packs: int, segments: int, image: str) -> None:
        self._data = data
        self._packs_at = packs_at
        self._start = packs_at + packs * PACK.size
        self._count = segments
        for segment_id, pack, offset, length, plain_bytes in SEGMENT.iter_unpack(memoryview(data)[self._start :]):
            if segment_id == fmt.HOLE_ID:
                continue
            stored_bytes = length & ~RAW_BIT
            if (
                pack >= packs
                or plain_bytes > fmt.MAX_BLOB_PLAIN_BYTES
                or stored_bytes > fmt.MAX_BLOB_STORED_BYTES
                or offset + stored_bytes > fmt.MAX_PACK_BYTES
            ):
                raise ImageDamaged(image=image, reason="the root of the index has a segment out of bounds")

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> SegmentReference:
        """Make the object of one entry."""

    @overload
    def __getitem__(self, number: slice) -> Sequence[SegmentReference]:
        """Make the objects of several entries."""

    def __getitem__(self, number: Union[int, slice]) -> Union[SegmentReference, Sequence[SegmentReference]]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(self._count))]
        if not -self._count <= number < self._count:
            raise IndexError(number)
        position = self._start + number % self._count * SEGMENT.size
        segment_id, pack, offset, length, plain_bytes = SEGMENT.unpack_from(self._data, position)
        if segment_id == fmt.HOLE_ID:
            return _HOLE
        start = self._packs_at + pack * PACK.size
        name = self._data[start : start + _NAME_BYTES].hex()
        codec = fmt.CODEC_RAW if length & RAW_BIT else fmt.CODEC_ZSTD
        return SegmentReference(segment_id, Place(name, offset, length & ~RAW_BIT, codec), plain_bytes)

    def __iter__(self) -> Iterator[SegmentReference]:
        return (self[number] for number in range(self._count))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


class _ManyPacks(Mapping[str, PackNeed]):
    """How much is needed of each of very many packs, in order of name."""

    def __init__(self, records: PackRecords) -> None:
        self._records = records

    def __getitem__(self, name: str) -> PackNeed:
        rest = self._records.find(name)
        if rest is None:
            raise KeyError(name)
        return PackNeed(int.from_bytes(rest[:8], "big"), int.from_bytes(rest[8:], "big"))

    def __iter__(self) -> Iterator[str]:
        return self._records.names()

    def __len__(self) -> int:
        return len(self._records)


def packs_of(data: bytes, start: int, count: int, image: str) -> Mapping[str, PackNeed]:
    """The packs of a root: ``count`` entries from ``start``, in their order where they are not very many.

    :raises ImageDamaged: for one that is impossible or listed twice.
    """

    def entries() -> Iterator[bytes]:
        for position in range(start, start + count * PACK.size, PACK.size):
            dummy_name, pack_bytes, needed_bytes = PACK.unpack_from(data, position)
            if pack_bytes > fmt.MAX_PACK_BYTES or needed_bytes > fmt.MAX_DISK_BYTES:
                raise ImageDamaged(image=image, reason="the root of the index lists an impossible pack")
            yield data[position : position + PACK.size]

    packs: Mapping[str, PackNeed]
    if count > MOST_PLAIN:
        packs = _ManyPacks(PackRecords.of(entries(), PACK.size))
    else:
        packs = {name.hex(): PackNeed(*need) for name, *need in map(PACK.unpack, entries())}
    if len(packs) != count:
        raise ImageDamaged(image=image, reason="the root of the index lists a pack twice")
    return packs
