# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exFAT: which clusters are in use, from the allocation bitmap.

Structures: Microsoft, "exFAT file system specification", sections 3 (boot regions), 4 (FAT region), 6 (directory
structure) and 7.1 (allocation bitmap), 7.3 (volume label). PercentInUse (3.1.15) is advice and not looked at.
"""

from __future__ import annotations

import re
import struct
from typing import Iterator, List, NamedTuple, Optional, Set, Tuple

from ...errors import FileSystemInvalid
from ..bitmaps import set_runs
from ..extents import ExtentSet
from ..source import BlockSource
from .contract import MAX_EXTENTS, WINDOWS_LEFT_OUT, FileSystem, FileTree, UsedMap, VolumeState, whole

_SIGNATURE = b"EXFAT   "
_BOOT_SECTORS = 11  # covered by the checksum in the twelfth
_SECOND_FAT_ACTIVE, _VOLUME_DIRTY = 0x1, 0x2
_BITMAP_ENTRY, _UPCASE_ENTRY, _LABEL_ENTRY = 0x81, 0x82, 0x83
_END_OF_FOLDER = 0x00
_LAST_CLUSTER = 0xFFFFFFFF
_MAX_CLUSTERS = 0xFFFFFFF5
_MAX_FOLDER_BYTES = 256 << 20  # section 7.4 (directories)
_MAX_UPCASE_BYTES = 128 << 10  # 65,536 characters
_TABLE_PAGE_BYTES = 4 << 10  # of the FAT, kept while a chain is followed: a hostile chain may need a new one each step
_MORE_STEPS, _MOST_STEPS = 1 << 20, 1 << 28  # along chains, for all files of a volume
_PAGE_BYTES = 64 << 10
_MAX_TABLE_BYTES = 256 << 20  # that is searched for bad clusters: 64 million of them
_BAD_ENTRY = re.compile(rb"(?=\xf7\xff\xff\xff)", re.DOTALL)
_PIECE_BYTES = 4 << 20
Runs = List[Tuple[int, int]]  # (first cluster, clusters)


class _Root(NamedTuple):
    """What the root folder says of the volume itself: runs of clusters, and the label."""

    bitmaps: List[Tuple[int, Runs, int]]  # which FAT it belongs to, where it is, how many bytes count
    upcase: Runs
    upcase_bytes: int
    folder: Runs
    label: str


class Exfat(FileSystem):
    """A probed exFAT volume."""

    kind = "exfat"
    always_left_out = WINDOWS_LEFT_OUT

    def __init__(self, source: BlockSource, boot: bytes) -> None:
        self.source = source
        sectors = struct.unpack_from("<Q", boot, 72)[0]
        fat_offset, fat_length, heap, clusters, root, serial = struct.unpack_from("<6I", boot, 80)
        revision, self._flags = struct.unpack_from("<HH", boot, 104)
        sector_shift, cluster_shift, self._fats = boot[108], boot[109], boot[110]
        if not 9 <= sector_shift <= 12 or cluster_shift > 25 - sector_shift:
            raise self.invalid("its sector or cluster size is impossible")
        if revision >> 8 != 1 or self._fats not in (1, 2) or any(boot[11:64]):
            raise self.invalid("its boot sector contradicts itself")
        self._sector_bytes = 1 << sector_shift
        self.cluster_bytes = self._sector_bytes << cluster_shift
        self.cluster_count: int = clusters
        self.root_cluster: int = root
        self._fat_start = fat_offset * self._sector_bytes
        self.heap_start = heap * self._sector_bytes
        if not sectors or sectors * self._sector_bytes > source.size_bytes:
            raise self.invalid("it is larger than its volume")
        self.end_bytes = sectors * self._sector_bytes
        if fat_offset < 24 or heap < fat_offset + fat_length * self._fats:
            raise self.invalid("its regions overlap")
        if not 0 < clusters <= _MAX_CLUSTERS or clusters > ((sectors - heap) >> cluster_shift):
            raise self.invalid("its clusters reach past the volume")
        if (clusters + 2) * 4 > fat_length * self._sector_bytes:
            raise self.invalid("its allocation table is too short")
        self._check_boot_region()
        self._page_start, self._page = -1, b""
        self._steps_left = min(4 * clusters + _MORE_STEPS, _MOST_STEPS)
        self._root = self._read_root()
        self.label = self._root.label
        self.uuid = "%04X-%04X" % (serial >> 16, serial & 0xFFFF)

    @classmethod
    def probe(cls, source: BlockSource) -> Optional[FileSystem]:
        if source.size_bytes < 24 * 512:
            return None
        boot = source.read(0, 512)
        if boot[3:11] != _SIGNATURE or boot[510:] != b"\x55\xaa":
            return None
        return cls(source, boot)

    def used(self, state: VolumeState) -> UsedMap:
        """Trust the bitmap of a volume that is offline or frozen and not marked dirty.

        A dirty one (section 3.1.13.2: the bitmap and the folders may disagree) is trusted only after every cluster
        that any file or folder reaches was found in the bitmap: then nothing that a restored volume shows is missing.
        """
        if state is VolumeState.LIVE:
            return whole(self.source, "the exFAT volume is mounted and changes while it is read")
        if self._fats == 2 or self._flags & _SECOND_FAT_ACTIVE or len(self._root.bitmaps) != 1:
            return whole(self.source, "the exFAT volume keeps two allocation tables (TexFAT)")
        try:
            used = self._from_bitmap()
            if self._flags & _VOLUME_DIRTY:
                reason = self._why_dirty_matters(used)
                if reason:
                    return whole(self.source, reason)
            bad = self._bad_clusters()
        except FileSystemInvalid as error:
            return whole(self.source, str(error))
        return UsedMap(used.union(bad), True, "", bad)

    def tree(self) -> Optional[FileTree]:
        from .exfat_tree import ExfatTree

        return ExfatTree(self) if self._fats == 1 else None

    def structures(self) -> ExtentSet:
        """Bytes of the volume's own structures: boot regions, FAT, bitmap, up-case table, root folder."""
        runs = [*self._root.folder, *self._root.upcase]
        for dummy_fat, places, dummy_length in self._root.bitmaps:
            runs += places
        return ExtentSet([(0, self.heap_start), *(self.cluster_range(*run) for run in runs)])

    def cluster_range(self, cluster: int, count: int) -> Tuple[int, int]:
        """Start and length in bytes of ``count`` clusters.

        :raises FileSystemInvalid: when they are not all on the volume.
        """
        if cluster < 2 or count < 0 or cluster + count > self.cluster_count + 2:
            raise self.invalid("clusters %d to %d are not on it" % (cluster, cluster + count - 1))
        return self.heap_start + (cluster - 2) * self.cluster_bytes, count * self.cluster_bytes

    def chain(self, first: int, most_bytes: Optional[int] = None) -> Iterator[Tuple[int, int]]:
        """Yield the runs ``(first cluster, clusters)`` of a chain of the FAT.

        :raises FileSystemInvalid: when it leaves the volume, bites its own tail, or is longer than ``most_bytes``.
        """
        most = self.cluster_count if most_bytes is None else -(-most_bytes // self.cluster_bytes)
        start, count, cluster, seen = first, 1, first, 1
        visited: Set[int] = set()
        while True:
            if start in visited or seen > most:
                raise self.invalid("a chain of clusters is too long or has a loop")
            self.cluster_range(cluster, 1)
            self._steps_left -= 1
            if self._steps_left < 0:
                raise self.invalid("its chains of clusters have a loop")
            following = self._next_cluster(cluster)
            if following == cluster + 1:
                count += 1
            else:
                yield start, count
                visited.add(start)
                if following == _LAST_CLUSTER:
                    return
                start, count = following, 1
            cluster = following
            seen += 1

    def invalid(self, reason: str) -> FileSystemInvalid:
        return FileSystemInvalid(kind="exFAT", path=self.source.path, reason=reason)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _next_cluster(self, cluster: int) -> int:
        place = self._fat_start + cluster * 4
        page = place - place % _TABLE_PAGE_BYTES
        if page != self._page_start:
            length = min(_TABLE_PAGE_BYTES, self.source.size_bytes - page)
            self._page_start, self._page = page, self.source.read(page, length)
        return int(struct.unpack_from("<I", self._page, place - page)[0])

    def _check_boot_region(self) -> None:
        """The sum of section 3.4 over sectors 0 to 10, without the fields that change while mounted."""
        data = self.source.read(0, (_BOOT_SECTORS + 1) * self._sector_bytes)
        total = 0
        for place in range(_BOOT_SECTORS * self._sector_bytes):
            if place not in (106, 107, 112):
                total = ((total & 1) << 31) + (total >> 1) + data[place] & 0xFFFFFFFF
        wanted = data[_BOOT_SECTORS * self._sector_bytes :]
        if wanted != struct.pack("<I", total) * (self._sector_bytes // 4):
            raise self.invalid("the checksum of its boot region is wrong")

    def _read_root(self) -> _Root:
        folder = list(self.chain(self.root_cluster, _MAX_FOLDER_BYTES))
        bitmaps: List[Tuple[int, Runs, int]] = []
        upcase: Runs = []
        upcase_bytes = 0
        label = ""
        wanted = -(-self.cluster_count // 8)
        for entry in self._entries(folder):
            kind, first, length = entry[0], *struct.unpack_from("<IQ", entry, 20)
            if kind == _BITMAP_ENTRY and len(bitmaps) < 2:
                bitmaps.append((entry[1] & 1, list(self.chain(first, wanted)), length))
            elif kind == _UPCASE_ENTRY and not upcase:
                upcase, upcase_bytes = list(self.chain(first, _MAX_UPCASE_BYTES)), length
            elif kind == _LABEL_ENTRY:
                label = entry[2 : 2 + 2 * min(entry[1], 11)].decode("utf-16-le", "replace")
        if not bitmaps:
            raise self.invalid("it has no allocation bitmap")
        return _Root(bitmaps, upcase, upcase_bytes, folder, label)

    def _entries(self, runs: Runs) -> Iterator[bytes]:
        for run in runs:
            start, length = self.cluster_range(*run)
            for offset in range(0, length, _PAGE_BYTES):
                data = self.source.read(start + offset, min(_PAGE_BYTES, length - offset))
                for place in range(0, len(data), 32):
                    if data[place] == _END_OF_FOLDER:
                        return
                    yield data[place : place + 32]

    def _from_bitmap(self) -> ExtentSet:
        dummy_fat, runs, length = self._root.bitmaps[0]
        wanted = -(-self.cluster_count // 8)
        if length < wanted or sum(count for dummy, count in runs) * self.cluster_bytes < wanted:
            raise self.invalid("its allocation bitmap is too short")
        heap = ExtentSet.from_sorted(
            (self.heap_start + (cluster - 2) * self.cluster_bytes, count * self.cluster_bytes)
            for cluster, count in self._bitmap_runs(runs, wanted)
        )
        missing = self.structures().difference(heap.union(ExtentSet([(0, self.heap_start)])))
        if missing:
            raise self.invalid("its allocation bitmap marks its own structures as free")
        return heap.union(ExtentSet([(0, self.heap_start)]))

    def _bitmap_runs(self, runs: Runs, wanted: int) -> Iterator[Tuple[int, int]]:
        done = found = 0
        for run in runs:
            start, length = self.cluster_range(*run)
            for offset in range(0, min(length, wanted - done), _PIECE_BYTES):
                piece = self.source.read(start + offset, min(_PIECE_BYTES, length - offset, wanted - done))
                for cluster, clusters in set_runs(
                    piece, min(len(piece) * 8, self.cluster_count - done * 8), 2 + done * 8
                ):
                    yield cluster, clusters
                    found += 1
                if found > MAX_EXTENTS:
                    raise self.invalid("its free space is in too many pieces")
                done += len(piece)

    def _bad_clusters(self) -> ExtentSet:
        """The clusters that the table calls bad (section 4.1.3), but for those that a file claims: of a file in one run the
        table says nothing.

        Looked for by the regular expression engine, since hardly any volume has one.
        """
        from .exfat_tree import ExfatTree

        found: Runs = []
        length = (self.cluster_count + 2) * 4
        if length > _MAX_TABLE_BYTES:
            return ExtentSet()  # all of it is needed then
        for offset in range(0, length, _PIECE_BYTES):
            piece = self.source.read(self._fat_start + offset, min(_PIECE_BYTES, length - offset))
            places = [match.start() for match in _BAD_ENTRY.finditer(piece)]
            found += [((offset + place) // 4, 1) for place in places if place % 4 == 0 and offset + place >= 8]
            if len(found) > MAX_EXTENTS:
                raise self.invalid("too many of its clusters are marked bad")
        if not found:
            return ExtentSet()
        bad = ExtentSet(self.cluster_range(*run) for run in found)
        return bad.difference(ExfatTree(self).everything()).difference(self.structures())

    def upper_case(self) -> bytes:
        """The volume's table of upper case, two bytes for each character (section 7.2.5: runs of itself are packed)."""
        packed = b"".join(self.source.read(*self.cluster_range(*run)) for run in self._root.upcase)[
            : self._root.upcase_bytes
        ]
        table, place = bytearray(), 0
        while place + 2 <= len(packed) and len(table) < _MAX_UPCASE_BYTES:
            value = int.from_bytes(packed[place : place + 2], "little")
            place += 2
            if value == 0xFFFF and place + 2 <= len(packed):
                count, first = int.from_bytes(packed[place : place + 2], "little"), len(table) // 2
                table += b"".join(struct.pack("<H", one & 0xFFFF) for one in range(first, first + count))
                place += 2
            else:
                table += struct.pack("<H", value)
        return bytes(table[:_MAX_UPCASE_BYTES])

    def _why_dirty_matters(self, used: ExtentSet) -> str:
        from .exfat_tree import ExfatTree

        reached = ExfatTree(self).everything()
        if reached.difference(used):
            return "the exFAT volume is marked dirty and its bitmap marks clusters of files as free: run chkdsk or fsck"
        return ""
