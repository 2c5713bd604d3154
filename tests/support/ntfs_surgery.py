# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes NTFS volumes behind the back of their tools: what large and old volumes of Windows have and no tool here makes.

Structures: ntfs-3g, include/ntfs-3g/layout.h (MFT_RECORD, ATTR_RECORD, ATTR_LIST_ENTRY).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Iterator, List, Tuple

from engine.disk.filesystems.ntfs import Ntfs
from engine.disk.filesystems.ntfs_attributes import BITMAP, DATA, Attribute, Run, unprotect
from engine.disk.filesystems.ntfs_table import FileTable
from engine.disk.source import FileSource

LIST = 0x20
_END = b"\xff\xff\xff\xff"
_STRIDE = 512
_MIRRORED = 4  # records that $MFTMirr repeats
_FOR_THE_TABLE = 16  # records 16 to 23 wait for a table in many pieces


class Surgery:
    """A volume whose records are taken apart. Attributes are bytes, as they stand in a record."""

    def __init__(self, volume: Path) -> None:
        self.volume = volume
        with FileSource(str(volume)) as source:
            boot = source.read(0, 512)
            geometry = Ntfs(source, boot)._geometry
            self._table = FileTable(source, geometry)
            self.cluster_bytes, self.cluster_count = geometry.cluster_bytes, geometry.cluster_count
            self.record_bytes = geometry.record_bytes
            self._runs = self._table.joined(self._table.attributes(0), DATA, "the table").runs
            self._map_runs = self._table.joined(self._table.attributes(0), BITMAP, "the table").runs
            self._mirror = struct.unpack_from("<Q", boot, 56)[0] * geometry.cluster_bytes
            self.table: Attribute = self._table.joined(self._table.attributes(0), DATA, "the table")
            self.bitmap: Attribute = self._table.joined(self._table.attributes(6), DATA, "$Bitmap")
            self.record_count = self._table.record_count

    def _place(self, runs: List[Run], offset: int) -> int:
        for run in runs:
            start = run.vcn * self.cluster_bytes
            if start <= offset < start + run.clusters * self.cluster_bytes and run.lcn is not None:
                return run.lcn * self.cluster_bytes + offset - start
        raise AssertionError("the table has no byte %d" % offset)

    def read(self, number: int) -> bytes:
        """A record without its protection."""
        return unprotect(self.raw(number))

    def raw(self, number: int) -> bytes:
        with open(self.volume, "rb") as file:
            file.seek(self._place(self._runs, number * self.record_bytes))
            return file.read(self.record_bytes)

    def write(self, number: int, record: bytes) -> None:
        """Protect a record and put it in its place."""
        data = bytearray(record)
        start, count = struct.unpack_from("<HH", data, 4)
        check = b"\x05\x00"
        data[start : start + 2] = check
        for sector in range(count - 1):
            end = (sector + 1) * _STRIDE - 2
            data[start + 2 + 2 * sector : start + 4 + 2 * sector] = data[end : end + 2]
            data[end : end + 2] = check
        places = [self._place(self._runs, number * self.record_bytes)]
        if number < _MIRRORED:
            places.append(self._mirror + number * self.record_bytes)
        with open(self.volume, "r+b") as file:
            for place in places:
                file.seek(place)
                file.write(data)

    def attributes(self, record: bytes) -> Iterator[Tuple[int, bytes]]:
        position = struct.unpack_from("<H", record, 20)[0]
        while record[position : position + 4] != _END:
            kind, length = struct.unpack_from("<II", record, position)
            yield kind, record[position : position + length]
            position += length

    def with_attributes(self, record: bytes, attributes: List[bytes]) -> bytes:
        first = struct.unpack_from("<H", record, 20)[0]
        body = record[:first] + b"".join(attributes) + _END + bytes(4)
        assert len(body) <= self.record_bytes - 8
        data = bytearray(body.ljust(self.record_bytes, b"\0"))
        struct.pack_into("<I", data, 24, len(body))
        struct.pack_into("<H", data, 40, len(attributes) + 8)  # the next attribute's number
        return bytes(data)

    def take(self, base: int) -> int:
        """Make an empty record that continues ``base``, and mark it in the table's own bitmap; return its number."""
        for number in range(24 if base else _FOR_THE_TABLE, self.record_count):
            raw = self.raw(number)
            is_empty = raw[:4] == b"FILE" and (not raw[22] & 1 or (number < 24 and not list(self.attributes(raw))[2:]))
            if is_empty and struct.unpack_from("<Q", raw, 32)[0] == 0:
                break
        else:
            raise AssertionError("the table has no free record")
        record = bytearray(unprotect(raw))
        sequence = struct.unpack_from("<H", self.read(base), 16)[0]
        struct.pack_into("<HHHH", record, 16, max(1, struct.unpack_from("<H", record, 16)[0]), 0, 56, 1)
        struct.pack_into("<Q", record, 32, base | sequence << 48)
        self.write(number, self.with_attributes(bytes(record), []))
        with open(self.volume, "r+b") as file:
            place = self._place(self._map_runs, number // 8)
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte | 1 << number % 8]))
        return number


