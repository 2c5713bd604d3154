# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the new identity of a disk: the GUIDs of a GPT and its partitions, or the signature of an MBR.

Drawn by chance, so that two clones never have the same one.
"""

from __future__ import annotations

import os
import struct
import uuid
from typing import Dict, List, NamedTuple, Sequence, Tuple

from ...disk.layout import DiskLayout, Partition

KEEP, NEW = "keep", "new"
IDENTITIES = (KEEP, NEW)


class Drawn(NamedTuple):
    """Old and new ids as text; ``partitions`` by number."""

    scheme: str
    disk: Tuple[str, str]
    partitions: Dict[int, Tuple[str, str]]

    def unique_id(self, one: Partition) -> str:
        """The new id of a partition."""
        return self.partitions[one.number][1] if one.number in self.partitions else one.unique_id

    @property
    def disk_bytes(self) -> bytes:
        """The new id as it is in the table."""
        return _stored(self.scheme, self.disk[1])

    def partition_bytes(self, number: int) -> bytes:
        """The new GUID of a partition of a GPT as it is in the table."""
        return uuid.UUID(self.partitions[number][1]).bytes_le


def draw(layout: DiskLayout) -> Drawn:
    """Draw an id for the table, and for each of its partitions."""
    if layout.scheme == "gpt":
        mine = {one.number: (one.unique_id, str(uuid.uuid4())) for one in layout.partitions}
        return Drawn("gpt", (layout.disk_id, str(uuid.uuid4())), mine)
    old = layout.partitions[0].unique_id[:8] if layout.partitions else layout.disk_id
    new = old
    while new in (old, "00000000"):
        new = os.urandom(4).hex()
    numbered = {one.number: (one.unique_id, new + one.unique_id[8:]) for one in layout.partitions}
    return Drawn("mbr", (old, new), numbered)


def same(layout: DiskLayout) -> Drawn:
    """The ids that the disk has, for a disk whose partitions move."""
    old = layout.partitions[0].unique_id[:8] if layout.scheme == "mbr" and layout.partitions else layout.disk_id
    return Drawn(layout.scheme, (old, old), {one.number: (one.unique_id, one.unique_id) for one in layout.partitions})


def device_names(
    drawn: Drawn, before: Sequence[Partition], after: Dict[int, int]
) -> Tuple[List[Tuple[bytes, bytes]], List[Tuple[bytes, bytes]]]:
    """How Windows names the disk and its partitions in its hives, before and after: in the boot configuration, and in the system's
    list of mounted devices.

    :param after: the start of each partition on the target, by number. Values that stay are skipped.
    """
    if drawn.scheme == "gpt":
        texts = [drawn.disk, *drawn.partitions.values()]
        pairs = [(uuid.UUID(old).bytes_le, uuid.UUID(new).bytes_le) for old, new in texts]
        return _changed(pairs), _changed(pairs)
    old, new = (_stored("mbr", one) for one in drawn.disk)
    boot, mounted = [], []
    for one in before:
        places = struct.pack("<Q", one.start_bytes), struct.pack("<Q", after[one.number])
        # A device of the boot configuration: place, 8 bytes of nothing, kinds of device and table, signature.
        for kind in (0, 1):
            for table in (0, 1):
                middle = struct.pack("<QII", 0, kind, table)
                boot.append((places[0] + middle + old, places[1] + middle + new))
        mounted.append((old + places[0], new + places[1]))
    return _changed(boot), _changed(mounted)


def _changed(pairs: Sequence[Tuple[bytes, bytes]]) -> List[Tuple[bytes, bytes]]:
    return [(old, new) for old, new in pairs if old != new]


def _stored(scheme: str, text: str) -> bytes:
    return uuid.UUID(text).bytes_le if scheme == "gpt" else struct.pack("<I", int(text, 16))
