# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ext2/3/4: used-block maps against dumpe2fs and partclone; each volume restored, checked, compared file by file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Iterator

import pytest
from engine.disk.extents import ExtentSet
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import read_layout
from engine.disk.source import FileSource
from engine.disk.used import plan_disk
from support import oracles
from support.filled import MIB, check_volume, empty, make_ext, make_tree, mounted, run
from support.maps import assert_equals_oracle, assert_restores, assert_same, our_map

EXT = {
    "ext2-1k": ("-t", "ext2", "-b", "1024"),
    "ext2-4k": ("-t", "ext2", "-b", "4096"),
    "ext2-revision-0": ("-t", "ext2", "-r", "0", "-b", "1024"),
    "ext2-no-sparse-super": ("-t", "ext2", "-b", "1024", "-O", "^sparse_super,^resize_inode"),
    "ext3-1k": ("-t", "ext3", "-b", "1024"),
    "ext3-4k": ("-t", "ext3", "-b", "4096"),
    "ext4-1k": ("-t", "ext4", "-b", "1024"),
    "ext4-2k": ("-t", "ext4", "-b", "2048"),
    "ext4-4k": ("-t", "ext4", "-b", "4096"),
    "ext4-64bit": ("-t", "ext4", "-b", "1024", "-O", "64bit"),
    "ext4-32bit": ("-t", "ext4", "-b", "1024", "-O", "^64bit"),
    "ext4-no-flex-bg": ("-t", "ext4", "-b", "1024", "-O", "^flex_bg"),
    "ext4-flex-of-4": ("-t", "ext4", "-b", "1024", "-G", "4"),
    "ext4-packed-metadata": ("-t", "ext4", "-b", "1024", "-E", "packed_meta_blocks=1"),
    "ext4-meta-bg": ("-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode"),
    "ext4-meta-bg-no-flex": ("-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode,^flex_bg"),
    "ext4-inline-data": ("-t", "ext4", "-O", "inline_data", "-I", "256"),
    "ext4-uninit-bg": ("-t", "ext4", "-b", "1024", "-O", "uninit_bg,^metadata_csum"),
    "ext4-no-checksums": ("-t", "ext4", "-O", "^metadata_csum,^uninit_bg"),
    "ext4-checksum-seed": ("-t", "ext4", "-b", "1024", "-O", "metadata_csum_seed"),
    "ext4-sparse-super2": ("-t", "ext4", "-b", "1024", "-O", "sparse_super2,^resize_inode"),
    "ext4-no-journal": ("-t", "ext4", "-O", "^has_journal"),
    "ext4-huge-journal": ("-t", "ext4", "-b", "1024", "-J", "size=24"),
    "ext4-small-groups": ("-t", "ext4", "-b", "1024", "-g", "2048"),
    "ext4-bigalloc": ("-t", "ext4", "-O", "bigalloc", "-C", "16384"),
    "ext4-bigalloc-1k": ("-t", "ext4", "-b", "1024", "-O", "bigalloc", "-C", "16384"),
    "ext4-large-inodes": ("-t", "ext4", "-I", "1024"),
    "ext4-orphan-file": ("-t", "ext4", "-b", "1024", "-O", "orphan_file"),
    "ext4-block-maps": ("-t", "ext4", "-b", "1024", "-O", "^extents,^64bit"),
    "ext4-rare-features": ("-t", "ext4", "-O", "mmp,ea_inode,large_dir,encrypt,verity,stable_inodes"),
}
# Kernels without quotas or cases mount these for reading only: mke2fs itself fills them.
FILLED_BY_MKE2FS = {
    "ext4-quota": ("-t", "ext4", "-O", "quota,project"),
    "ext4-bigalloc-quota": ("-t", "ext4", "-b", "1024", "-O", "bigalloc,quota,inline_data", "-C", "8192"),
    "ext4-large-clusters": ("-t", "ext4", "-b", "4096", "-O", "bigalloc", "-C", "262144"),
}


def assert_map_is_right(volume: Path, work: Path) -> None:
    """The map is that of dumpe2fs; the restored volume is clean and holds the same files."""
    check_volume("ext", volume)
    assert_equals_oracle("ext", volume)
    assert_restores("ext", "ext4", volume, work)


@pytest.mark.root
@pytest.mark.parametrize("name", sorted(EXT))
def test_ext_equals_dumpe2fs_and_restores(name: str, memory_path: Path, need) -> None:
    need("mke2fs", "dumpe2fs", "e2fsck", "losetup")
    assert_map_is_right(make_ext(memory_path / "volume", memory_path, 64 * MIB, *EXT[name], files=150), memory_path)


