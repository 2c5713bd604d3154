# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of a disk: a root that lists segments, and segments that list chunks, each with where it is stored.

A segment stands for 4096 chunks (256 MiB of disk). Its id is made of its chunk ids alone; where the chunks are stored
are hints beside them, so that an unchanged segment is shared between images and a moved chunk changes no id.
"""

from __future__ import annotations

import struct
import sys
from array import array
from operator import add
from typing import Collection, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Set, Tuple

from ...errors import ImageDamaged
from . import constants as fmt
from .pack_numbers import PackNumbers
from .root_columns import PACK, RAW_BIT, SEGMENT, PackNeed, Place, SegmentReference, StoredSegments, packs_of

_SEGMENT_HEAD = struct.Struct(">8sII")  # magic, chunks, packs
_ROOT_HEAD = struct.Struct(
    ">8sHQIIIII"
)  # magic, version, disk bytes, sector, chunk bytes, segment chunks, packs, segments
_PLACELESS = frozenset([fmt.HOLE_ID, fmt.ZERO_ID])
_PLACELESS_HEADS = frozenset([0, (1 << 64) - 1])


class Columns(NamedTuple):
    """Many ids and their places, as a segment keeps them: ``pack_numbers`` count in ``packs``, ``lengths`` hold the codec, too."""

    ids: List[bytes]
    packs: List[str]
    pack_numbers: List[int]
    offsets: List[int]
    lengths: List[int]


def length_with_codec(stored_bytes: int, codec: int) -> int:
    """A stored length as segments keep it: the top bit tells raw bytes from compressed ones."""
    return stored_bytes | (RAW_BIT if codec == fmt.CODEC_RAW else 0)


def heads(ids: bytes) -> Tuple[int, ...]:
    """The first eight bytes of each of many joined ids, as numbers."""
    return struct.unpack(">" + "Q24x" * (len(ids) // fmt.ID_BYTES), ids)


class Segment:
    """The chunks of 256 MiB of disk: ids in order, and a place for each id that is neither hole nor zero."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.ids = bytearray(fmt.HOLE_ID * count)
        self._packs = PackNumbers()
        self._pack = array("I", bytes(4 * count))
        self._offset = array("I", bytes(4 * count))
        self._length = array("I", bytes(4 * count))

    def id_at(self, position: int) -> bytes:
        start = position * fmt.ID_BYTES
        return bytes(self.ids[start : start + fmt.ID_BYTES])

    def set_ids(self, first: int, chunk_ids: bytes) -> None:
        """Set the ids of successive chunks, joined; of one chunk as well."""
        start = first * fmt.ID_BYTES
        if start + len(chunk_ids) > len(self.ids):
            raise AssertionError("a segment has no more chunks than at its beginning")
        self.ids[start : start + len(chunk_ids)] = chunk_ids

    def set_place(self, position: int, place: Place) -> None:
        self._pack[position] = self._packs[place.pack]
        self._offset[position] = place.offset
        self._length[position] = length_with_codec(place.stored_bytes, place.codec)

    def place_at(self, position: int) -> Place:
        length = self._length[position]
        codec = fmt.CODEC_RAW if length & RAW_BIT else fmt.CODEC_ZSTD
        return Place(self._packs.names[self._pack[position]], self._offset[position], length & ~RAW_BIT, codec)

    def stored_positions(self) -> List[int]:
        """The positions of the chunks that are stored (neither hole nor zero)."""
        ids, length = bytes(self.ids), fmt.ID_BYTES
        return [
            position
            for position, head in enumerate(heads(ids))
            if head not in _PLACELESS_HEADS or ids[position * length : position * length + length] not in _PLACELESS
        ]

    def stored(self) -> Iterator[Tuple[int, bytes, Place]]:
        """Yield ``(position, id, place)`` of every chunk that is stored."""
        for position in self.stored_positions():
            yield position, self.id_at(position), self.place_at(position)

    def stored_in(self, packs: Set[str]) -> Columns:
        """Ids and places of the chunks that are stored in one of ``packs``."""
        wanted = {number for number, name in enumerate(self._packs.names) if name in packs}
        positions = [position for position in self.stored_positions() if self._pack[position] in wanted]
        ids, length = bytes(self.ids), fmt.ID_BYTES
        return Columns(
            [ids[position * length : position * length + length] for position in positions],
            self._packs.names,
            [self._pack[position] for position in positions],
            [self._offset[position] for position in positions],
            [self._length[position] for position in positions],
        )

    def take_places(self, old: Segment, usable: Set[str], shift: int = 0, without: Collection[int] = ()) -> Set[str]:
        """Take the places of those chunks that ``old`` holds in a usable pack, ``shift`` chunks further to the front.

        Return the packs that hold these chunks.

        :param without: positions that stay unchanged.
        """
        numbers = {number: self._packs[name] for number, name in enumerate(old._packs.names) if name in usable}
        taken: Set[int] = set()
        for position in self._alike(old, numbers, shift):
            if position not in without:
                before = position - shift
                taken.add(old._pack[before])
                self._pack[position] = numbers[old._pack[before]]
                self._offset[position] = old._offset[before]
                self._length[position] = old._length[before]
        return {old._packs.names[number] for number in taken}

    def held_in(self, old: Segment, packs: Set[str], shift: int = 0) -> Set[int]:
        """The positions without a place of chunks that ``old`` holds in one of ``packs``, ``shift`` chunks further to the front."""
        numbers = {number for number, name in enumerate(old._packs.names) if name in packs}
        return set(self._alike(old, numbers, shift)) if numbers else set()

    def _alike(self, old: Segment, numbers: Collection[int], shift: int) -> Iterator[int]:
        """Positions without a place whose chunk ``old`` has too, in one of its packs ``numbers``."""
        ids, old_ids = bytes(self.ids), bytes(old.ids)
        for position in self.without_place():
            before = position - shift
            if not 0 <= before < old.count or old._pack[before] not in numbers:
                continue
            start, old_start = position * fmt.ID_BYTES, before * fmt.ID_BYTES
            if ids[start : start + fmt.ID_BYTES] == old_ids[old_start : old_start + fmt.ID_BYTES]:
                yield position

    def without_place(self) -> List[int]:
        """The positions of the chunks that are to be stored and have no place yet."""
        return [position for position in self.stored_positions() if not self._length[position]]

    def packs_named(self) -> Set[str]:
        """The packs that hold its chunks."""
        return {self._packs.names[number] for number in {self._pack[position] for position in self.stored_positions()}}

    def stored_bytes_by_pack(self, more_bytes: int) -> Dict[str, int]:
        """How much of each pack its chunks need, each place once, with ``more_bytes`` for each."""
        positions = self.stored_positions()
        places = {(self._pack[n], self._offset[n], self._length[n]) for n in positions}
        result: Dict[str, int] = {}
        for number, dummy_offset, length in places:
            name = self._packs.names[number]
            result[name] = result.get(name, 0) + (length & ~RAW_BIT) + more_bytes
        return result

    def has_pack(self, name: str) -> bool:
        return name in self._packs

    def rename_pack(self, old: str, new: str) -> None:
        """Let every place in the pack ``old`` be one in ``new``."""
        self._packs.rename(old, new)

    def encode(self) -> bytes:
        used, known = self.packs_named(), self._packs.names
        names = [name for name in known if name in used]
        numbers = {name: number for number, name in enumerate(names)}
        packs = array("I", [numbers.get(known[n], 0) if known else 0 for n in self._pack])
        head = _SEGMENT_HEAD.pack(fmt.SEGMENT_MAGIC, self.count, len(names))
        columns = b"".join(_big_endian(column) for column in (packs, self._offset, self._length))
        return head + b"".join(bytes.fromhex(name) for name in names) + bytes(self.ids) + columns

    @classmethod
    def decode(cls, data: bytes, image: str) -> Segment:
        """:raises ImageDamaged: when the bytes are not a segment of this format."""

        def damaged(reason: str) -> ImageDamaged:
            return ImageDamaged(image=image, reason="a segment of the index %s" % reason)

        if len(data) < _SEGMENT_HEAD.size:
            raise damaged("is too short")
        magic, count, pack_count = _SEGMENT_HEAD.unpack_from(data)
        if magic != fmt.SEGMENT_MAGIC or not 0 < count <= fmt.SEGMENT_CHUNKS or pack_count > count:
            raise damaged("has a malformed header")
        position = _SEGMENT_HEAD.size
        if len(data) != position + pack_count * fmt.ID_BYTES + count * (fmt.ID_BYTES + 12):
            raise damaged("has an impossible length")
        segment = cls(count)
        for dummy in range(pack_count):
            segment._packs.append(data[position : position + fmt.ID_BYTES].hex())
            position += fmt.ID_BYTES
        segment.ids = bytearray(data[position : position + count * fmt.ID_BYTES])
        position += count * fmt.ID_BYTES
        segment._pack, segment._offset, segment._length = (
            _from_big_endian(data[position + 4 * count * column : position + 4 * count * (column + 1)])
            for column in range(3)
        )
        if pack_count and max(segment._pack) >= pack_count:
            raise damaged("refers to a pack that it does not list")
        if not pack_count and segment.stored_positions():
            raise damaged("does not refer to a pack")
        if not segment._places_in_bounds():
            raise damaged("has a position out of bounds")
        return segment

    def _places_in_bounds(self) -> bool:
        lengths = [length & ~RAW_BIT for length in self._length]
        ends = map(add, self._offset, lengths)
        return max(lengths) <= fmt.CHUNK_BYTES + fmt.TAG_BYTES and max(ends) <= fmt.MAX_PACK_BYTES


