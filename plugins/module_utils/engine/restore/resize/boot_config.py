# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which partitions the boot configuration of Windows (BCD) names by their place.

On a disk with an MBR a device of the BCD is the start of the partition in bytes and the signature of the disk; on a GPT disk both
are GUIDs, which a move does not change [geoffchappell.com, BCD devices; libregf, and boot entries as bcdedit shows them].
"""

from __future__ import annotations

import struct
from typing import List, NamedTuple, Sequence

from ...errors import EngineError
from ..identity.hive import why_locked
from .volume import Volume, read_file

PATHS = (("Boot", "BCD"), ("EFI", "Microsoft", "Boot", "BCD"))
MOST_BYTES = 16 << 20
_NEAR_BYTES = 64  # the signature stands behind the place, in the same structure


class BootConfig(NamedTuple):
    """The stores that were found, and whether there is one that can't be read."""

    stores: List[bytes]
    is_unreadable: bool

    def why_locked(self) -> str:
        """Why a store can't be changed, "" when each of them can."""
        if self.is_unreadable:
            return "it can't be read"
        return next((reason for reason in map(why_locked, self.stores) if reason), "")

    def names(self, start_bytes: int, disk_id: str) -> bool:
        """Whether a store has a device with this place on the disk of this signature; in doubt it has."""
        if self.is_unreadable:
            return True
        try:
            signature = struct.pack("<I", int(disk_id, 16))
        except (ValueError, struct.error):
            return bool(self.stores)
        return any(named_at(store, start_bytes, signature) for store in self.stores)


def read_config(volumes: Sequence[Volume]) -> BootConfig:
    """Read the stores of all volumes of a disk."""
    stores: List[bytes] = []
    unreadable = False
    for one in volumes:
        for path in PATHS:
            try:
                found = read_file(one, path, MOST_BYTES)
            except EngineError:
                unreadable = unreadable or one.is_ntfs
                continue
            if found is not None and found.ranges and sum(map(len, stores)) <= MOST_BYTES:
                stores.append(found.content)
            elif found is not None:
                unreadable = True
    return BootConfig(stores, unreadable)


def named_at(store: bytes, start_bytes: int, signature: bytes) -> List[int]:
    """Where a store has a device with this place on the disk of this signature."""
    found = []
    place = struct.pack("<Q", start_bytes)
    position = store.find(place)
    while position >= 0:
        if signature in store[position + len(place) : position + len(place) + _NEAR_BYTES]:
            found.append(position)
        position = store.find(place, position + 1)
    return found
