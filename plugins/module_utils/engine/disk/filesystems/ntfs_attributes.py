# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS: what stands in one record of the master file table: attributes and the runs of their content.

Structures: "NTFS Documentation" of the Linux-NTFS project, chapters 3 and 4; ntfs-3g, include/ntfs-3g/layout.h
(MFT_RECORD, ATTR_RECORD) and libntfs-3g/runlist.c (the packed form of runs).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

ATTRIBUTE_LIST, FILE_NAME, VOLUME_NAME, VOLUME_INFORMATION, DATA = 0x20, 0x30, 0x60, 0x70, 0x80
INDEX_ROOT, INDEX_ALLOCATION, BITMAP = 0x90, 0xA0, 0xB0
IN_USE, IS_FOLDER = 0x0001, 0x0002
REFERENCE_MASK = (1 << 48) - 1
_PACKED_FLAGS = 0x40FF  # compressed in some way, encrypted
_MAX_ATTRIBUTES = 256
_MAX_VCN = 1 << 54
_SECTOR_BYTES = 512  # the stride of update sequences, for any size of sectors


class Malformed(ValueError):
    """A structure contradicts itself; the text says how. Becomes a catalogue error where the volume is known."""


class Run(NamedTuple):
    """A run of an attribute; ``lcn`` is None for a sparse one."""

    vcn: int
    lcn: Optional[int]
    clusters: int


class Attribute(NamedTuple):
    """An attribute, or the part of one that a record holds. Sizes in bytes; they count in the first part only."""

    kind: int
    name: str
    content: Optional[bytes]  # resident
    runs: List[Run]
    size_bytes: int
    initialized_bytes: int
    lowest_vcn: int
    is_plain: bool = True  # neither compressed nor encrypted: its clusters hold its content


class Record(NamedTuple):
    """A record's header and attributes."""

    sequence: int
    links: int
    flags: int
    base: int  # the record that this one continues, 0 for a base record
    attributes: List[Attribute]


def unprotect(block: bytes) -> bytes:
    """Undo the update sequence of a record or index block, which tells whether it was written as a whole.

    :raises Malformed: when it was torn apart.
    """
    start, count = struct.unpack_from("<HH", block, 4)
    if count != len(block) // _SECTOR_BYTES + 1 or start + 2 * count > _SECTOR_BYTES - 2:
        raise Malformed("has a wrong update sequence")
    data = bytearray(block)
    check = block[start : start + 2]
    for sector in range(count - 1):
        end = sector * _SECTOR_BYTES + _SECTOR_BYTES - 2
        if block[end : end + 2] != check:
            raise Malformed("is torn")
        place = start + 2 + 2 * sector
        data[end : end + 2] = block[place : place + 2]
    return bytes(data)


def parse_record(block: bytes, cluster_count: int) -> Record:
    """Parse a record of the master file table.

    :raises Malformed: when it is none.
    """
    if block[:4] != b"FILE":
        raise Malformed("is damaged")
    data = unprotect(block)
    sequence, links, first, flags, in_use_bytes = struct.unpack_from("<HHHHI", data, 16)
    base = struct.unpack_from("<Q", data, 32)[0] & REFERENCE_MASK
    attributes = []
    for position, length in _places(data, first, min(in_use_bytes, len(data))):
        attributes.append(_parse_attribute(data[position : position + length], cluster_count))
    return Record(sequence, links, flags, base, attributes)


def _places(data: bytes, first: int, end: int) -> Iterator[Tuple[int, int]]:
    """Yield start and length of each attribute."""
    position = first
    for dummy in range(_MAX_ATTRIBUTES):
        if position + 16 > end or data[position : position + 4] == b"\xff\xff\xff\xff":
            return
        length = struct.unpack_from("<I", data, position + 4)[0]
        if length < 24 or length % 8 or position + length > end:
            raise Malformed("is malformed")
        yield position, length
        position += length
    raise Malformed("has too many attributes")


def _parse_attribute(body: bytes, cluster_count: int) -> Attribute:
    kind, dummy_length, non_resident, name_length, name_offset = struct.unpack_from("<IIBBH", body, 0)
    name = body[name_offset : name_offset + 2 * name_length].decode("utf-16-le", "replace") if name_length else ""
    if not non_resident:
        size, offset = struct.unpack_from("<IH", body, 16)
        if offset + size > len(body):
            raise Malformed("has an attribute that reaches past it")
        return Attribute(kind, name, body[offset : offset + size], [], size, size, 0)
    if len(body) < 64:
        raise Malformed("has an attribute that is too short")
    lowest, dummy_highest, runs_offset = struct.unpack_from("<QQH", body, 16)
    size, initialized = struct.unpack_from("<QQ", body, 48) if lowest == 0 else (0, 0)
    if lowest > _MAX_VCN:
        raise Malformed("has an attribute in an impossible place")
    is_plain = not struct.unpack_from("<H", body, 12)[0] & _PACKED_FLAGS
    runs = decode_runs(body[runs_offset:], lowest, cluster_count)
    return Attribute(kind, name, None, runs, size, initialized, lowest, is_plain)


def decode_runs(data: bytes, vcn: int, cluster_count: int) -> List[Run]:
    """Unpack runs that begin at ``vcn``. Sparse runs may be longer than the volume, others must be within it.

    :raises Malformed: when they do not.
    """
    runs: List[Run] = []
    position, lcn = 0, 0
    while position < len(data) and data[position]:
        length_size, offset_size = data[position] & 15, data[position] >> 4
        offset_place = position + 1 + length_size
        end = offset_place + offset_size
        if not 0 < length_size <= 8 or offset_size > 8 or end > len(data):
            raise Malformed("has a malformed run list")
        clusters = int.from_bytes(data[position + 1 : offset_place], "little")
        if clusters <= 0 or vcn + clusters > _MAX_VCN:
            raise Malformed("has a run of impossible length")
        if offset_size == 0:
            runs.append(Run(vcn, None, clusters))
        else:
            lcn += int.from_bytes(data[offset_place:end], "little", signed=True)
            if lcn < 0 or lcn + clusters > cluster_count:
                raise Malformed("has a run outside the volume")
            runs.append(Run(vcn, lcn, clusters))
        vcn += clusters
        position = end
    return runs


class RunList:
    """The runs of a whole attribute, one behind the other from its first cluster; places are found by bisection."""

    def __init__(self, runs: Sequence[Run] = ()) -> None:
        self.runs: List[Run] = []
        self._starts: List[int] = []
        self.end_vcn = 0
        self.extend(runs)

    def extend(self, runs: Sequence[Run]) -> None:
        """Add the runs that follow.

        :raises Malformed: when they leave a gap or overlap.
        """
        for run in runs:
            if run.vcn != self.end_vcn:
                raise Malformed("has a run list with a gap")
            self.runs.append(run)
            self._starts.append(run.vcn)
            self.end_vcn += run.clusters

    def pieces(self, offset: int, length: int, cluster_bytes: int) -> Iterator[Tuple[Optional[int], int]]:
        """Yield place on the volume (None: zeros) and length in bytes for a range of the attribute."""
        position = offset
        number = bisect_right(self._starts, offset // cluster_bytes) - 1
        while position < offset + length:
            if not 0 <= number < len(self.runs):
                raise Malformed("ends too early")
            run = self.runs[number]
            inside = position - run.vcn * cluster_bytes
            size = min(run.clusters * cluster_bytes - inside, offset + length - position)
            yield (None if run.lcn is None else run.lcn * cluster_bytes + inside), size
            position += size
            number += 1
