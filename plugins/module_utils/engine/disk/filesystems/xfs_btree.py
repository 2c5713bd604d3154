# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short-format B+trees of XFS, which live inside one allocation group; the checksums of v5 metadata.

Structures: "XFS Algorithms & Data Structures", chapters "Fixed Length Record B+trees" and "Self-Describing Metadata".
"""

from __future__ import annotations

import struct
from typing import Callable, Iterator, NamedTuple, Set

from .crc32c import crc32c

_MAX_LEVELS = 12


def sum_is_right(data: bytes, place: int) -> bool:
    """Whether the little-endian CRC32c at ``place`` is that of ``data`` with zeros in its place."""
    wanted = int(struct.unpack_from("<I", data, place)[0])
    return crc32c(data[:place] + bytes(4) + data[place + 4 :]) == wanted


class BtreeKind(NamedTuple):
    """The properties in which one kind of tree differs from another; sizes in bytes."""

    magic: bytes
    record_bytes: int
    key_bytes: int


class ShortBtree:
    """One tree of one allocation group. ``read`` returns a block of the group by its number, bounds checked."""

    def __init__(
        self,
        kind: BtreeKind,
        group: int,
        group_blocks: int,
        read: Callable[[int], bytes],
        invalid: Callable[[str], Exception],
        with_crc: bool,
    ) -> None:
        self._kind, self._group, self._group_blocks = kind, group, group_blocks
        self._read, self._invalid, self._with_crc = read, invalid, with_crc
        self._header_bytes = 56 if with_crc else 16
        self.blocks: Set[int] = set()  # of the tree itself, as far as it was walked

    def records(self, root: int, levels: int) -> Iterator[bytes]:
        """Yield the records in order.

        :raises FileSystemInvalid: (what ``invalid`` makes) when the tree contradicts itself.
        """
        if not 0 < levels <= _MAX_LEVELS:
            raise self._invalid("a tree has an impossible height")
        yield from self._walk(root, levels - 1)

    def _walk(self, number: int, level: int) -> Iterator[bytes]:
        if number in self.blocks or not 0 < number < self._group_blocks:
            raise self._invalid("a tree of group %d leads outside the group" % self._group)
        self.blocks.add(number)
        data = self._read(number)
        magic, found_level, count = struct.unpack_from(">4sHH", data, 0)
        unit = self._kind.record_bytes if level == 0 else self._kind.key_bytes + 4
        most = (len(data) - self._header_bytes) // unit
        if magic != self._kind.magic or found_level != level or count > most:
            raise self._invalid("block %d of group %d is not part of its tree" % (number, self._group))
        if self._with_crc:
            owner = struct.unpack_from(">I", data, 48)[0]
            if owner != self._group or not sum_is_right(data, 52):
                raise self._invalid("the checksum of block %d of group %d is wrong" % (number, self._group))
        if level == 0:
            for place in range(self._header_bytes, self._header_bytes + count * unit, unit):
                yield data[place : place + unit]
            return
        pointers = self._header_bytes + most * self._kind.key_bytes
        for (child,) in struct.iter_unpack(">I", data[pointers : pointers + 4 * count]):
            yield from self._walk(child, level - 1)
