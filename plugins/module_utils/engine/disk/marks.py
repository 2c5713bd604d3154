# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the marks that file systems, arrays and containers leave on a volume, each with its place.

A mark of few bytes, which may occur by chance, is checked by the fields around it, as libblkid does. The decision about
a volume is made in ``claims.py``.
"""

from __future__ import annotations

import struct
import zlib
from typing import Callable, Iterable, Iterator, List, NamedTuple, Tuple

from ..errors import DiskUnreadable
from .mark_table import CONTAINERS, FIRMWARE_RAID_KIND, RAID_KIND, SYSTEMS, TAIL_RAIDS, Known
from .source import BlockSource

_HEAD_BYTES = 512 << 10
_TAIL_BYTES = 1 << 20
_PAGE_BYTES = 4096
_NEAR_SECTORS = 16
_ZFS_LABEL_BYTES, _ZFS_RING_BYTES, _ZFS_STEP_BYTES = 256 << 10, 128 << 10, 1024
_ZFS_MAGIC = struct.pack("<Q", 0x00BAB10C)
_ZFS_MAGICS = (_ZFS_MAGIC, _ZFS_MAGIC[::-1])
_ZFS_LEAST = 4  # what a pool has at least, one in each label; wipefs leaves three
_RAID_MAGIC = struct.pack("<I", 0xA92B4EFC)
_RAID_MAGICS = (_RAID_MAGIC, _RAID_MAGIC[::-1])  # versions before 1 are in the order of the machine that made them
_DRBD_MAGICS = tuple(struct.pack(">I", 0x83740267 + more) for more in (4, 5, 6))
_MINIX = ((16, b"\x7f\x13"), (16, b"\x8f\x13"), (16, b"\x68\x24"), (16, b"\x78\x24"), (24, b"\x5a\x4d"))


# The parameters in a boot sector of FAT, and the entries of a table. The last two bytes of a sector belong to both.
FAT_PLACE, TABLE_PLACE = (11, 79), (446, 64)


class Mark(NamedTuple):
    """Bytes that say what a volume is. ``blkid`` is the type by which wipefs knows them, "" when it does not."""

    name: str
    place: int
    size: int
    blkid: str
    is_container: bool = False
    by_wipefs: bool = True  # else the bytes are cleared by their place


class View:
    """A volume's beginning and end, read once each; an unreadable part has no marks.

    A bad sector that is not in use must not keep a dying disk from being imaged.
    """

    def __init__(self, source: BlockSource, *, only_ends: bool = False) -> None:
        """:param only_ends: read what little the marks of arrays need: the source may be an image on a storage."""
        self._source = source
        self.only_ends = only_ends
        self.size_bytes = source.size_bytes
        self.sector_bytes = source.sector_bytes
        self._pieces: List[Tuple[int, bytes]] = []
        self._unreadable: List[int] = []
        tail = max(0, self.size_bytes - _TAIL_BYTES)
        wanted = [(0, min(_HEAD_BYTES, self.size_bytes)), (tail, self.size_bytes - tail)]
        for start, length in [] if only_ends else wanted:
            try:
                self._pieces.append((start, source.read(start, length)))
            except DiskUnreadable:
                continue  # asked for page by page, where a mark may be

    def at(self, place: int, length: int) -> bytes:
        """The bytes at a place, none where they are not all there."""
        if place < 0 or place + length > self.size_bytes:
            return b""
        for start, data in self._pieces:
            if start <= place and place + length <= start + len(data):
                return data[place - start : place - start + length]
        first = place - place % _PAGE_BYTES
        if first in self._unreadable:
            return b""
        try:
            return self._source.read(place, length)
        except DiskUnreadable:
            self._unreadable.append(first)
            return b""


def find_marks(view: View) -> List[Mark]:
    """Every mark of a volume but those of file systems that a parser looks for: ext, FAT, NTFS and swap space."""
    found = [_mark(known, True) for known in CONTAINERS if _is_at(view, known)]
    found += array_marks(view)
    found += [_mark(known) for known in SYSTEMS if _is_at(view, known)]
    for check in (_drbd, _minix, _hfs, _nilfs, _qnx4, _nameless_fat, _zfs):
        found += check(view)
    return found


def array_marks(view: View) -> List[Mark]:
    """The marks of members of an array, which may begin like the file system that is on the array."""
    return [mark for find in (_software_raid, _firmware_raid) for mark in find(view)]


def zfs_places(view: View) -> List[int]:
    """The offsets of uberblocks of ZFS in any of the four labels [ZFS On-Disk Specification, section 1.3]."""
    end = view.size_bytes - view.size_bytes % _ZFS_LABEL_BYTES
    places = []
    for label in (0, _ZFS_LABEL_BYTES, end - 2 * _ZFS_LABEL_BYTES, end - _ZFS_LABEL_BYTES):
        start = label + _ZFS_LABEL_BYTES - _ZFS_RING_BYTES
        ring = view.at(start, _ZFS_RING_BYTES) if label >= 0 else b""
        if _ZFS_MAGIC in ring or _ZFS_MAGICS[1] in ring:
            places += [
                start + place
                for place in range(0, len(ring), _ZFS_STEP_BYTES)
                if ring[place : place + 8] in _ZFS_MAGICS
            ]
    return sorted(set(places))


def _mark(known: Known, is_container: bool = False) -> Mark:
    return Mark(known.name, known.place, len(known.magic), known.blkid, is_container, known.by_wipefs)


def _is_at(view: View, known: Known) -> bool:
    return view.at(known.place, len(known.magic)) == known.magic


def _software_raid(view: View) -> Iterator[Mark]:
    def mark(place: int) -> Mark:
        return Mark(RAID_KIND, place, 4, "linux_raid_member", True, False)

    size = view.size_bytes
    for place in (0, 4096):  # versions 1.1 and 1.2
        if view.at(place, 4) == _RAID_MAGIC:
            yield mark(place)
    if size < 65536:
        return
    place = (size & ~0xFFFF) - 65536
    if view.at(place, 4) in _RAID_MAGICS:  # version 0.90
        yield mark(place)
    place = (size - 8192) & ~0xFFF  # version 1.0
    head = view.at(place, 152)
    # The superblock of a disk's last partition may have the same place; it records its offset on its own volume.
    if head[:4] == _RAID_MAGIC and struct.unpack_from("<Q", head, 144)[0] == place // 512:
        yield mark(place)


def _firmware_raid(view: View) -> Iterator[Mark]:
    seen = set()
    for sector_bytes in sorted({512, view.sector_bytes}):
        end = view.size_bytes - view.size_bytes % sector_bytes
        for sectors, known in TAIL_RAIDS:
            place = end - sectors * sector_bytes
            if view.only_ends and sectors > _NEAR_SECTORS:
                continue
            if place not in seen and view.at(place, len(known.magic)) == known.magic:
                seen.add(place)
                yield Mark(known.name, place, len(known.magic), known.blkid, True, known.by_wipefs)
    last = view.size_bytes - view.size_bytes % 512 - 512
    data = view.at(last, 512)
    if len(data) < 512 or last in seen:
        return
    words = struct.unpack("<256H", data)
    if data[:2] == b"\x55\xaa" and data[2] <= 2 and sum(data[:50]) & 0xFF == data[50] and data[3:18].strip(b"\0"):
        yield Mark(FIRMWARE_RAID_KIND, last, 2, "via_raid_member", True, False)
    elif data[:2] == b"JM" and sum(words[:64]) & 0xFFFF in (0, 1):
        yield Mark(FIRMWARE_RAID_KIND, last, 2, "jmicron_raid_member", True, False)
    elif data[0x60:0x64] == b"\0\0\0\x2f" and -sum(words[:159]) & 0xFFFF == words[159]:
        yield Mark(FIRMWARE_RAID_KIND, last + 0x60, 4, "silicon_medley_raid_member", True, False)


def _drbd(view: View) -> Iterator[Mark]:
    """The metadata of DRBD inside a volume, in its last 4 KiB."""
    place = view.size_bytes - _PAGE_BYTES + 60
    if view.size_bytes >= 65536 and view.at(place, 4) in _DRBD_MAGICS:
        yield Mark("DRBD", place, 4, "drbd")


def _minix(view: View) -> Iterator[Mark]:
    block = view.at(1024, 1024)
    if not block or block[56:58] == b"\x53\xef":  # the free inodes of ext lie where Minix has its mark
        return
    for offset, magic in _MINIX:
        for order, wanted in (("<", magic), (">", magic[::-1])):
            if block[offset : offset + 2] == wanted and _is_minix(block, offset == 24, order, view.size_bytes):
                yield Mark("Minix", 1024 + offset, 2, "minix")
                return


def _is_minix(block: bytes, is_third: bool, order: str, size_bytes: int) -> bool:
    if is_third:
        inodes, dummy_pad, inode_maps, zone_maps, first, shift = struct.unpack_from(order + "IHHHHH", block)
        zones, block_bytes = (
            struct.unpack_from(order + "I", block, 20)[0],
            struct.unpack_from(order + "H", block, 28)[0],
        )
    else:
        inodes, zones, inode_maps, zone_maps, first, shift = struct.unpack_from(order + "6H", block)
        zones, block_bytes = zones or struct.unpack_from(order + "I", block, 20)[0], 1024
    if not inodes or not inode_maps or not zone_maps or shift > 8 or block_bytes not in (1024, 2048, 4096, 8192):
        return False
    if not 2 + inode_maps + zone_maps <= first < zones or inode_maps * block_bytes * 8 < inodes:
        return False
    return bool(zones * block_bytes <= size_bytes)


def _hfs(view: View) -> Iterator[Mark]:
    block = view.at(1024, 64)
    if block[:2] != b"BD":
        return
    count, block_bytes = struct.unpack_from(">HI", block, 18)
    first = struct.unpack_from(">H", block, 28)[0]
    if count and block_bytes and block_bytes % 512 == 0 and first * 512 + count * block_bytes <= view.size_bytes:
        yield Mark("HFS", 1024, 2, "hfs")


def _nilfs(view: View) -> Iterator[Mark]:
    for place in (1024, (view.size_bytes // 512 - 8) * 512):
        block = view.at(place, 1024)
        if block[6:8] != b"\x34\x34":
            continue
        size, dummy_flags, seed, wanted = struct.unpack_from("<HHII", block, 8)
        if 20 <= size <= 1024:
            data = block[:16] + bytes(4) + block[20:size]
            if zlib.crc32(data, seed ^ 0xFFFFFFFF) ^ 0xFFFFFFFF == wanted:
                yield Mark("NILFS2", place + 6, 2, "nilfs2")


def _qnx4(view: View) -> Iterator[Mark]:
    """The inode of the root folder: its name, and that it is a folder [Linux fs/qnx4]."""
    inode = view.at(512, 64)
    if inode[:16] == b"/".ljust(16, b"\0") and struct.unpack_from("<H", inode, 50)[0] & 0xF000 == 0x4000:
        yield Mark("QNX4", 512, 16, "")


def _nameless_fat(view: View) -> Iterator[Mark]:
    """A FAT boot sector as old systems write it, without the words that name it."""
    boot = view.at(0, 512)
    if boot[510:] != b"\x55\xaa" or boot[:1] not in (b"\xeb", b"\xe9") or b"FAT" in boot[54:90]:
        return
    sector, per_cluster, reserved, tables, roots, total = struct.unpack_from("<HBHBHH", boot, 11)
    media, table_sectors = struct.unpack_from("<BH", boot, 21)
    total = total or struct.unpack_from("<I", boot, 32)[0]
    if sector not in (512, 1024, 2048, 4096) or not per_cluster or per_cluster & (per_cluster - 1) or not reserved:
        return
    if tables not in (1, 2) or not (media == 0xF0 or media >= 0xF8) or not roots or not table_sectors or not total:
        return
    if reserved + tables * table_sectors < total and total * sector <= view.size_bytes:
        yield Mark("FAT", *FAT_PLACE, "vfat", False, False)


def _zfs(view: View) -> Iterable[Mark]:
    places = zfs_places(view)
    return [Mark("ZFS", place, 8, "zfs_member") for place in places] if len(places) >= _ZFS_LEAST else []


Finder = Callable[[View], Iterable[Mark]]
