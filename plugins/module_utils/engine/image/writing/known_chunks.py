# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where chunks are stored already: a bounded table in flat arrays. A miss only costs bytes, never correctness."""

from __future__ import annotations

from array import array
from typing import Optional, Tuple

from ..format import constants as fmt
from ..format.index import Columns, heads
from ..format.pack_numbers import PackNumbers
from ..format.root_columns import Place

MAX_CHUNKS = 1 << 20  # 64 GiB of distinct chunks in about 70 MB of memory
_FIRST_SLOTS = 1 << 12


class KnownChunks:
    """Maps chunk ids to places. One thread adds; others may look up at the same time."""

    def __init__(self, limit: int = MAX_CHUNKS) -> None:
        self._limit = limit
        self._ids = bytearray()
        self._pack = array("I")
        self._offset = array("I")
        self._length = array("I")
        self._packs = PackNumbers()
        self._slots = array("I", bytes(4 * _FIRST_SLOTS))  # entry number + 1, 0 = free

    def __len__(self) -> int:
        return len(self._pack)

    @property
    def is_full(self) -> bool:
        return len(self._pack) >= self._limit

    def add_all(self, many: Columns) -> None:
        """Remember places, the first one of each chunk; when the table is full nothing is added."""
        numbers = [self._packs[pack] for pack in many.packs]
        while (len(self._pack) + len(many.ids)) * 3 > len(self._slots) * 2:
            self._grow()
        slots, ids, mask = self._slots, self._ids, len(self._slots) - 1
        rows = zip(heads(b"".join(many.ids)), many.ids, many.pack_numbers, many.offsets, many.lengths)
        for head, chunk_id, pack_number, offset, length in rows:
            slot = head & mask
            while slots[slot]:
                start = (slots[slot] - 1) * fmt.ID_BYTES
                if ids[start : start + fmt.ID_BYTES] == chunk_id:
                    break
                slot = (slot + 1) & mask
            else:
                if len(self._pack) >= self._limit:
                    return
                ids += chunk_id
                self._offset.append(offset)
                self._length.append(length)
                self._pack.append(numbers[pack_number])
                slots[slot] = len(self._pack)

    def get(self, chunk_id: bytes) -> Optional[Place]:
        dummy_slot, entry = self._look_up(chunk_id)
        if entry is None:
            return None
        length = self._length[entry]
        codec = fmt.CODEC_RAW if length >> 31 else fmt.CODEC_ZSTD
        return Place(self._packs.names[self._pack[entry]], self._offset[entry], length & 0x7FFFFFFF, codec)

    def _look_up(self, chunk_id: bytes) -> Tuple[int, Optional[int]]:
        """Return the slot where the id is, or would be, and its entry."""
        slots, ids = self._slots, self._ids
        mask = len(slots) - 1
        slot = int.from_bytes(chunk_id[:8], "big") & mask
        while slots[slot]:
            start = (slots[slot] - 1) * fmt.ID_BYTES
            if ids[start : start + fmt.ID_BYTES] == chunk_id:
                return slot, slots[slot] - 1
            slot = (slot + 1) & mask
        return slot, None

    def _grow(self) -> None:
        slots = array("I", bytes(8 * len(self._slots)))
        mask = len(slots) - 1
        for entry in range(len(self._pack)):
            start = entry * fmt.ID_BYTES
            slot = int.from_bytes(self._ids[start : start + 8], "big") & mask
            while slots[slot]:
                slot = (slot + 1) & mask
            slots[slot] = entry + 1
        self._slots = slots
