# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether anything in the internal log of an XFS volume waits to be replayed.

Structures: "XFS Algorithms & Data Structures", chapter "Journaling Log"; the search for the log's head is that of Linux
fs/xfs/xfs_log_recover.c (xlog_find_head, xlog_check_unmount_rec).
"""

from __future__ import annotations

import struct
from typing import Callable, Iterator, NamedTuple, Optional, Tuple

_SECTOR_BYTES = 512  # the log counts in basic blocks, for any size of sectors
_ZEROS = bytes(_SECTOR_BYTES)
_MAGIC = 0xFEEDBABE
_UNMOUNT = 0x20
_VERSION_2 = 2
_START, _COMMIT = 0x1, 0x2
_LITTLE_ENDIAN = 1  # what wrote the log; the items in it are in that machine's order
_TRANSACTION = b"NART"
_BUFFER_ITEM = 0x123C
_SUPERBLOCK = 0  # where the superblock lies, in basic blocks of the volume
_MAX_WAITING_RECORDS = 64
_CYCLE_BYTES = 32 << 10  # that the cycle table of one header block covers
_MAX_RECORD_BYTES = 256 << 10
_MAX_UNFINISHED = (8 * _MAX_RECORD_BYTES) // _SECTOR_BYTES  # eight buffers may be in flight, in any order


class _Record(NamedTuple):
    block: int
    blocks: int
    header_blocks: int
    operations: int
    cycle: int
    tail_cycle: int  # with ``tail_block``: everything before has reached its place on the volume
    tail_block: int


class Log:
    """The log as ``count`` sectors of 512 bytes; ``read(first, sectors)`` returns their bytes."""

    def __init__(self, count: int, read: Callable[[int, int], bytes]) -> None:
        self._count = count
        self._read = read

    def changes_nothing(self) -> bool:
        """Whether a replay would leave the volume as it is, but for the superblock's counters.

        True after an unmount, and while the volume is frozen: a freeze writes all changes to their places and then logs
        the superblock again (fs/xfs/xfs_super.c, xfs_fs_freeze). In doubt returns False: imaging the whole volume is
        never wrong.
        """
        first, last = self._cycle(0), self._cycle(self._count - 1)
        if not first or last not in (first, first - 1):
            return False
        head = self._count if last == first else self._first_older(first)
        if not self._is_settled(head, first):
            return False
        record = self._last_record(head)
        if record is None or (record.block + record.blocks) % self._count != head % self._count:
            return False
        return self._is_unmount(record) or self._only_superblock(record, head)

    def _is_unmount(self, record: _Record) -> bool:
        operation = self._read((record.block + record.header_blocks) % self._count, 1)
        return record.operations == 1 and bool(operation[9] & _UNMOUNT)

    def _only_superblock(self, newest: _Record, head: int) -> bool:
        """Look at every record from the tail to the head; one that goes round the log's end counts as doubt."""
        place, cycle = newest.tail_block, newest.tail_cycle
        for dummy in range(_MAX_WAITING_RECORDS):
            if cycle != newest.cycle or not 0 <= place <= newest.block:
                return False
            data = self._read(place, 1)
            record = _parse(data, 0, place) if struct.unpack_from(">I", data, 0)[0] == _MAGIC else None
            if record is None or record.cycle != newest.cycle or place + record.blocks > head:
                return False
            if not _touches_only_superblock(record, self._read(place, record.blocks)):
                return False
            place += record.blocks
            if place == head:
                return True
        return False

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
        """No sector near the head is of another cycle than its place says: no write was torn there.

        Behind the head there may be zeros: xfs_repair -L and xfs_admin -U write an unmount record, leave a gap, and fill the rest
        with records of the cycle before (xfsprogs, libxfs_log_clear).
        """
        begin, end = max(0, head - _MAX_UNFINISHED), min(self._count, head + _MAX_UNFINISHED)
        data = self._read(begin, end - begin)
        for number in range(begin, end):
            place = (number - begin) * _SECTOR_BYTES
            if _cycle_of(data, place) != (newest if number < head else newest - 1) and (
                number < head or data[place : place + _SECTOR_BYTES] != _ZEROS
            ):
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
    cycle = struct.unpack_from(">I", data, place + 4)[0]
    tail_cycle, tail_block = struct.unpack_from(">II", data, place + 24)
    blocks = header_blocks + -(-length // _SECTOR_BYTES)
    return _Record(number, blocks, header_blocks, operations, cycle, tail_cycle, tail_block)


def _touches_only_superblock(record: _Record, data: bytes) -> bool:
    pending = 0  # regions of the superblock's item that are still to come
    done = 0
    for flags, region in _operations(record, data):
        done += 1
        if flags & ~(_START | _COMMIT):
            return False  # cut in two, or something else altogether
        if pending:
            pending -= 1
        elif region and region[:4] != _TRANSACTION:
            if len(region) < 16:
                return False
            kind, regions, dummy_flags, dummy_length, block = struct.unpack_from("<HHHHq", region, 0)
            if kind != _BUFFER_ITEM or block != _SUPERBLOCK or not regions:
                return False
            pending = regions - 1
    return not pending and 0 < done == record.operations


def _operations(record: _Record, data: bytes) -> Iterator[Tuple[int, bytes]]:
    """Yield flags and bytes of each operation; nothing of a record that is not understood."""
    content = bytearray(data[record.header_blocks * _SECTOR_BYTES :])
    if struct.unpack_from(">I", data, 300)[0] != _LITTLE_ENDIAN or len(content) > record.header_blocks * _CYCLE_BYTES:
        return
    for number in range(len(content) // _SECTOR_BYTES):  # the cycle took the place of each sector's first bytes
        table, index = divmod(number, _CYCLE_BYTES // _SECTOR_BYTES)
        kept = (table * _SECTOR_BYTES + 4 if table else 44) + 4 * index
        content[number * _SECTOR_BYTES : number * _SECTOR_BYTES + 4] = data[kept : kept + 4]
    place = 0
    for dummy in range(record.operations):
        if place + 12 > len(content):
            return
        length, dummy_client, flags = struct.unpack_from(">IBB", content, place + 4)
        place += 12
        if place + length > len(content):
            return
        yield flags, bytes(content[place : place + length])
        place += length
