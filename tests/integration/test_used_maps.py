# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Used-block maps of our parsers against independent programs, on volumes made and filled by their own tools."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import oracles
from support.filled import MIB, check_volume, make_ext, make_fat, make_ntfs, run
from support.used_maps import assert_same, ntfs_tail, our_map

NTFS = {
    "cluster-512": ("-c", "512"),
    "cluster-1k": ("-c", "1024"),
    "cluster-2k": ("-c", "2048"),
    "cluster-4k": ("-c", "4096"),
    "cluster-8k": ("-c", "8192"),
    "cluster-64k": ("-c", "65536"),
    "sector-1k": ("-s", "1024"),
    "sector-4k": ("-s", "4096", "-c", "4096"),
    "sector-4k-cluster-64k": ("-s", "4096", "-c", "65536"),
}
EXT = {
    "ext2-1k": ("-t", "ext2", "-b", "1024"),
    "ext2-4k": ("-t", "ext2", "-b", "4096"),
    "ext2-no-sparse-super": ("-t", "ext2", "-b", "1024", "-O", "^sparse_super,^resize_inode"),
    "ext3-1k": ("-t", "ext3", "-b", "1024"),
    "ext3-4k": ("-t", "ext3", "-b", "4096"),
    "ext4-1k": ("-t", "ext4", "-b", "1024"),
    "ext4-2k": ("-t", "ext4", "-b", "2048"),
    "ext4-4k": ("-t", "ext4", "-b", "4096"),
    "ext4-64bit": ("-t", "ext4", "-b", "1024", "-O", "64bit"),
    "ext4-32bit": ("-t", "ext4", "-b", "1024", "-O", "^64bit"),
    "ext4-no-flex-bg": ("-t", "ext4", "-b", "1024", "-O", "^flex_bg"),
    "ext4-meta-bg": ("-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode"),
    "ext4-meta-bg-no-flex": ("-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode,^flex_bg"),
    "ext4-inline-data": ("-t", "ext4", "-O", "inline_data", "-I", "256"),
    "ext4-uninit-bg": ("-t", "ext4", "-b", "1024", "-O", "uninit_bg,^metadata_csum"),
    "ext4-no-checksums": ("-t", "ext4", "-O", "^metadata_csum,^uninit_bg"),
    "ext4-sparse-super2": ("-t", "ext4", "-b", "1024", "-O", "sparse_super2,^resize_inode"),
    "ext4-no-journal": ("-t", "ext4", "-O", "^has_journal"),
    "ext4-small-groups": ("-t", "ext4", "-b", "1024", "-g", "2048"),
    "ext4-bigalloc": ("-t", "ext4", "-O", "bigalloc", "-C", "16384"),
    "ext4-bigalloc-1k": ("-t", "ext4", "-b", "1024", "-O", "bigalloc", "-C", "16384"),
    "ext4-large-inodes": ("-t", "ext4", "-I", "1024"),
}
FAT = {
    "fat12-4m": (4, "-F", "12"),
    "fat12-cluster-8k": (16, "-F", "12", "-s", "16"),
    "fat16-cluster-2k": (64, "-F", "16", "-s", "4"),
    "fat16-cluster-32k": (200, "-F", "16", "-s", "64"),
    "fat16-one-table": (64, "-F", "16", "-f", "1"),
    "fat32-cluster-512": (64, "-F", "32", "-s", "1"),
    "fat32-cluster-4k": (300, "-F", "32", "-s", "8"),
    "fat32-sector-4k": (300, "-F", "32", "-S", "4096", "-s", "1"),
    "fat32-reserved-64": (64, "-F", "32", "-s", "1", "-R", "64"),
}


@pytest.mark.root
@pytest.mark.parametrize("name", sorted(NTFS))
def test_ntfs_equals_ntfsclone_and_partclone(name: str, tmp_path: Path, need) -> None:
    need("mkntfs", "ntfsclone", "partclone.ntfs", "ntfs-3g", "losetup")
    volume = make_ntfs(tmp_path / "volume", tmp_path, 64 * MIB, *NTFS[name], files=500)
    check_volume("ntfs", volume)
    ours, cluster_bytes = our_map(volume)
    size = volume.stat().st_size
    tail = ntfs_tail(size, cluster_bytes, int(NTFS[name][1]) if NTFS[name][0] == "-s" else 512)
    assert_same(ours, oracles.ntfsclone(volume), tail)
    assert_same(ours, oracles.partclone("ntfs", volume, tmp_path), tail)


@pytest.mark.root
@pytest.mark.parametrize("name", sorted(EXT))
def test_ext_equals_dumpe2fs(name: str, tmp_path: Path, need) -> None:
    need("mke2fs", "dumpe2fs", "e2fsck", "losetup")
    volume = make_ext(tmp_path / "volume", tmp_path, 64 * MIB, *EXT[name], files=500)
    check_volume("ext", volume)
    ours, dummy_cluster = our_map(volume)
    # With blocks of 1 KiB the boot block is block 0, which belongs to no group.
    assert_same(ours, oracles.dumpe2fs(volume), [(0, 1024)])


@pytest.mark.root
@pytest.mark.parametrize("name", ["ext2-1k", "ext3-4k", "ext4-4k", "ext4-64bit"])
def test_ext_equals_partclone(name: str, tmp_path: Path, need) -> None:
    need("partclone.extfs")
    volume = make_ext(tmp_path / "volume", tmp_path, 64 * MIB, *EXT[name], files=300)
    ours, dummy_cluster = our_map(volume)
    assert_same(ours, oracles.partclone("extfs", volume, tmp_path), [(0, 1024)])


@pytest.mark.parametrize("name", sorted(FAT))
def test_fat_equals_its_chains_and_partclone(name: str, tmp_path: Path, need) -> None:
    need("mkfs.fat", "mcopy", "partclone.vfat", "fsck.fat")
    size_mib, *options = FAT[name]
    volume = make_fat(tmp_path / "volume", tmp_path, int(size_mib) * MIB, *map(str, options), files=150)
    check_volume("fat", volume)
    ours, dummy_cluster = our_map(volume)
    assert_same(ours, oracles.fat_chains(volume), [])
    if "12" not in options:  # partclone misreads tables of 12 bits: it calls clusters free that fsck.fat counts as used
        assert_same(ours, oracles.partclone("vfat", volume, tmp_path), [])


def test_swap_keeps_its_header_only(tmp_path: Path, need) -> None:
    need("mkswap")
    volume = tmp_path / "swap"
    volume.write_bytes(b"old content of the swap space" * 300_000)
    run("mkswap", volume)
    ours, dummy_page = our_map(volume)
    assert list(ours) == [(0, 4096)]
