# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a file's bytes are, in the order of the file: joined they are what other programs read."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from pathlib import Path
from typing import Callable, List, Tuple

import pytest
from engine.disk.filesystems.registry import detect
from engine.disk.source import FileSource
from engine.restore.resize.volume import find

MIB = 1 << 20
NEED = {"fat": ("mkfs.fat", "mcopy"), "ntfs": ("mkntfs", "ntfscp"), "ext": ("mke2fs", "debugfs")}


def run(*words: object) -> str:
    done = subprocess.run([str(one) for one in words], check=True, capture_output=True, text=True)
    return done.stdout


def empty(path: Path, size: int) -> Path:
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def read(volume: Path, name: str) -> Tuple[List[Tuple[int, int]], bytes]:
    with FileSource(str(volume)) as source:
        system = detect(source)
        tree = system.tree() if system is not None else None
        assert tree is not None
        node = find(tree, (name,))
        assert node is not None
        ranges = tree.ranges(node)
        return (ranges, b"".join(source.read(*one) for one in ranges)) if ranges is not None else ([], b"")


@pytest.fixture
def content(tmp_path: Path) -> Path:
    path = tmp_path / "content"
    path.write_bytes(os.urandom(150_001))
    return path


def test_fat_chains_that_lead_back(tmp_path: Path, content: Path, need: Callable[..., None]) -> None:
    """The clusters of the file are put in another order, and the chain with them; mtools is the judge."""
    need(*NEED["fat"])
    volume = empty(tmp_path / "fat", 16 * MIB)
    run("mkfs.fat", "-F", "16", "-s", "4", volume)
    run("mcopy", "-i", volume, content, "::FILE.BIN")
    data = bytearray(volume.read_bytes())
    sector, per_cluster, reserved, tables, roots = struct.unpack_from("<HBHBH", data, 11)
    (table_sectors,) = struct.unpack_from("<H", data, 22)
    first = (reserved + tables * table_sectors) * sector + roots * 32
    cluster = sector * per_cluster
    count = -(-content.stat().st_size // cluster)
    whole = [bytes(data[first + number * cluster :][:cluster]) for number in range(count)]
    order = list(range(count))
    random.Random(3).shuffle(order)
    order.remove(0)
    order = [0, *order]  # the folder names the first one
    for number, place in enumerate(order):
        data[first + place * cluster : first + (place + 1) * cluster] = whole[number]
        after = order[number + 1] + 2 if number + 1 < count else 0xFFFF
        for table in range(tables):
            struct.pack_into("<H", data, (reserved + table * table_sectors) * sector + 2 * (place + 2), after)
    volume.write_bytes(bytes(data))
    run("mcopy", "-n", "-i", volume, "::FILE.BIN", tmp_path / "judged")
    assert (tmp_path / "judged").read_bytes() == content.read_bytes()
    ranges, found = read(volume, "FILE.BIN")
    assert ranges != sorted(ranges)
    assert found[: content.stat().st_size] == content.read_bytes()


def test_ntfs_without_other_streams(tmp_path: Path, content: Path, need: Callable[..., None]) -> None:
    need(*NEED["ntfs"])
    volume = empty(tmp_path / "ntfs", 16 * MIB)
    run("mkntfs", "-Q", "-F", "-q", "-c", "4096", volume)
    stream = tmp_path / "stream"
    stream.write_bytes(b"another stream" * 5000)
    run("ntfscp", "-q", volume, content, "file")
    run("ntfscp", "-q", "-N", "other", volume, stream, "file")
    small = tmp_path / "small"
    small.write_bytes(b"resident")
    run("ntfscp", "-q", volume, small, "small")
    assert read(volume, "file")[1] == content.read_bytes()
    assert read(volume, "small") == ([], b"")


def test_ext_in_the_order_of_the_map_and_to_its_end(tmp_path: Path, content: Path, need: Callable[..., None]) -> None:
    need(*NEED["ext"])
    for kind in ("ext2", "ext4"):
        volume = empty(tmp_path / kind, 16 * MIB)
        run("mke2fs", "-q", "-F", "-t", kind, "-b", "1024", volume)
        run("debugfs", "-w", "-R", "write %s file" % content, volume)
        run("debugfs", "-w", "-R", "symlink link file", volume)
        assert read(volume, "file")[1] == content.read_bytes()
        assert read(volume, "link") == ([], b"")