def spread_bitmap(volume: Path, parts: int) -> None:
    """Put the runs of ``$Bitmap`` into ``parts`` records of their own, which an attribute list names."""
    surgery = Surgery(volume)
    _spread(surgery, 6, surgery.bitmap, _cut(surgery.bitmap.runs, parts), keep_first=False)


def spread_table(volume: Path, parts: int) -> None:
    """Leave the first runs of the master file table in its own record, and put others into records that it holds itself."""
    surgery = Surgery(volume)
    _spread(surgery, 0, surgery.table, [_joined(piece) for piece in _cut(surgery.table.runs, parts)], keep_first=True)


def _spread(surgery: Surgery, base: int, whole: Attribute, pieces: List[List[Run]], *, keep_first: bool) -> None:
    record = surgery.read(base)
    sequence = struct.unpack_from("<H", record, 16)[0]
    kept = [(kind, body) for kind, body in surgery.attributes(record) if kind != DATA]
    (data,) = [body for kind, body in surgery.attributes(record) if kind == DATA]
    if keep_first:
        kept.append((DATA, _data(data, pieces.pop(0), whole, struct.unpack_from("<H", data, 14)[0])))
    entries = [(kind, 0, _entry(kind, 0, base, sequence, struct.unpack_from("<H", body, 14)[0])) for kind, body in kept]
    for piece in pieces:
        number = surgery.take(base)
        extra = surgery.read(number)
        surgery.write(number, surgery.with_attributes(extra, [_data(data, piece, whole)]))
        place = piece[0].vcn
        entries.append((DATA, place, _entry(DATA, place, number, struct.unpack_from("<H", extra, 16)[0], 0)))
    listed = b"".join(entry for dummy, dummy_place, entry in sorted(entries))
    length = -(-(24 + len(listed)) // 8) * 8
    head = struct.pack("<IIBBHHHIHBB", LIST, length, 0, 0, 24, 0, 9, len(listed), 24, 0, 0)
    bodies = [*(body for dummy, body in kept), (head + listed).ljust(length, b"\0")]
    bodies.sort(key=lambda body: struct.unpack_from("<I", body)[0])
    surgery.write(base, surgery.with_attributes(record, bodies))


def _joined(runs: List[Run]) -> List[Run]:
    found: List[Run] = []
    for run in runs:
        last = found[-1] if found else None
        if last is not None and last.lcn is not None and last.lcn + last.clusters == run.lcn and last.clusters < 100:
            found[-1] = Run(last.vcn, last.lcn, last.clusters + run.clusters)
        else:
            found.append(run)
    return found


def _cut(runs: List[Run], parts: int) -> List[List[Run]]:
    """Cut a list of runs into pieces of about the same length."""
    singles = [
        Run(run.vcn + more, None if run.lcn is None else run.lcn + more, 1)
        for run in runs
        for more in range(run.clusters)
    ]
    assert len(singles) >= parts
    size = -(-len(singles) // parts)
    return [singles[start : start + size] for start in range(0, len(singles), size)]


def _entry(kind: int, vcn: int, number: int, sequence: int, instance: int) -> bytes:
    return struct.pack("<IHBBQQH6x", kind, 32, 0, 26, vcn, number | sequence << 48, instance)


def _data(before: bytes, runs: List[Run], whole: Attribute, instance: int = 0) -> bytes:
    """The attribute of one piece: the first one tells how long all of it is."""
    packed, lcn = b"", 0
    for run in runs:
        assert run.lcn is not None
        packed += bytes([0x41]) + bytes([run.clusters]) + struct.pack("<i", run.lcn - lcn)
        lcn = run.lcn
    packed += b"\0"
    sizes = before[40:64] if runs[0].vcn == 0 else bytes(24)
    last = runs[-1].vcn + runs[-1].clusters - 1
    body = struct.pack("<QQHH4x", runs[0].vcn, last, 64, 0) + sizes + packed
    length = -(-(16 + len(body)) // 8) * 8
    assert whole.content is None
    return (struct.pack("<IIBBHHH", DATA, length, 1, 0, 64, 0, instance) + body).ljust(length, b"\0")