@pytest.mark.root
@pytest.mark.parametrize("name", sorted(FILLED_BY_MKE2FS))
def test_ext_filled_by_mke2fs(name: str, memory_path: Path, need) -> None:
    need("mke2fs", "dumpe2fs", "e2fsck", "losetup")
    tree = make_tree(memory_path / "tree", files=150)
    volume = empty(memory_path / "volume", 64 * MIB)
    run("mke2fs", "-q", "-F", *FILLED_BY_MKE2FS[name], "-d", tree, volume)
    run("sh", "-c", "e2fsck -f -y '%s'; test $? -le 1" % volume)  # mke2fs does not count quotas
    assert_map_is_right(volume, memory_path)


@pytest.mark.root
@pytest.mark.parametrize("name", ["ext2-1k", "ext3-4k", "ext4-4k", "ext4-64bit"])
def test_ext_equals_partclone(name: str, memory_path: Path, need) -> None:
    need("partclone.extfs")
    volume = make_ext(memory_path / "volume", memory_path, 64 * MIB, *EXT[name], files=150)
    assert_same(our_map(volume).extents, oracles.partclone("extfs", volume, memory_path), [(0, 1024)])


@pytest.mark.root
@pytest.mark.parametrize("options", [(), ("-O", "meta_bg,^resize_inode")], ids=["reserved", "meta-bg"])
def test_ext_that_grew_and_shrank(options: tuple, memory_path: Path, need) -> None:
    need("resize2fs")
    volume = make_ext(memory_path / "volume", memory_path, 24 * MIB, "-t", "ext4", "-b", "1024", *options, files=60)
    os.truncate(volume, 96 * MIB)
    run("resize2fs", volume)
    assert_map_is_right(volume, memory_path)
    smaller = memory_path / "smaller"
    smaller.mkdir()
    run("e2fsck", "-f", "-p", volume)
    run("resize2fs", volume, "40M")  # and so behind the file system there is nothing
    os.truncate(volume, 40 * MIB)
    assert_map_is_right(volume, smaller)


def fill(path: Path) -> None:
    with open(path, "wb") as file:
        while True:
            file.write(b"f" * MIB)
            file.flush()


@pytest.mark.root
def test_ext_that_is_full(memory_path: Path, need) -> None:
    need("mke2fs")
    volume = make_ext(memory_path / "volume", memory_path, 32 * MIB, "-t", "ext4", "-b", "1024", "-m", "0", files=60)
    with mounted(volume, memory_path / "mnt", "ext4") as folder:
        with pytest.raises(OSError, match="No space left"):
            fill(folder / "filler")
    assert_map_is_right(volume, memory_path)


@contextlib.contextmanager
def loop_device(path: Path) -> Iterator[str]:
    device = run("losetup", "-f", "--show", path).strip()
    try:
        yield device
    finally:
        run("losetup", "-d", device)


@pytest.mark.root
def test_ext_whose_journal_is_another_device(memory_path: Path, need) -> None:
    """The volume is understood; a journal of its own kind is imaged whole."""
    need("mke2fs", "losetup")
    journal = empty(memory_path / "journal", 16 * MIB)
    with loop_device(journal) as device:
        run("mke2fs", "-q", "-F", "-b", "4096", "-O", "journal_dev", device)
        options = ("-t", "ext4", "-b", "4096", "-J", "device=%s" % device)
        volume = make_ext(memory_path / "volume", memory_path, 64 * MIB, *options, files=60)
        assert_map_is_right(volume, memory_path)
    with FileSource(str(journal)) as source:
        plan = plan_disk(source, read_layout(source), lambda partition: VolumeState.OFFLINE)
    assert list(plan.used) == [(0, 16 * MIB)]
    assert "the journal of an ext file system" in plan.warnings[0]


def test_what_lies_behind_a_swap_space_is_kept(memory_path: Path, need) -> None:
    need("mkswap")
    volume = memory_path / "swap"
    volume.write_bytes(b"somebody's own" * 300_000)
    run("mkswap", volume, "1024")
    with FileSource(str(volume)) as source:
        plan = plan_disk(source, read_layout(source), lambda partition: VolumeState.OFFLINE)
    assert plan.used == ExtentSet([(0, 4096), (1 << 20, volume.stat().st_size - (1 << 20))])


def test_swap_keeps_its_header_only(memory_path: Path, need) -> None:
    need("mkswap")
    volume = memory_path / "swap"
    volume.write_bytes(b"old content of the swap space" * 300_000)
    run("mkswap", volume)
    assert list(our_map(volume).extents) == [(0, 4096)]
