# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections ``disks``, ``partitions`` and ``volumes`` of a running Windows.

Disks that are imaged are known from their own tables. The others are asked what they are and are not read.
"""

from __future__ import annotations

from typing import Any, Dict, Sequence

from ....host.windows_disks import facts_of, number_in, numbers
from ...windows_disks import disk_of
from ..disks import DiskSections, add_described, shown_disk, unused_key

_UNKNOWN = ("model", "vendor", "transport", "removable", "firmware")


def read_disks(imaged: Sequence[Dict[str, Any]]) -> DiskSections:
    """:param imaged: the disks of the run as it describes them: stable_id, layout, volumes, path."""
    found = DiskSections({}, {}, {})
    described = {number_in(str(one.get("path"))): one for one in imaged}
    shown = numbers()
    for number in shown:
        disk = disk_of(facts_of(number))
        one = described.get(number)
        if one is not None:
            add_described(found, one, shown_disk(disk))
        elif disk.size_bytes:
            key = unused_key(disk.stable_id or disk.path, found.disks)
            table = {"size_bytes": disk.size_bytes, "sector_bytes": disk.sector_bytes, "scheme": None, "disk_id": None}
            found.disks[key] = dict(shown_disk(disk), **table)
    for one in imaged:
        if number_in(str(one.get("path"))) not in shown:
            add_described(found, one, dict.fromkeys(_UNKNOWN))
    return found
