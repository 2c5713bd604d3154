# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Linux swap space: only its first page is kept [Linux include/linux/swap.h, union swap_header]."""

from __future__ import annotations

import struct
import uuid
from typing import Optional

from ..extents import ExtentSet
from ..source import BlockSource
from .contract import FileSystem, UsedMap, VolumeState, whole

SIGNATURE = b"SWAPSPACE2"
PAGE_SIZES = (4096, 8192, 16384, 32768, 65536)
_SUSPENDED = (b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001")


class Swap(FileSystem):
    """A swap partition; one that holds a suspended system is kept whole."""

    kind = "swap"
    label = ""

    def __init__(self, source: BlockSource, page_bytes: int, suspended: bool) -> None:
        self.source = source
        self.cluster_bytes = page_bytes
        self.end_bytes = _end_bytes(source, page_bytes)
        self._suspended = suspended
        self.uuid = str(uuid.UUID(bytes=source.read(1036, 16)))

    @classmethod
    def probe(cls, source: BlockSource) -> Optional[FileSystem]:
        for page_bytes in PAGE_SIZES:
            if source.size_bytes < page_bytes * 2:
                return None
            signature = source.read(page_bytes - 10, 10)
            if signature == SIGNATURE:
                return cls(source, page_bytes, False)
            if any(signature.startswith(name[:10]) for name in _SUSPENDED):
                return cls(source, page_bytes, True)
        return None

    def used(self, state: VolumeState) -> UsedMap:
        """Only the header, live or not: nothing in a swap space outlives a restart."""
        if self._suspended:
            return whole(self.source, "the swap space holds a suspended system (read %s)" % state.value)
        return UsedMap(ExtentSet([(0, self.cluster_bytes)]), True, "")


def _end_bytes(source: BlockSource, page_bytes: int) -> int:
    """Where the swap space ends: a header of version 1 says which page is its last."""
    version, last_page = struct.unpack("=II", source.read(1024, 8))
    end_bytes = (last_page + 1) * page_bytes
    return end_bytes if version == 1 and last_page and end_bytes <= source.size_bytes else source.size_bytes