class Root:
    """The root of a disk's index: geometry, segments in order, and the packs that are needed with how much of each."""

    def __init__(self, size_bytes: int, sector_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.sector_bytes = sector_bytes
        self.segments: Sequence[SegmentReference] = []
        self.packs: Mapping[str, PackNeed] = {}

    @property
    def segment_count(self) -> int:
        return -(-self.size_bytes // fmt.SEGMENT_BYTES)

    def chunks_of(self, number: int) -> int:
        """How many chunks the segment ``number`` has (the last one may be short)."""
        left = self.size_bytes - number * fmt.SEGMENT_BYTES
        return min(fmt.SEGMENT_CHUNKS, -(-left // fmt.CHUNK_BYTES))

    def encode(self) -> bytes:
        numbers = {name: number for number, name in enumerate(self.packs)}
        parts = [
            _ROOT_HEAD.pack(
                fmt.ROOT_MAGIC,
                fmt.FORMAT_VERSION,
                self.size_bytes,
                self.sector_bytes,
                fmt.CHUNK_BYTES,
                fmt.SEGMENT_CHUNKS,
                len(self.packs),
                len(self.segments),
            )
        ]
        parts += [PACK.pack(bytes.fromhex(name), *need) for name, need in self.packs.items()]
        for segment_id, place, plain_bytes in self.segments:
            if place is None:
                parts.append(SEGMENT.pack(segment_id, 0, 0, 0, 0))
            else:
                length = place.stored_bytes | (RAW_BIT if place.codec == fmt.CODEC_RAW else 0)
                parts.append(SEGMENT.pack(segment_id, numbers[place.pack], place.offset, length, plain_bytes))
        return b"".join(parts)

    @staticmethod
    def most_bytes(segments: int, packs: int) -> int:
        """How long an encoded root with so many segments and packs is."""
        return _ROOT_HEAD.size + segments * SEGMENT.size + packs * PACK.size

    @classmethod
    def decode(cls, data: bytes, image: str, *, partial: bool = False) -> Root:
        """Parse a root; ``partial`` accepts a checkpoint, which may list fewer segments than the disk has.

        :raises ImageDamaged: when the bytes are not a root of this format.
        """

        def damaged(reason: str) -> ImageDamaged:
            return ImageDamaged(image=image, reason="the root of the index %s" % reason)

        if len(data) < _ROOT_HEAD.size:
            raise damaged("is too short")
        head = _ROOT_HEAD.unpack_from(data)
        magic, version, size_bytes, sector_bytes, chunk_bytes, segment_chunks, pack_count, segment_count = head
        if magic != fmt.ROOT_MAGIC or version not in fmt.READABLE_VERSIONS:
            raise damaged("has a different format")
        if (chunk_bytes, segment_chunks) != (fmt.CHUNK_BYTES, fmt.SEGMENT_CHUNKS):
            raise damaged("has a different chunk size")
        if size_bytes > fmt.MAX_DISK_BYTES or sector_bytes not in (512, 1024, 2048, 4096):
            raise damaged("has an impossible geometry")
        if pack_count > fmt.MAX_PACKS:
            raise damaged("lists too many packs")
        root = cls(size_bytes, sector_bytes)
        if segment_count > root.segment_count or (not partial and segment_count != root.segment_count):
            raise damaged("does not have as many segments as the disk")
        if len(data) != _ROOT_HEAD.size + pack_count * PACK.size + segment_count * SEGMENT.size:
            raise damaged("has an impossible length")
        root.packs = packs_of(data, _ROOT_HEAD.size, pack_count, image)
        root.segments = StoredSegments(data, _ROOT_HEAD.size, pack_count, segment_count, image)
        return root


def most_root_bytes(disk_bytes: int) -> int:
    """How large the root of a disk of this size can be: for what was not authenticated before it is read."""
    packs = min(fmt.MAX_PACKS, 4096 + 2 * disk_bytes // fmt.PACK_TARGETS[0][1])
    segments = -(-disk_bytes // fmt.SEGMENT_BYTES)
    plain_bytes = _ROOT_HEAD.size + packs * PACK.size + segments * SEGMENT.size
    return min(fmt.MAX_SEALED_PLAIN_BYTES, plain_bytes + (4 << 10))


def _big_endian(column: array[int]) -> bytes:
    if sys.byteorder == "little":
        column = array("I", column)
        column.byteswap()
    return column.tobytes()


def _from_big_endian(data: bytes) -> array[int]:
    column = array("I")
    column.frombytes(data)
    if sys.byteorder == "little":
        column.byteswap()
    return column
