# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS: the master file table, found through its own first record; attributes of files, gathered from all records that
hold them."""

from __future__ import annotations

import struct
from typing import Dict, Iterator, List, Sequence, Tuple

from ...errors import FileSystemInvalid
from ..extents import ExtentSet
from ..source import BlockSource
from .contract import reading_budget
from .ntfs_attributes import (
    ATTRIBUTE_LIST,
    DATA,
    IN_USE,
    REFERENCE_MASK,
    Attribute,
    Malformed,
    Record,
    Run,
    RunList,
    parse_record,
)

MFT, _BAD_CLUSTERS = 0, 8
SYSTEM_RECORDS = 24  # the file system's own files; user files begin here
_MAX_LIST_BYTES = 256 << 10
_MAX_FILE_RUNS = 1 << 20
_PIECE_BYTES = 4 << 20
_CACHE_BYTES = 64 << 10


class Geometry:
    """The content of the boot sector."""

    def __init__(self, cluster_bytes: int, cluster_count: int, record_bytes: int, mft_lcn: int) -> None:
        self.cluster_bytes = cluster_bytes
        self.cluster_count = cluster_count
        self.record_bytes = record_bytes
        self.mft_lcn = mft_lcn


class FileTable:
    """The master file table of a volume. Reads are counted against a budget, so that references in a circle end."""

    def __init__(self, source: BlockSource, geometry: Geometry) -> None:
        self._source = source
        self.geometry = geometry
        self._budget_bytes = reading_budget(source.size_bytes)
        self._cache_start, self._cache = -1, b""
        self._size_bytes = 0
        first = max(1, -(-16 * geometry.record_bytes // geometry.cluster_bytes))
        self._runs = RunList([Run(0, geometry.mft_lcn, min(first, geometry.cluster_count - geometry.mft_lcn))])
        # Until all of the table's own records are found, only those at its known beginning can be read.
        self._loading = True
        data = self.joined(self._attributes_of_table(), DATA, "the master file table")
        if any(run.lcn is None for run in data.runs) or not data.is_plain:
            raise self.invalid("its master file table has holes")
        self._runs = RunList(data.runs)
        self._cache_start = -1
        self._size_bytes = min(data.size_bytes, data.initialized_bytes)
        self._loading = False

    @property
    def record_count(self) -> int:
        return self._size_bytes // self.geometry.record_bytes

    # -- records ------------------------------------------------------------------------------------------------------

    def record(self, number: int) -> Record:
        """Return a parsed record.

        :raises FileSystemInvalid: when it is damaged or outside the table.
        """
        if not self._loading and number >= self.record_count:
            raise self.invalid("its master file table has no record %d" % number)
        try:
            return parse_record(self._record_bytes(number), self.geometry.cluster_count)
        except Malformed as error:
            raise self.invalid("record %d of its master file table %s" % (number, error)) from None

    def _record_bytes(self, number: int) -> bytes:
        size = self.geometry.record_bytes
        offset = number * size
        if self._loading:
            return self.read_runs(self._runs, offset, size)
        start = offset - offset % _CACHE_BYTES
        if start != self._cache_start:
            self._cache = self.read_runs(self._runs, start, min(_CACHE_BYTES, self._size_bytes - start))
            self._cache_start = start
        return self._cache[offset - start : offset - start + size]

    def is_in_use(self, number: int) -> bool:
        """Whether there is a base record of this number; reserved records of the file system may never have been written."""
        block = self._record_bytes(number)
        return block[:4] == b"FILE" and bool(block[22] & IN_USE) and not self.record(number).base

    def blocks(self) -> Iterator[Tuple[int, bytes]]:
        """Yield number and raw bytes of every record in order, read in large pieces."""
        size = self.geometry.record_bytes
        for start in range(0, self.record_count * size, _PIECE_BYTES):
            piece = self.read_runs(self._runs, start, min(_PIECE_BYTES, self.record_count * size - start))
            for offset in range(0, len(piece), size):
                yield (start + offset) // size, piece[offset : offset + size]

    def attributes(self, number: int) -> List[Attribute]:
        """All attributes of a file, those that an attribute list puts into other records included."""
        return self.file(number).attributes

    def file(self, number: int) -> Record:
        """A base record with all attributes of its file.

        :raises FileSystemInvalid: when it is not in use, or its other records are not its own.
        """
        record = self.record(number)
        if not record.flags & IN_USE or record.base:
            raise self.invalid("record %d of its master file table is not in use" % number)
        lists = [attribute for attribute in record.attributes if attribute.kind == ATTRIBUTE_LIST]
        if not lists:
            return record
        found = list(record.attributes)
        pieces = 0
        for other in self._listed(lists[0]):
            if other != number:
                extra = self._extension(other, number).attributes
                pieces = self._count(pieces, extra)
                found += extra
        return record._replace(attributes=found)

    def _attributes_of_table(self) -> List[Attribute]:
        """The table's own attributes: each further record is found through the runs known so far."""
        record = self.record(MFT)
        found = list(record.attributes)
        lists = [attribute for attribute in found if attribute.kind == ATTRIBUTE_LIST]
        if not lists:
            return found
        try:
            self._runs = RunList(_runs_of(found))
            pieces = 0
            for other in self._listed(lists[0]):
                if other != MFT:
                    extra = self._extension(other, MFT).attributes
                    pieces = self._count(pieces, extra)
                    self._runs.extend(_runs_of(extra))
                    found += extra
        except Malformed as error:
            raise self.invalid("its master file table %s" % error) from None
        return found

    def _extension(self, number: int, base: int) -> Record:
        record = self.record(number)
        # Record 0 is the base of the table's own further records, so that zero says nothing there.
        if not record.flags & IN_USE or record.base != base:
            raise self.invalid("record %d of its master file table does not belong to record %d" % (number, base))
        return record

    def _count(self, pieces: int, attributes: Sequence[Attribute]) -> int:
        pieces += sum(len(attribute.runs) for attribute in attributes)
        if pieces > _MAX_FILE_RUNS:
            raise self.invalid("a file has too many pieces")
        return pieces

    def _listed(self, attribute: Attribute) -> List[int]:
        """The records that an attribute list names, in its order, each once."""
        if attribute.size_bytes > _MAX_LIST_BYTES:
            raise self.invalid("an attribute list is too long")
        data = attribute.content
        if data is None:
            data = b"".join(self.pieces(attribute, attribute.size_bytes))
        records: Dict[int, None] = {}
        position = 0
        while position + 26 <= len(data):
            length = struct.unpack_from("<H", data, position + 4)[0]
            if length < 26:
                raise self.invalid("an attribute list is damaged")
            records[struct.unpack_from("<Q", data, position + 16)[0] & REFERENCE_MASK] = None
            position += length
        return list(records)

    # -- attributes ---------------------------------------------------------------------------------------------------

    def joined(self, attributes: Sequence[Attribute], kind: int, what: str, name: str = "") -> Attribute:
        """The attribute of a kind and name, its parts in several records joined.

        :raises FileSystemInvalid: when there is none, or its parts do not fit.
        """
        parts = sorted(
            (attribute for attribute in attributes if attribute.kind == kind and attribute.name == name),
            key=lambda attribute: attribute.lowest_vcn,
        )
        if not parts:
            raise self.invalid("%s lacks its attribute %#x" % (what, kind))
        if parts[0].content is not None:
            return parts[0]
        try:
            runs = RunList([run for part in parts for run in part.runs])
        except Malformed as error:
            raise self.invalid("%s %s" % (what, error)) from None
        if parts[0].size_bytes > runs.end_vcn * self.geometry.cluster_bytes:
            raise self.invalid("%s is longer than its runs" % what)
        return parts[0]._replace(runs=runs.runs)

    def pieces(self, attribute: Attribute, length: int) -> Iterator[bytes]:
        """Yield the first ``length`` bytes of a joined attribute, in pieces of 4 MiB but the last."""
        if length > attribute.size_bytes:
            raise self.invalid("a system file is too short")
        if attribute.content is not None:
            yield attribute.content[:length]
            return
        runs = self._run_list(attribute.runs)
        for start in range(0, length, _PIECE_BYTES):
            yield self.read_runs(runs, start, min(_PIECE_BYTES, length - start))

    def _run_list(self, runs: Sequence[Run]) -> RunList:
        try:
            return RunList(runs)
        except Malformed as error:
            raise self.invalid("a file %s" % error) from None

    def read_runs(self, runs: RunList, offset: int, length: int) -> bytes:
        """Read a range of an attribute; sparse runs are zeros."""
        self._budget_bytes -= length
        if self._budget_bytes < 0:
            raise self.invalid("its structures have a loop")
        try:
            places = list(runs.pieces(offset, length, self.geometry.cluster_bytes))
        except Malformed as error:
            raise self.invalid("a file %s" % error) from None
        return b"".join(bytes(size) if place is None else self._source.read(place, size) for place, size in places)

    def extents(self, attributes: Sequence[Attribute]) -> ExtentSet:
        """The extents of the attributes' content on the volume."""
        cluster = self.geometry.cluster_bytes
        return ExtentSet(
            (run.lcn * cluster, run.clusters * cluster)
            for attribute in attributes
            for run in attribute.runs
            if run.lcn is not None
        )

    def own_extents(self) -> ExtentSet:
        """Where the file system's own files lie."""
        used = ExtentSet()
        for number in range(min(SYSTEM_RECORDS, self.record_count)):
            if self.is_in_use(number):
                used = used.union(self.extents(self.attributes(number)))
        return used

    def invalid(self, reason: str) -> FileSystemInvalid:
        return FileSystemInvalid(kind="NTFS", path=self._source.path, reason=reason)


def bad_clusters(table: FileTable) -> ExtentSet:
    """The clusters that ``$BadClus`` lists, as chkdsk /r does; nothing where that is not understood."""
    try:
        return table.extents([table.joined(table.attributes(_BAD_CLUSTERS), DATA, "$BadClus", "$Bad")])
    except FileSystemInvalid:
        return ExtentSet()


def _runs_of(attributes: Sequence[Attribute]) -> List[Run]:
    return [run for a in attributes if a.kind == DATA and not a.name for run in a.runs]
