# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether anything in the internal log of an XFS volume waits to be replayed.

Structures: "XFS Algorithms & Data Structures", chapter "Journaling Log"; the search for the log's head is that of Linux
fs/xfs/xfs_log_recover.c (xlog_find_head, xlog_check_unmount_rec).
"""

from __future__ import annotations

import struct
from typing import Callable, NamedTuple, Optional

_SECTOR_BYTES = 512  # the log counts in basic blocks, whatever the disk's sectors
_MAGIC = 0xFEEDBABE
_UNMOUNT = 0x20
_VERSION_2 = 2
_CYCLE_BYTES = 32 << 10  # that the cycle table of one header block covers
_MAX_RECORD_BYTES = 256 << 10
_MAX_UNFINISHED = (8 * _MAX_RECORD_BYTES) // _SECTOR_BYTES  # eight buffers may be in flight, in any order


class _Record(NamedTuple):
    block: int
    blocks: int
    header_blocks: int
    operations: int


class Log:
    """The log as ``count`` sectors of 512 bytes; ``read(first, sectors)`` returns their bytes."""

    def __init__(self, count: int, read: Callable[[int, int], bytes]) -> None:
        self._count = count
        self._read = read

    def is_clean(self) -> bool:
        """Whether the newest record says that the volume was unmounted, and nothing was written after it.

        In doubt the answer is no: reading a volume whole is never wrong.
        """
        first, last = self._cycle(0), self._cycle(self._count - 1)
        if not first or last not in (first, first - 1):
            return False
        head = self._count if last == first else self._first_older(first)
        if not self._is_settled(head, first):
            return False
        record = self._last_record(head)
        if record is None or record.operations != 1:
            return False
        if (record.block + record.blocks) % self._count != head % self._count:
            return False
        operation = self._read((record.block + record.header_blocks) % self._count, 1)
        return bool(operation[9] & _UNMOUNT)

    def _first_older(self, newest: int) -> int:
        """The first sector of the cycle before; sectors of a cycle are written in rising order."""
        low, high = 0, self._count - 1  # low is of the newest cycle, high is not
        while high - low > 1:
            middle = (low + high) // 2
            if self._cycle(middle) == newest:
                low = middle
            else:
                high = middle
        return high

    def _is_settled(self, head: int, newest: int) -> bool:
        """No sector near the head is of another cycle than its place says: no write was torn there."""
        begin, end = max(0, head - _MAX_UNFINISHED), min(self._count, head + _MAX_UNFINISHED)
        data = self._read(begin, end - begin)
        for number in range(begin, end):
            if _cycle_of(data, (number - begin) * _SECTOR_BYTES) != (newest if number < head else newest - 1):
                return False
        return True

    def _last_record(self, head: int) -> Optional[_Record]:
        """The last record that begins before ``head``; a header is known by its magic number."""
        begin = max(0, head - _MAX_UNFINISHED)
        data = self._read(begin, head - begin)
        for number in range(head - 1, begin - 1, -1):
            place = (number - begin) * _SECTOR_BYTES
            if struct.unpack_from(">I", data, place)[0] == _MAGIC:
                return _parse(data, place, number)
        return None

    def _cycle(self, number: int) -> int:
        return _cycle_of(self._read(number, 1), 0)


def _cycle_of(data: bytes, place: int) -> int:
    first, second = struct.unpack_from(">II", data, place)
    return int(second if first == _MAGIC else first)


def _parse(data: bytes, place: int, number: int) -> Optional[_Record]:
    version, length = struct.unpack_from(">II", data, place + 8)
    operations, size = struct.unpack_from(">I", data, place + 40)[0], struct.unpack_from(">I", data, place + 320)[0]
    if length > _MAX_RECORD_BYTES or size > _MAX_RECORD_BYTES:
        return None
    header_blocks = max(1, -(-size // _CYCLE_BYTES)) if version & _VERSION_2 else 1
    return _Record(number, header_blocks + -(-length // _SECTOR_BYTES), header_blocks, operations)
