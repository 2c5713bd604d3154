# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a volume or disk that our parsers do not read: it is imaged whole, and named.

Sources: LUKS On-Disk Format 1.2.3; lvm2, lib/label/label.h; Linux include/uapi/linux/raid/md_p.h; libbde, "BitLocker Drive
Encryption format"; mdadm, super-intel.c and super-ddf.c; libblkid of util-linux for the rest.
"""

from __future__ import annotations

import struct
from typing import Iterable, Tuple

from ..errors import DiskUnreadable
from .filesystems.ext import is_journal
from .source import BlockSource

LVM_KIND = "an LVM physical volume"
RAID_KIND = "a Linux software RAID member"
FIRMWARE_RAID_KIND = "a member of a RAID of the firmware"
# Types of partitions that say what is inside, whatever the inside looks like.
BY_TYPE = {
    "42": "a dynamic disk's volumes",
    "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": "a dynamic disk's database",
    "af9b60a0-1431-4f62-bc68-3311714a69ad": "a dynamic disk's volumes",
    "e75caf8f-f680-4cee-afa3-b001e56efc2d": "a member of a storage pool (Storage Spaces)",
}
_CONTAINERS = (
    (0, b"LUKS\xba\xbe", "LUKS"),
    (3, b"-FVE-FS-", "BitLocker"),
    (424, bytes.fromhex("3bd66749292ed84a8399f6a339e3d001"), "BitLocker To Go"),  # looks like FAT32
    (3, b"ReFS", "ReFS"),
    *((sector * 512, b"LABELONE", LVM_KIND) for sector in range(4)),
)
_OTHERS = (
    (0, b"XFSB", "XFS"),
    (3, b"EXFAT   ", "exFAT"),
    (65600, b"_BHRfS_M", "btrfs"),
    (1024, b"\x10\x20\xf5\xf2", "F2FS"),
    (32, b"NXSB", "APFS"),
    (1024, b"H+\x00\x04", "HFS+"),
    (1024, b"HX\x00\x05", "HFS+"),
    (32769, b"CD001", "ISO 9660"),
    (32769, b"BEA01", "UDF"),
    (65588, b"ReIsEr", "ReiserFS"),
    (32768, b"JFS1", "JFS"),
    (0, b"hsqs", "SquashFS"),
    (4120, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"), "bcache"),
    (4120, bytes.fromhex("c68573f666ce90a9d96a60cf803df7ef"), "bcachefs"),
    (0, b"dmvdo001", "VDO"),
)
_ZFS_RING, _ZFS_RING_BYTES, _ZFS_STEP_BYTES = 128 << 10, 128 << 10, 1024  # of the first label
_ZFS_MAGIC = struct.pack("<Q", 0x00BAB10C)
_RAID_MAGIC = struct.pack("<I", 0xA92B4EFC)
_RAID_MAGICS = (_RAID_MAGIC, _RAID_MAGIC[::-1])  # versions before 1 are in the order of the machine that made them
_INTEL, _DDF = b"Intel Raid ISM Cfg Sig. ", b"\xde\x11\xde\x11"


def container(source: BlockSource) -> str:
    """Name what wraps other volumes or hides them, "" when nothing does.

    Asked before any file system: the members of some arrays begin like the file system that is on the array.
    """
    return _first(source, _CONTAINERS) or array_member(source)


def recognise(source: BlockSource) -> str:
    """Name what is on a volume that no parser understands, "" when that is not known either."""
    journal = _at(source, 1024, 1024)
    if len(journal) == 1024 and is_journal(journal):
        return "the journal of an ext file system"
    return container(source) or system(source)


def system(source: BlockSource) -> str:
    """Name the file system or cache that is on a volume and that no parser understands, "" when there is none."""
    return _first(source, _OTHERS) or _zfs(source)


def _zfs(source: BlockSource) -> str:
    """Any uberblock of the first label [ZFS On-Disk Specification, section 1.3]; either order of bytes."""
    ring = _at(source, _ZFS_RING, _ZFS_RING_BYTES)
    magics = (_ZFS_MAGIC, _ZFS_MAGIC[::-1])
    found = any(ring[place : place + 8] in magics for place in range(0, len(ring), _ZFS_STEP_BYTES))
    return "ZFS" if found else ""


def array_member(source: BlockSource) -> str:
    """Name the RAID that a volume or a whole disk is a member of, "" when it is none."""
    size = source.size_bytes
    for place in (0, 4096):  # versions 1.1 and 1.2
        if _at(source, place, 4) == _RAID_MAGIC:
            return RAID_KIND
    if size >= 65536:
        if _at(source, (size & ~0xFFFF) - 65536, 4) in _RAID_MAGICS:  # version 0.90
            return RAID_KIND
        place = (size - 8192) & ~0xFFF  # version 1.0
        head = _at(source, place, 152)
        # The superblock of a disk's last partition may lie at the same place; it knows where it lies on its own volume.
        if head[:4] == _RAID_MAGIC and struct.unpack_from("<Q", head, 144)[0] == place // 512:
            return RAID_KIND
    for sector_bytes in sorted({512, source.sector_bytes}):
        if _at(source, size - 2 * sector_bytes, len(_INTEL)) == _INTEL or _at(source, size - sector_bytes, 4) == _DDF:
            return FIRMWARE_RAID_KIND
    return ""


def _first(source: BlockSource, signatures: Iterable[Tuple[int, bytes, str]]) -> str:
    for place, magic, name in signatures:
        if _at(source, place, len(magic)) == magic:
            return name
    return ""


def _at(source: BlockSource, place: int, length: int) -> bytes:
    if place < 0 or place + length > source.size_bytes:
        return b""
    try:
        return source.read(place, length)
    except DiskUnreadable:
        return b""  # what can't be read names nothing: a bad sector that nobody uses must not keep a dying disk from being imaged
