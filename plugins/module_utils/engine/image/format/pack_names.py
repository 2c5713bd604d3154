# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of pack names and their sizes that stay small in memory: a million names are 32 MiB instead of 200.

Up to ``MOST_PLAIN`` names Python's own sets and dicts are faster and small enough; beyond, sorted records of fixed length.
"""

from __future__ import annotations

import heapq
from itertools import chain
from typing import AbstractSet, Collection, Dict, Iterable, Iterator, List, MutableMapping, Optional

MOST_PLAIN = 1 << 16
_RUN_RECORDS = 1 << 14  # sorted as objects at a time
_SLICE_RECORDS = 1 << 8  # read ahead of each run while runs are merged
_NAME_BYTES = 32
_SIZE_BYTES = 8


class _Records:
    """Records of one length, collected in any order and then sorted by their names, each name once."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.count = 0
        self.had_twins = False
        self._fresh: List[bytes] = []
        self._runs: List[bytes] = []

    def add(self, record: bytes) -> None:
        self.count += 1
        self._fresh.append(record)
        if len(self._fresh) >= _RUN_RECORDS:
            self._flush()

    def _flush(self) -> None:
        self._fresh.sort()
        self._runs.append(b"".join(self._fresh))
        self._fresh = []

    def _run(self, number: int) -> Iterator[bytes]:
        run, step = self._runs[number], self.length * _SLICE_RECORDS
        for start in range(0, len(run), step):
            part = run[start : start + step]
            for position in range(0, len(part), self.length):
                yield part[position : position + self.length]

    def sorted(self) -> bytes:
        """All records in order; of twins the last one."""
        self._flush()
        merged, last = bytearray(), b""
        for record in heapq.merge(*(self._run(number) for number in range(len(self._runs)))):
            if record[:_NAME_BYTES] == last:
                self.had_twins = True
                del merged[-self.length :]
            merged += record
            last = record[:_NAME_BYTES]
        self._runs = []
        return bytes(merged)


def _raw(name: object) -> bytes:
    """A name as its bytes; none for what is not the name of a pack."""
    try:
        return bytes.fromhex(name) if isinstance(name, str) and len(name) == 2 * _NAME_BYTES else b""
    except ValueError:
        return b""


class PackRecords:
    """Records of one length, each of which begins with the name of a pack, in order of name."""

    def __init__(self, records: bytes, length: int) -> None:
        self._records = records
        self._length = length

    @classmethod
    def of(cls, records: Iterable[bytes], length: int) -> PackRecords:
        """Sort ``records``; of several with one name one remains."""
        collected = _Records(length)
        for record in records:
            collected.add(record)
        return cls(collected.sorted(), length)

    def __len__(self) -> int:
        return len(self._records) // self._length

    def names(self) -> Iterator[str]:
        for start in range(0, len(self._records), self._length):
            yield self._records[start : start + _NAME_BYTES].hex()

    def find(self, name: object) -> Optional[bytes]:
        """The value after a name in its record, ``None`` for a name that is not listed."""
        raw = _raw(name)
        if not raw:
            return None
        records, length = self._records, self._length
        low, high = 0, len(records) // length
        while low < high:
            middle = (low + high) // 2
            start = middle * length
            if records[start : start + _NAME_BYTES] < raw:
                low = middle + 1
            else:
                high = middle
        start = low * length
        if records[start : start + _NAME_BYTES] != raw:
            return None
        return records[start + _NAME_BYTES : start + length]


class PackNames(AbstractSet[str]):
    """Many names of packs. Operators give such a set, or a plain one where few are left."""

    def __init__(self, records: PackRecords) -> None:
        self._records = records

    @classmethod
    def _from_iterable(cls, it: Iterable[str]) -> AbstractSet[str]:
        names = NamesOfPacks()
        for name in it:
            names.add(name)
        return names.done()

    def __contains__(self, name: object) -> bool:
        return self._records.find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return self._records.names()

    def __len__(self) -> int:
        return len(self._records)


def as_set(names: Collection[str]) -> AbstractSet[str]:
    return names if isinstance(names, AbstractSet) else frozenset(names)


class NamesOfPacks:
    """Collects names of packs, 64 hex digits each."""

    def __init__(self) -> None:
        self._records = _Records(_NAME_BYTES)

    def add(self, name: str) -> None:
        self._records.add(bytes.fromhex(name))

    @property
    def count(self) -> int:
        """How many were added, twins included."""
        return self._records.count

    @property
    def had_twins(self) -> bool:
        return self._records.had_twins

    def done(self) -> AbstractSet[str]:
        names = PackNames(PackRecords(self._records.sorted(), _NAME_BYTES))
        return names if len(names) > MOST_PLAIN else frozenset(names)


class PackSizes(MutableMapping[str, int]):
    """The sizes of many packs by their names, in order of name. Changes are kept beside the sorted table."""

    def __init__(self, records: PackRecords) -> None:
        self._records = records
        self._changed: Dict[str, Optional[int]] = {}
        self._count = len(records)

    def _stored(self, name: object) -> Optional[int]:
        size = self._records.find(name)
        return None if size is None else int.from_bytes(size, "big")

    def _size(self, name: object) -> Optional[int]:
        return self._changed[name] if name in self._changed else self._stored(name)  # type: ignore[index]

    def __getitem__(self, name: str) -> int:
        size_bytes = self._size(name)
        if size_bytes is None:
            raise KeyError(name)
        return size_bytes

    def __contains__(self, name: object) -> bool:
        return self._size(name) is not None

    def __setitem__(self, name: str, size_bytes: int) -> None:
        self._count += name not in self
        self._changed[name] = size_bytes

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._count -= 1
        self._changed[name] = None

    def __iter__(self) -> Iterator[str]:
        added = [name for name in self._changed if self._stored(name) is None]
        return (name for name in chain(self._records.names(), added) if self._changed.get(name, 0) is not None)

    def __len__(self) -> int:
        return self._count


class SizesOfPacks:
    """Collects names and sizes of packs."""

    def __init__(self) -> None:
        self._records = _Records(_NAME_BYTES + _SIZE_BYTES)

    def add(self, name: str, size_bytes: int) -> None:
        self._records.add(bytes.fromhex(name) + size_bytes.to_bytes(_SIZE_BYTES, "big"))

    @property
    def count(self) -> int:
        return self._records.count

    def done(self) -> MutableMapping[str, int]:
        sizes = PackSizes(PackRecords(self._records.sorted(), _NAME_BYTES + _SIZE_BYTES))
        return sizes if len(sizes) > MOST_PLAIN else dict(sizes)
