# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS: which clusters are in use, from ``$Bitmap``.

Structures: boot sector, FILE records with update sequences, attributes, data runs, as documented by the Linux-NTFS
project ("NTFS Documentation", chapters 3 and 4) and in the headers of ntfs-3g (layout.h).
"""

from __future__ import annotations

import struct
from typing import Dict, List, NamedTuple, Optional, Tuple

from ...errors import FileSystemInvalid
from ..bitmaps import set_runs
from ..extents import ExtentSet
from ..source import BlockSource
from .contract import FileSystem, UsedMap, VolumeState, whole

_MFT, _LOGFILE, _VOLUME, _BITMAP = 0, 2, 3, 6
_ATTRIBUTE_LIST, _VOLUME_NAME, _VOLUME_INFORMATION, _DATA = 0x20, 0x60, 0x70, 0x80
_DIRTY = 0x0001
_MAX_ATTRIBUTES = 256
_MAX_RUNS = 1 << 20
_MAX_LIST_BYTES = 256 << 10
_PIECE_BYTES = 4 << 20


class Run(NamedTuple):
    """A run of an attribute; ``lcn`` is None for a sparse one."""

    vcn: int
    lcn: Optional[int]
    clusters: int


class _Attribute(NamedTuple):
    kind: int
    name: str
    content: Optional[bytes]  # resident
    runs: List[Run]
    size_bytes: int
    lowest_vcn: int


class Ntfs(FileSystem):
    """A probed NTFS volume."""

    kind = "ntfs"

    def __init__(self, source: BlockSource, boot: bytes) -> None:
        self.source = source
        self.label = ""
        self.sector_bytes, per_cluster = struct.unpack_from("<HB", boot, 11)
        if self.sector_bytes not in (256, 512, 1024, 2048, 4096):
            raise self._invalid("its sector size is impossible")
        sectors_per_cluster = per_cluster if per_cluster <= 0x80 else 1 << (256 - per_cluster)
        self.cluster_bytes = self.sector_bytes * sectors_per_cluster
        if sectors_per_cluster & (sectors_per_cluster - 1) or not 0 < self.cluster_bytes <= 2 << 20:
            raise self._invalid("its cluster size is impossible")
        total_sectors, mft_lcn, mirror_lcn = struct.unpack_from("<QQQ", boot, 40)
        record_size = struct.unpack_from("<b", boot, 64)[0]
        self._record_bytes = record_size * self.cluster_bytes if record_size > 0 else 1 << -record_size
        self.cluster_count = total_sectors // sectors_per_cluster
        if (total_sectors + 1) * self.sector_bytes > source.size_bytes + self.sector_bytes or not total_sectors:
            raise self._invalid("it is larger than its volume")
        if self._record_bytes not in (512, 1024, 2048, 4096) or max(mft_lcn, mirror_lcn) >= self.cluster_count:
            raise self._invalid("its master file table lies outside the volume")
        self._volume_bytes = total_sectors * self.sector_bytes
        self._mft_lcn = mft_lcn
        self.uuid = "%016X" % struct.unpack_from("<Q", boot, 72)[0]
        self._mft_runs: List[Run] = [Run(0, mft_lcn, max(1, -(-16 * self._record_bytes // self.cluster_bytes)))]

    @classmethod
    def probe(cls, source: BlockSource) -> Optional[FileSystem]:
        if source.size_bytes < 4096:
            return None
        boot = source.read(0, 512)
        if boot[3:11] != b"NTFS    " or boot[510:] != b"\x55\xaa":
            return None
        return cls(source, boot)

    def used(self, state: VolumeState) -> UsedMap:
        """Trust ``$Bitmap`` where the volume is frozen, or offline with a clean journal and no dirty flag.

        A shadow copy's journal is never clean; that alone is no reason to read it whole.
        """
        if state is VolumeState.LIVE:
            return whole(self.source, "the NTFS volume is mounted and changes while it is read")
        try:
            self._load_mft()
            volume = self._attributes(_VOLUME)
            self.label = self._label(volume)
            if state is VolumeState.OFFLINE:
                reason = self._why_unclean(volume)
                if reason:
                    return whole(self.source, reason)
            return UsedMap(self._used_extents(), True, "")
        except FileSystemInvalid as error:
            return whole(self.source, str(error))

    def _used_extents(self) -> ExtentSet:
        bitmap = self._one(self._attributes(_BITMAP), _DATA)
        if bitmap.size_bytes * 8 < self.cluster_count:
            raise self._invalid("its bitmap is too short")
        pairs: List[Tuple[int, int]] = []
        cluster = self.cluster_bytes
        bits_left = self.cluster_count
        unit = 0
        for piece in self._pieces(bitmap, -(-self.cluster_count // 8)):
            pairs += [(lcn * cluster, n * cluster) for lcn, n in set_runs(piece, min(bits_left, len(piece) * 8), unit)]
            unit += len(piece) * 8
            bits_left -= len(piece) * 8
        # Behind the last cluster lies the backup boot sector; a partition may be longer still by less than a cluster.
        tail = self.cluster_count * cluster
        pairs.append((tail, min(self.source.size_bytes, self._volume_bytes + self.sector_bytes) - tail))
        used = ExtentSet.from_sorted(pairs)
        if not any(True for dummy in used.clipped(self._mft_lcn * cluster, self._mft_lcn * cluster + 1)):
            raise self._invalid("its bitmap says that the master file table is free")
        return used

    # -- is it clean? -------------------------------------------------------------------------------------------------

    def _why_unclean(self, volume: List[_Attribute]) -> str:
        information = self._one(volume, _VOLUME_INFORMATION).content or b""
        if len(information) < 12 or struct.unpack_from("<H", information, 10)[0] & _DIRTY:
            return "the NTFS volume is marked dirty: run chkdsk on the device"
        log = self._one(self._attributes(_LOGFILE), _DATA)
        if log.size_bytes < 8192:
            return "the journal of the NTFS volume can't be read"
        pages = b"".join(self._pieces(log, 2 * 4096))
        for start in (0, 4096):
            page = pages[start : start + 4096]
            if page == b"\xff" * 4096:
                continue  # emptied: what ntfs-3g and chkdsk leave
            if page[:4] != b"RSTR" or not self._restart_is_clean(page):
                return "the journal of the NTFS volume is not clean: it was not shut down (or hibernates)"
        return ""

    @staticmethod
    def _restart_is_clean(page: bytes) -> bool:
        area = struct.unpack_from("<H", page, 24)[0]
        if not 48 <= area <= 3072:
            return False
        in_use, flags = struct.unpack_from("<H", page, area + 12)[0], struct.unpack_from("<H", page, area + 14)[0]
        return bool(in_use == 0xFFFF or flags & 0x0002)

    # -- records and attributes ---------------------------------------------------------------------------------------

    def _load_mft(self) -> None:
        attribute = self._one(self._attributes(_MFT), _DATA)
        self._mft_runs = attribute.runs
        self._mft_bytes = attribute.size_bytes

    def _record(self, number: int) -> bytes:
        offset = number * self._record_bytes
        data = bytearray(self._read_runs(self._mft_runs, offset, self._record_bytes))
        if data[:4] != b"FILE":
            raise self._invalid("record %d of its master file table is damaged" % number)
        start, count = struct.unpack_from("<HH", data, 4)
        if count != self._record_bytes // 512 + 1 or start + 2 * count > 510:
            raise self._invalid("record %d of its master file table has a wrong update sequence" % number)
        check = data[start : start + 2]
        for sector in range(count - 1):
            end = sector * 512 + 510
            if data[end : end + 2] != check:
                raise self._invalid("record %d of its master file table was torn apart" % number)
            data[end : end + 2] = data[start + 2 + 2 * sector : start + 4 + 2 * sector]
        return bytes(data)

    def _attributes(self, number: int) -> List[_Attribute]:
        """All attributes of a file, those that an attribute list puts into other records included."""
        found = self._parse_record(self._record(number), number)
        lists = [attribute for attribute in found if attribute.kind == _ATTRIBUTE_LIST]
        if not lists:
            return found
        # For the master file table itself the records named first are reached through the runs known so far.
        if number == _MFT:
            self._mft_runs = [run for a in found if a.kind == _DATA and not a.name for run in a.runs]
        for other in self._listed_records(lists[0]):
            if other == number:
                continue
            extra = self._parse_record(self._record(other), other)
            found += extra
            if number == _MFT:
                more = [run for a in extra if a.kind == _DATA and not a.name for run in a.runs]
                self._mft_runs = sorted(self._mft_runs + more, key=lambda run: run.vcn)
        return found

    def _listed_records(self, attribute: _Attribute) -> List[int]:
        if attribute.size_bytes > _MAX_LIST_BYTES:
            raise self._invalid("an attribute list is too long")
        data = attribute.content
        if data is None:
            data = b"".join(self._pieces(attribute, attribute.size_bytes))
        records: Dict[int, None] = {}
        position = 0
        while position + 26 <= len(data):
            length = struct.unpack_from("<H", data, position + 4)[0]
            if length < 26:
                raise self._invalid("an attribute list is damaged")
            records[struct.unpack_from("<Q", data, position + 16)[0] & ((1 << 48) - 1)] = None
            position += length
        return list(records)

    def _parse_record(self, data: bytes, number: int) -> List[_Attribute]:
        position = struct.unpack_from("<H", data, 20)[0]
        end = min(struct.unpack_from("<I", data, 24)[0], len(data))
        found: List[_Attribute] = []
        for dummy in range(_MAX_ATTRIBUTES):
            if position + 16 > end or struct.unpack_from("<I", data, position)[0] == 0xFFFFFFFF:
                return found
            kind, length, non_resident, name_length, name_offset = struct.unpack_from("<IIBBH", data, position)
            if length < 24 or position + length > end:
                raise self._invalid("record %d of its master file table is malformed" % number)
            body = data[position : position + length]
            name = body[name_offset : name_offset + 2 * name_length].decode("utf-16-le", "replace")
            found.append(self._parse_attribute(kind, name, bool(non_resident), body))
            position += length
        raise self._invalid("record %d of its master file table has too many attributes" % number)

    def _parse_attribute(self, kind: int, name: str, non_resident: bool, body: bytes) -> _Attribute:
        if not non_resident:
            size, offset = struct.unpack_from("<IH", body, 16)
            if offset + size > len(body):
                raise self._invalid("an attribute reaches past its record")
            return _Attribute(kind, name, body[offset : offset + size], [], size, 0)
        if len(body) < 64:
            raise self._invalid("an attribute is too short")
        lowest, dummy_highest, runs_offset = struct.unpack_from("<QQH", body, 16)
        size = struct.unpack_from("<Q", body, 48)[0] if lowest == 0 else 0
        return _Attribute(kind, name, None, self._decode_runs(body[runs_offset:], lowest), size, lowest)

    def _decode_runs(self, data: bytes, vcn: int) -> List[Run]:
        runs: List[Run] = []
        position, lcn = 0, 0
        while position < len(data) and data[position]:
            length_size, offset_size = data[position] & 15, data[position] >> 4
            body_end = position + 1 + length_size + offset_size
            if not 0 < length_size <= 8 or offset_size > 8 or body_end > len(data) or len(runs) >= _MAX_RUNS:
                raise self._invalid("a run list is malformed")
            clusters = int.from_bytes(data[position + 1 : position + 1 + length_size], "little")
            step = int.from_bytes(data[position + 1 + length_size : body_end], "little", signed=True)
            position = body_end
            if clusters <= 0 or clusters > self.cluster_count:
                raise self._invalid("a run has an impossible length")
            if offset_size == 0:
                runs.append(Run(vcn, None, clusters))
            else:
                lcn += step
                if lcn < 0 or lcn + clusters > self.cluster_count:
                    raise self._invalid("a run lies outside the volume")
                runs.append(Run(vcn, lcn, clusters))
            vcn += clusters
        return runs

    def _one(self, attributes: List[_Attribute], kind: int) -> _Attribute:
        """The unnamed attribute of a kind, its parts in several records joined."""
        parts = sorted(
            (attribute for attribute in attributes if attribute.kind == kind and not attribute.name),
            key=lambda attribute: attribute.lowest_vcn,
        )
        if not parts:
            raise self._invalid("a system file lacks its attribute %#x" % kind)
        if parts[0].content is not None:
            return parts[0]
        runs = [run for part in parts for run in part.runs]
        expected = 0
        for run in runs:
            if run.vcn != expected:
                raise self._invalid("a run list has a gap")
            expected += run.clusters
        if parts[0].size_bytes > expected * self.cluster_bytes:
            raise self._invalid("a system file is longer than its runs")
        return parts[0]._replace(runs=runs)

    def _pieces(self, attribute: _Attribute, length: int) -> List[bytes]:
        """Read the first ``length`` bytes of an attribute, in pieces whose length is a multiple of 4 MiB but the last."""
        if attribute.content is not None:
            return [attribute.content[:length]]
        if length > attribute.size_bytes:
            raise self._invalid("a system file is too short")
        return [
            self._read_runs(attribute.runs, start, min(_PIECE_BYTES, length - start))
            for start in range(0, length, _PIECE_BYTES)
        ]

    def _read_runs(self, runs: List[Run], offset: int, length: int) -> bytes:
        parts = []
        for run in runs:
            start = run.vcn * self.cluster_bytes
            end = start + run.clusters * self.cluster_bytes
            if end <= offset or start >= offset + length:
                continue
            first, last = max(offset, start), min(offset + length, end)
            if run.lcn is None:
                parts.append(bytes(last - first))
            else:
                parts.append(self.source.read(run.lcn * self.cluster_bytes + first - start, last - first))
        data = b"".join(parts)
        if len(data) != length:
            raise self._invalid("a system file ends too early")
        return data

    @staticmethod
    def _label(volume: List[_Attribute]) -> str:
        for attribute in volume:
            if attribute.kind == _VOLUME_NAME and attribute.content is not None:
                return attribute.content.decode("utf-16-le", "replace")
        return ""

    def _invalid(self, reason: str) -> FileSystemInvalid:
        return FileSystemInvalid(kind="NTFS", path=self.source.path, reason=reason)
