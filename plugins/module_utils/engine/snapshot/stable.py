# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small mounted system partitions (EFI, /boot of FAT): read into memory until two passes agree."""

from __future__ import annotations

import ctypes
import hashlib
import os
import time
from typing import List, Optional, Tuple

from ..disk.filesystems.contract import VolumeState
from ..disk.filesystems.fat import Fat
from ..disk.layout import Partition
from ..disk.overlay import OverlayPiece, linear
from ..disk.source import BlockSource, FileSource, MemorySource, WindowSource
from ..errors import DiskError

_MAX_BYTES = 128 << 20  # of a partition that is in use; an EFI partition holds about 30 MB
_DIGEST_STEP_BYTES = 1 << 20
_PASSES = 6
_PAUSE_SECONDS = 0.5

Held = List[Tuple[OverlayPiece, BlockSource]]


def read_stable(disk: FileSource, partition: Partition, mount_point: str) -> Optional[Held]:
    """Return the used bytes of a FAT partition as pieces in memory, read while no program wrote to it.

    It is None when the partition holds no FAT, too much, or does not stand still. The mounted file system writes past
    the cache of its disk, so it is asked to write its data, and the page cache of the disk is dropped before each pass.
    """
    before: Optional[bytes] = None  # a digest: the content of two passes does not fit into memory
    for number in range(_PASSES):
        if number > 1:
            time.sleep(_PAUSE_SECONDS)
        write_out(mount_point)
        disk.forget_cache()
        try:
            now = _read(disk, partition)
        except DiskError:
            return None  # what can't be understood is decided like any other volume in use
        if now is None:
            return None
        digest = _digest(now)
        if digest == before:
            return now
        before = digest
        del now
    return None


def _read(disk: FileSource, partition: Partition) -> Optional[Held]:
    window = WindowSource(disk, partition.start_bytes, partition.length_bytes)
    file_system = Fat.probe(window)
    if file_system is None:
        return None
    used = file_system.used(VolumeState.FROZEN).extents
    if used.total_bytes > _MAX_BYTES:
        return None
    return [
        (
            linear(partition.start_bytes + extent.start_bytes, extent.length_bytes),
            MemorySource(window.read(extent.start_bytes, extent.length_bytes), disk.sector_bytes, disk.path),
        )
        for extent in used
    ]


def _digest(held: Held) -> bytes:
    digest = hashlib.sha256()
    for piece, source in held:
        digest.update(repr(piece).encode())
        for start in range(0, source.size_bytes, _DIGEST_STEP_BYTES):
            digest.update(source.read(start, min(_DIGEST_STEP_BYTES, source.size_bytes - start)))
    return digest.digest()


def write_out(mount_point: str) -> None:
    """Have a mounted file system write what it has in memory: syncfs(2), which Python does not have."""
    try:
        descriptor = os.open(mount_point, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        os.sync()
        return
    try:
        if ctypes.CDLL(None).syncfs(descriptor):
            os.sync()
    finally:
        os.close(descriptor)
