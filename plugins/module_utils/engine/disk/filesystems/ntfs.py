# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS: which clusters are in use, from ``$Bitmap``, and when that is to be trusted.

Structures: boot sector as in ntfs-3g, include/ntfs-3g/layout.h (NTFS_BOOT_SECTOR, BIOS_PARAMETER_BLOCK).
"""

from __future__ import annotations

import struct
from typing import Iterator, List, Optional, Tuple

from ...errors import FileSystemInvalid
from ..bitmaps import set_runs
from ..extents import ExtentSet
from ..source import BlockSource
from .contract import MAX_EXTENTS, WINDOWS_LEFT_OUT, FileSystem, FileTree, UsedMap, VolumeState, whole
from .ntfs_attributes import DATA, VOLUME_INFORMATION, VOLUME_NAME, Attribute
from .ntfs_check import why_inconsistent
from .ntfs_journal import RESTART_BYTES, is_clean
from .ntfs_table import FileTable, Geometry, bad_clusters
from .ntfs_tree import NtfsTree, hibernation

_LOGFILE, _VOLUME, _BITMAP = 2, 3, 6
_DIRTY = 0x0001


class Ntfs(FileSystem):
    """A probed NTFS volume."""

    kind = "ntfs"
    always_left_out = WINDOWS_LEFT_OUT

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
        record_bytes = record_size * self.cluster_bytes if record_size > 0 else 1 << -record_size
        self.cluster_count = total_sectors // sectors_per_cluster
        if not total_sectors or total_sectors * self.sector_bytes > source.size_bytes:
            raise self._invalid("it is larger than its volume")
        if record_bytes not in (512, 1024, 2048, 4096) or max(mft_lcn, mirror_lcn) >= self.cluster_count:
            raise self._invalid("its master file table is outside the volume")
        self._volume_bytes = total_sectors * self.sector_bytes
        self.end_bytes = min(source.size_bytes, self._volume_bytes + self.sector_bytes)  # the backup boot sector
        self._geometry = Geometry(self.cluster_bytes, self.cluster_count, record_bytes, mft_lcn)
        self._table: Optional[FileTable] = None
        self.uuid = "%016X" % struct.unpack_from("<Q", boot, 72)[0]

    @classmethod
    def probe(cls, source: BlockSource) -> Optional[FileSystem]:
        if source.size_bytes < 4096:
            return None
        boot = source.read(0, 512)
        if boot[3:11] != b"NTFS    " or boot[510:] != b"\x55\xaa":
            return None
        return cls(source, boot)

    def used(self, state: VolumeState) -> UsedMap:
        """Trust ``$Bitmap`` where the volume is frozen, or offline and either clean or proven consistent.

        A shadow copy's journal is never clean; that alone is not a reason to image the whole volume. Offline with an
        unclean journal, and frozen but marked dirty, the master file table must agree with the bitmap; a volume that is
        offline and marked dirty, or on which Windows is hibernated, is imaged whole.
        """
        if state is VolumeState.LIVE:
            return whole(self.source, "the NTFS volume is mounted and changes while it is read")
        try:
            table = FileTable(self.source, self._geometry)
            volume = table.attributes(_VOLUME)
            self.label = _label(volume)
            used = self._used_extents(table)
            reason = self._why_untrusted(table, volume, state, used)
            if reason:
                return whole(self.source, reason)
        except FileSystemInvalid as error:
            return whole(self.source, str(error))
        self._table = table
        return UsedMap(used, True, "", bad_clusters(table))

    def why_unclean(self) -> str:
        """The dirty bit and hibernation; ntfsresize resets a journal that is not clean."""
        table = FileTable(self.source, self._geometry)
        information = table.joined(table.attributes(_VOLUME), VOLUME_INFORMATION, "$Volume").content or b""
        if len(information) < 12 or struct.unpack_from("<H", information, 10)[0] & _DIRTY:
            return "the NTFS volume is marked dirty: run chkdsk on the device"
        return hibernation(table)

    def tree(self) -> Optional[FileTree]:
        if self._table is None:
            self._table = FileTable(self.source, self._geometry)
        return NtfsTree(self._table)

    def _why_untrusted(self, table: FileTable, volume: List[Attribute], state: VolumeState, used: ExtentSet) -> str:
        information = table.joined(volume, VOLUME_INFORMATION, "$Volume").content or b""
        is_dirty = len(information) < 12 or bool(struct.unpack_from("<H", information, 10)[0] & _DIRTY)
        doubt = "the NTFS volume is marked dirty: run chkdsk on the device" if is_dirty else ""
        if state is VolumeState.OFFLINE:
            doubt = doubt or hibernation(table)
            if doubt:
                return doubt
            if not self._journal_is_clean(table):
                doubt = "the journal of the NTFS volume is not clean: it was not shut down"
        if not doubt:
            return ""
        contradiction = why_inconsistent(table, used)
        return "%s, and %s" % (doubt, contradiction) if contradiction else ""

    @staticmethod
    def _journal_is_clean(table: FileTable) -> bool:
        log = table.joined(table.attributes(_LOGFILE), DATA, "$LogFile")
        return log.size_bytes >= RESTART_BYTES and is_clean(b"".join(table.pieces(log, RESTART_BYTES)))

    # -- the bitmap ---------------------------------------------------------------------------------------------------

    def _used_extents(self, table: FileTable) -> ExtentSet:
        bitmap = table.joined(table.attributes(_BITMAP), DATA, "$Bitmap")
        if min(bitmap.size_bytes, bitmap.initialized_bytes) * 8 < self.cluster_count:
            raise self._invalid("its bitmap is too short")
        if any(run.lcn is None for run in bitmap.runs) or not bitmap.is_plain:
            raise self._invalid("its bitmap has holes or is compressed")
        used = ExtentSet.from_sorted(self._marked(table, bitmap))
        # The backup boot sector follows the last cluster; in a partition that is longer some tools put it at its end.
        tail = self.cluster_count * self.cluster_bytes
        end = min(self.source.size_bytes, self._volume_bytes + self.sector_bytes)
        last = self.source.size_bytes - self.sector_bytes
        used = used.union(ExtentSet([(tail, end - tail), (last, self.sector_bytes)]))
        if table.own_extents().difference(used):
            raise self._invalid("its bitmap marks files of the file system itself as free")
        return used

    def _marked(self, table: FileTable, bitmap: Attribute) -> Iterator[Tuple[int, int]]:
        cluster = self.cluster_bytes
        bits_left = self.cluster_count
        unit = count = 0
        for piece in table.pieces(bitmap, -(-self.cluster_count // 8)):
            for lcn, clusters in set_runs(piece, min(bits_left, len(piece) * 8), unit):
                count += 1
                if count > MAX_EXTENTS:
                    raise self._invalid("its free space is in too many pieces")
                yield lcn * cluster, clusters * cluster
            unit += len(piece) * 8
            bits_left -= len(piece) * 8

    def _invalid(self, reason: str) -> FileSystemInvalid:
        return FileSystemInvalid(kind="NTFS", path=self.source.path, reason=reason)


def _label(volume: List[Attribute]) -> str:
    for attribute in volume:
        if attribute.kind == VOLUME_NAME and attribute.content is not None:
            return attribute.content.decode("utf-16-le", "replace")
    return ""
