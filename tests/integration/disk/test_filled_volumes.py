# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The volumes that other tests image hold what those tests say: else a comparison of files would prove little."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.filled import MIB, make_ext, make_fat, make_ntfs, mounted, run

LONG = "l" * 180 + ".log"
FOREIGN = "日本語のファイル名.dat"


def check_tree(folder: Path, files: int) -> None:
    """Thousands of files, sparse, hard-linked, tiny, large, with long and non-ASCII names."""
    (odd,) = (path for path in folder.iterdir() if path.name.startswith("F\u00f6rderband"))
    assert {LONG, FOREIGN} <= {path.name for path in odd.iterdir()}
    sparse = (folder / "sparse.img").stat()
    assert sparse.st_blocks * 512 < sparse.st_size // 4
    large = (folder / "large.bin").stat()
    assert large.st_nlink == 2
    assert large.st_ino == (odd / "second name of large.bin").stat().st_ino
    assert large.st_size > 3 * MIB
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    assert len(sizes) >= files
    assert {0, 1, 17} <= set(sizes)


@pytest.mark.root
def test_ntfs(tmp_path: Path, need) -> None:
    need("mkntfs", "ntfs-3g", "ntfsinfo", "losetup")
    volume = make_ntfs(tmp_path / "volume", tmp_path, 128 * MIB, files=3000)
    with mounted(volume, tmp_path / "mnt", "ntfs", read_only=True) as folder:
        check_tree(folder, 3000)
        packed = [path.stat() for path in (folder / "compressed").iterdir()]
        assert len(packed) == 20
        assert all(status.st_blocks * 512 < status.st_size // 4 for status in packed)
    said = run("ntfsinfo", "-f", "-v", "-F", "/compressed/log-3.txt", volume)
    assert re.search(r"Compression unit:\s+4", said), said
    said = run("ntfsinfo", "-f", "-v", "-F", "/fragmented.bin", volume)
    (runs,) = re.findall(r"Total runs: (\d+)", said)
    assert int(runs) > 10, said


@pytest.mark.root
def test_ext(tmp_path: Path, need) -> None:
    need("mke2fs", "debugfs", "losetup")
    volume = make_ext(tmp_path / "volume", tmp_path, 128 * MIB, "-t", "ext4", files=3000)
    with mounted(volume, tmp_path / "mnt", "ext4", read_only=True) as folder:
        check_tree(folder, 3000)
    for name, extents in (("fragmented.bin", 4), ("islands.bin", 300)):
        said = run("debugfs", "-R", "ex /%s" % name, volume)
        leaves = re.findall(r"^ *(\d+)/ *\1 +\d+/", said, re.MULTILINE)
        assert len(leaves) >= extents, said


def test_fat(tmp_path: Path, need) -> None:
    need("mkfs.fat", "mcopy", "mshowfat", "mdir")
    volume = make_fat(tmp_path / "volume", tmp_path, 128 * MIB, "-F", "32", "-s", "1", files=2400)
    said = run("mshowfat", "-i", volume, "::/fragmented.bin")
    assert said.count("<") > 5, said
    names = run("mdir", "-i", volume, "-b", "-s", "::/")
    assert LONG in names
    assert FOREIGN in names
    assert len(names.splitlines()) > 2000
