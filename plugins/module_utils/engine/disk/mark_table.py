# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The marks by which file systems, arrays and containers are known, at fixed places from the beginning of a volume.

Sources: libblkid of util-linux (superblocks/*.c) for magics, places and names of types; LUKS On-Disk Format 1.2.3; lvm2,
lib/label/label.h; libbde, "BitLocker Drive Encryption format"; Linux fs/qnx4, fs/qnx6; FreeBSD sys/disklabel.h.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

LVM_KIND = "an LVM physical volume"
RAID_KIND = "a Linux software RAID member"
FIRMWARE_RAID_KIND = "a member of a RAID of the firmware"


class Known(NamedTuple):
    """A mark: what it belongs to, the type that wipefs calls it ("" where it knows none), where it lies, its bytes.

    ``by_wipefs`` says that wipefs finds it by these bytes alone, where others must be right as well.
    """

    name: str
    blkid: str
    place: int
    magic: bytes
    by_wipefs: bool = True


def _hex(name: str, blkid: str, place: int, text: str, by_wipefs: bool = True) -> Known:
    return Known(name, blkid, place, bytes.fromhex(text), by_wipefs)


# Containers, which wrap other volumes or hide them.
CONTAINERS: Tuple[Known, ...] = (
    Known("LUKS", "crypto_LUKS", 0, b"LUKS\xba\xbe"),
    *(Known("LUKS", "crypto_LUKS", 0x4000 << step, b"SKUL\xba\xbe") for step in range(9)),
    Known("BitLocker", "BitLocker", 3, b"-FVE-FS-", False),
    _hex("BitLocker To Go", "BitLocker", 424, "3bd66749292ed84a8399f6a339e3d001", False),  # looks like FAT32
    Known("ReFS", "ReFS", 3, b"ReFS\0", False),
    *(Known(LVM_KIND, "LVM2_member", sector * 512, b"LABELONE", False) for sector in range(4)),
    Known("an LVM1 physical volume", "LVM1_member", 0, b"HM\1\0"),
    Known("an LVM1 physical volume", "LVM1_member", 0, b"HM\2\0"),
    Known("a snapshot's copy-on-write store", "DM_snapshot_cow", 0, b"SnAp"),
    Known("a dm-verity hash tree", "DM_verity_hash", 0, b"verity\0\0", False),
    Known("a dm-integrity volume", "DM_integrity", 0, b"integrt\0", False),
    Known("VDO", "vdo", 0, b"dmvdo001"),
    *(
        Known("a Stratis member", "stratis", place, b"!Stra0tis\x86\xff\x02^\x41rh", False)
        for place in (512 + 4, 9 * 512 + 4)
    ),
    _hex("bcache", "bcache", 4120, "c68573f64e1a45ca8265f57f48ba6d81", False),
    _hex("bcachefs", "bcache", 4120, "c68573f666ce90a9d96a60cf803df7ef", False),
    Known("a DRBD control volume", "drbdmanage_control_volume", 0, b"$DRBDmgr=q", False),
    Known("Ceph BlueStore", "ceph_bluestore", 0, b"bluestore block device"),
    _hex("VMFS", "VMFS_volume_member", 0x100000, "0dd001c0"),
    _hex("VMFS", "VMFS", 0x200000, "5ef1ab2f"),
    *(_hex(FIRMWARE_RAID_KIND, "hpt37x_raid_member", 9 * 512 + 32, text) for text in ("f016785a", "fd16785a")),
    Known("Oracle ASM", "oracleasm", 32, b"ORCLDISK"),
)

_UFS = ("00011954", "19540119", "00095014", "00195612", "05231994")
_UFS_PLACES = (0, 8 << 10, 64 << 10, 256 << 10)


def _either(name: str, blkid: str, place: int, texts: Tuple[str, ...], by_wipefs: bool = True) -> Tuple[Known, ...]:
    """Numbers as a machine of either byte order wrote them."""
    both = [bytes.fromhex(text) for text in texts]
    return tuple(Known(name, blkid, place, magic, by_wipefs) for one in both for magic in (one, one[::-1]))


# File systems. Those that a parser reads are here too, by the same first bytes.
SYSTEMS: Tuple[Known, ...] = (
    Known("XFS", "xfs", 0, b"XFSB", False),
    Known("exFAT", "exfat", 3, b"EXFAT   "),
    Known("btrfs", "btrfs", 65600, b"_BHRfS_M"),
    *(_hex("F2FS", "f2fs", place, "1020f5f2") for place in (1024,)),
    _hex("F2FS", "", 4096 + 1024, "1020f5f2", False),
    Known("APFS", "apfs", 32, b"NXSB", False),
    Known("HFS+", "hfsplus", 1024, b"H+\0\4", False),
    Known("HFS+", "hfsplus", 1024, b"HX\0\5", False),
    Known("ISO 9660", "iso9660", 32769, b"CD001", False),
    Known("ISO 9660", "iso9660", 32777, b"CDROM"),
    *(
        Known("UDF", "udf", 32769, magic, False)
        for magic in (b"BEA01", b"BOOT2", b"CDW02", b"NSR02", b"NSR03", b"TEA01")
    ),
    *(
        Known("ReiserFS", "reiserfs", place, magic, False)
        for place in ((8 << 10) + 52, (64 << 10) + 52)
        for magic in (b"ReIsErFs", b"ReIsEr2Fs", b"ReIsEr3Fs")
    ),
    Known("ReiserFS", "reiserfs", (8 << 10) + 20, b"ReIsErFs", False),
    Known("Reiser4", "reiser4", 65536, b"ReIsEr4"),
    Known("JFS", "jfs", 32768, b"JFS1", False),
    Known("SquashFS", "squashfs,squashfs3", 0, b"hsqs", False),
    Known("SquashFS", "squashfs,squashfs3", 0, b"sqsh", False),
    *(entry for place in (0, 512) for entry in _either("cramfs", "" if place else "cramfs", place, ("28cd3d45",))),
    Known("romfs", "romfs", 0, b"-rom1fs-"),
    _hex("EROFS", "erofs", 1024, "e2e1f5e0"),
    *(entry for base in _UFS_PLACES for entry in _either("UFS", "ufs", base + 1372, _UFS)),
    *_either("QNX6", "", 8192, ("68191122",)),
    _hex("GFS", "gfs,gfs2", 65536, "01161970", False),
    _hex("HPFS", "hpfs", 0x2000, "49e895f9", False),
    *(entry for place in (1024, 8192) for entry in _either("VxFS", "vxfs", place, ("a501fcf5",), False)),
    _hex("BFS", "bfs", 0, "cefaad1b"),
    *(Known("BeFS", "befs", place, magic, False) for place in (32, 544) for magic in (b"BFS1", b"1SFB")),
    *(Known("OCFS2", "ocfs2", size << 10, b"OCFSV2") for size in (1, 2, 4, 8)),
    Known("OCFS", "ocfs", 8, b"OracleCFS", False),
    Known("NetWare", "nss", 4096, b"SPB5"),
    *(
        entry
        for base in (0, 9, 15, 18)
        for entry in _either("System V", "sysv", base * 512 + 504, ("fd187e20",), False)
    ),
    *(Known("Xenix", "xenix", 2040, magic, False) for magic in (b"\x2b\x55\x44", b"\x44\x55\x2b")),
    Known("UBI", "ubi", 0, b"UBI#"),
    _hex("UBIFS", "ubifs", 0, "31181006"),
    Known("zonefs", "zonefs", 0, b"SFOZ"),
    Known("EXFS", "exfs", 0, b"EXFS", False),
    Known("mpool", "mpool", 0, b"mpoolDev"),
    *(entry for place in (512, 64) for entry in _either("a BSD disklabel", "", place, ("82564557",))),
)

# By the first sectors counted from the end of a whole number of sectors.
TAIL_RAIDS: Tuple[Tuple[int, Known], ...] = (
    (2, Known(FIRMWARE_RAID_KIND, "isw_raid_member", 0, b"Intel Raid ISM Cfg Sig. ")),
    (1, _hex(FIRMWARE_RAID_KIND, "ddf_raid_member", 0, "de11de11", False)),
    (257, _hex(FIRMWARE_RAID_KIND, "ddf_raid_member", 0, "de11de11", False)),
    (1, Known(FIRMWARE_RAID_KIND, "lsi_mega_raid_member", 0, b"$XIDE$", False)),
    (2, Known(FIRMWARE_RAID_KIND, "nvidia_raid_member", 0, b"NVIDIA", False)),
    (1, _hex(FIRMWARE_RAID_KIND, "adaptec_raid_member", 0, "37fc4d1e", False)),
    *((11, _hex(FIRMWARE_RAID_KIND, "hpt45x_raid_member", 0, text, False)) for text in ("f316785a", "fd16785a")),
    *(
        (sectors, Known(FIRMWARE_RAID_KIND, "promise_fasttrack_raid_member", 0, b"Promise Technology, Inc.", False))
        for sectors in (16, 63, 255, 256, 399, 591, 675, 735, 911, 951, 974, 991)
    ),
)
