# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our parsers say is in use of a volume, held against what another program says."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

from engine.disk.extents import ExtentSet
from engine.disk.filesystems.contract import VolumeState
from engine.disk.filesystems.registry import detect
from engine.disk.source import FileSource

from . import oracles
from .filled import MIB


def our_map(volume: Path, state: VolumeState = VolumeState.OFFLINE) -> Tuple[ExtentSet, int]:
    """Return what our parser says is in use, and the size of a cluster."""
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert found is not None
        used = found.used(state)
        assert used.trusted, used.reason
        return used.extents, found.cluster_bytes


def assert_same(ours: ExtentSet, theirs: List[Tuple[int, int]], always: List[Tuple[int, int]]) -> None:
    """Ours is what the other program saves plus what no bitmap covers; ``always`` names that."""
    expected = ExtentSet(theirs).union(ExtentSet(always))
    lost, extra = expected.difference(ours), ours.difference(expected)
    assert list(lost) == [], "in use, but our map leaves it out"
    assert list(extra) == [], "our map holds what is free"


def ntfs_tail(size_bytes: int, cluster_bytes: int, sector_bytes: int) -> List[Tuple[int, int]]:
    """The backup boot sector, which lies behind the last cluster, where no bit of $Bitmap stands for it."""
    clusters = (size_bytes // sector_bytes - 1) * sector_bytes // cluster_bytes
    return [(clusters * cluster_bytes, size_bytes - clusters * cluster_bytes)]


def assert_equals_oracle(kind: str, volume: Path, sector_bytes: int) -> None:
    """Our map of a filled volume is that of ntfsclone, of dumpe2fs, or of the chains that fsck.fat knows."""
    ours, cluster_bytes = our_map(volume)
    if kind == "ntfs":
        assert_same(ours, oracles.ntfsclone(volume), ntfs_tail(volume.stat().st_size, cluster_bytes, sector_bytes))
    elif kind == "ext":
        assert_same(ours, oracles.dumpe2fs(volume), [(0, 1024)])
    else:
        assert_same(ours, oracles.fat_chains(volume), [])


def only_used(volume: Path, state: VolumeState = VolumeState.OFFLINE) -> Path:
    """Return a copy of what the map calls used; what it leaves out holds 0xDD, as a new disk may hold anything."""
    with FileSource(str(volume)) as source:
        found = detect(source)
        assert found is not None
        answer = found.used(state)
    assert answer.trusted, answer.reason
    size_bytes = volume.stat().st_size
    assert answer.extents.total_bytes < size_bytes
    copy = volume.with_suffix(".restored")
    with open(volume, "rb") as reading, open(copy, "wb") as writing:
        for dummy in range(size_bytes // MIB):
            writing.write(b"\xdd" * MIB)
        for start, length in answer.extents:
            reading.seek(start)
            writing.seek(start)
            writing.write(reading.read(length))
        writing.truncate(size_bytes)
    return copy
