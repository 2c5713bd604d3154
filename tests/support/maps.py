# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of volumes next to those of other programs, and volumes restored from an image of what a map calls used."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import List, NamedTuple, Tuple

from engine.disk.extents import ExtentSet
from engine.disk.filesystems.contract import VolumeState
from engine.disk.filesystems.registry import detect
from engine.disk.source import FileSource
from support.filled import MIB, check_volume, contents, mounted
from support.imaging import image, restore

from . import oracles


class Map(NamedTuple):
    extents: ExtentSet
    cluster_bytes: int
    kind: str


def our_map(volume: Path, state: VolumeState = VolumeState.OFFLINE) -> Map:
    """What our parser says is in use; the test fails where it does not trust the volume."""
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert found is not None
        used = found.used(state)
        assert used.trusted, used.reason
        return Map(used.extents, found.cluster_bytes, found.kind)


def assert_same(ours: ExtentSet, theirs: List[Tuple[int, int]], always: List[Tuple[int, int]]) -> None:
    """Ours is what the other program saves plus what no bitmap covers; ``always`` names that."""
    expected = ExtentSet(theirs).union(ExtentSet(always))
    lost, extra = expected.difference(ours), ours.difference(expected)
    assert list(lost) == [], "in use, but our map leaves it out"
    assert list(extra) == [], "our map holds what is free"


def restored(volume: Path, work: Path) -> Path:
    """Image the volume and restore it onto a disk on which something else was: 0xDD wherever nothing is written."""
    storage, target = work / "storage", work / "restored"
    storage.mkdir()
    made = image(storage, volume, secrets={})
    assert made["warnings"] == [], "the volume is imaged by its map, with nothing to say"
    _rubbish(target, our_map(volume).extents, volume.stat().st_size)
    restore(storage, target, secrets={}, overwrite=True)
    assert os.stat(target).st_size == volume.stat().st_size
    return target


def only_used(volume: Path, state: VolumeState = VolumeState.OFFLINE) -> Path:
    """A copy of what the map calls used; what it leaves out holds 0xDD, as a new disk may hold anything."""
    extents, size_bytes = our_map(volume, state).extents, volume.stat().st_size
    assert extents.total_bytes < size_bytes
    copy = volume.with_suffix(".restored")
    _rubbish(copy, extents, size_bytes)
    with open(volume, "rb") as reading, open(copy, "r+b") as writing:
        for start, length in extents:
            reading.seek(start)
            writing.seek(start)
            writing.write(reading.read(length))
    return copy


def _rubbish(path: Path, used: ExtentSet, size_bytes: int) -> None:
    with open(path, "wb") as file:
        file.truncate(size_bytes)
        for start, length in used.complement(size_bytes):
            for place in sorted({start, max(start, start + length - MIB)}):  # both ends of a long hole say enough
                file.seek(place)
                file.write(b"\xdd" * min(MIB, start + length - place))


def ntfs_tail(volume: Path, cluster_bytes: int) -> List[Tuple[int, int]]:
    """The backup boot sector lies behind the last cluster, where no bit of $Bitmap stands for it, or ends the partition."""
    with open(volume, "rb") as file:
        boot = file.read(512)
    sector_bytes, sectors = struct.unpack_from("<H", boot, 11)[0], struct.unpack_from("<Q", boot, 40)[0]
    start, size = sectors * sector_bytes // cluster_bytes * cluster_bytes, volume.stat().st_size
    return [(start, (sectors + 1) * sector_bytes - start), (size - sector_bytes, sector_bytes)]


def assert_equals_oracle(kind: str, volume: Path) -> None:
    """Our map of a filled volume is that of ntfsclone, of dumpe2fs, or of the chains that fsck.fat knows."""
    ours = our_map(volume)
    if kind == "ntfs":
        assert_same(ours.extents, oracles.ntfsclone(volume), ntfs_tail(volume, ours.cluster_bytes))
    elif kind == "ext":
        # With blocks of 1 KiB the boot block is block 0, which belongs to no group.
        assert_same(ours.extents, oracles.dumpe2fs(volume), [(0, 1024)])
    else:
        assert_same(ours.extents, oracles.fat_chains(volume), [])


def assert_restores(kind: str, mount_type: str, volume: Path, work: Path) -> None:
    """The restored volume is clean and holds the same files."""
    copy = restored(volume, work)
    check_volume(kind, copy)
    with mounted(volume, work / "a", mount_type, read_only=True) as folder:
        before = contents(folder)
    with mounted(copy, work / "b", mount_type, read_only=True) as folder:
        assert contents(folder) == before
