# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Partitions that Windows makes no shadow copies of: read until two passes agree, and compared again when the image reads them.

EFI and recovery partitions are rarely written to. An image holds the bytes that both passes saw, block by block. The engine
locks no volume, since a program of the plant may need it at any time.
"""

from __future__ import annotations

import hashlib
import time
from typing import Callable, Dict, Optional

from ...disk.claims import judge
from ...disk.extents import ExtentSet
from ...disk.filesystems.contract import VolumeState
from ...disk.layout import Partition
from ...disk.source import BlockSource, WindowSource
from ...errors import DiskError, PartitionNotStill

MOST_BYTES = 2 << 30  # in use; a recovery partition holds up to 1 GiB
_BLOCK_BYTES = 1 << 20
_PASSES = 6
_PAUSE_SECONDS = 0.5
_Digests = Dict[int, bytes]


class StillSource(BlockSource):
    """A partition whose bytes in use were seen to stand still. Reading one that changed since is an error, never new bytes, unless
    the settings accept a live volume: then ``has_changed`` says so from its first change on."""

    def __init__(self, window: WindowSource, digests: _Digests, name: str, *, accepts_changes: bool = False) -> None:
        self.path, self.size_bytes, self.sector_bytes = window.path, window.size_bytes, window.sector_bytes
        self._window = window
        self._digests = digests
        self._name = name
        self._accepts_changes = accepts_changes
        self.has_changed = False

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """:raises PartitionNotStill:"""
        self.check_range(offset_bytes, length_bytes)
        start = offset_bytes - offset_bytes % _BLOCK_BYTES
        pieces = []
        for block in range(start, offset_bytes + length_bytes, _BLOCK_BYTES):
            data = _block(self._window, block)
            if block in self._digests and _digest(data) != self._digests[block]:
                if not self._accepts_changes:
                    raise PartitionNotStill(path=self._name)
                self.has_changed = True
            pieces.append(data)
        return b"".join(pieces)[offset_bytes - start : offset_bytes - start + length_bytes]


def stand_still(
    source: BlockSource,
    partition: Partition,
    name: str,
    *,
    accepts_changes: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Optional[StillSource]:
    """Return the partition as two passes saw it, or None if it holds too much or does not stand still."""
    window = WindowSource(source, partition.start_bytes, partition.length_bytes)
    before: Optional[_Digests] = None
    for number in range(_PASSES):
        if number > 1:
            sleep(_PAUSE_SECONDS)
        now = _look(window, partition)
        if now is None:
            return None
        if now == before:
            return StillSource(window, now, name, accepts_changes=accepts_changes)
        before = now
    return None


def _look(window: WindowSource, partition: Partition) -> Optional[_Digests]:
    used = _in_use(window, partition)
    if used.total_bytes > MOST_BYTES:
        return None
    blocks = {
        block
        for extent in used
        for block in range(extent.start_bytes - extent.start_bytes % _BLOCK_BYTES, extent.end_bytes, _BLOCK_BYTES)
    }
    return {block: _digest(_block(window, block)) for block in sorted(blocks)}


def _in_use(window: WindowSource, partition: Partition) -> ExtentSet:
    """The bytes that the file system has in use; all of a partition that is not understood."""
    whole = ExtentSet([(0, window.size_bytes)])
    try:
        file_system = judge(window, partition.type_id, "").file_system
        return whole if file_system is None else file_system.used(VolumeState.FROZEN).extents
    except DiskError:
        return whole  # the plan of the image says why


def _block(window: WindowSource, start_bytes: int) -> bytes:
    return window.read(start_bytes, min(_BLOCK_BYTES, window.size_bytes - start_bytes))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
