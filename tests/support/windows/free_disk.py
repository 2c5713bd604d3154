# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers for Wine what it does not know of disks, then runs requests as requests.py does. Runs in the double.

Disk 1 has the size that ``PLANTOPS_DISK_BYTES`` says, and nothing uses it but the volumes of ``PLANTOPS_VOLUMES``: letters.
What would dismount a volume of the host is not sent.
"""

from __future__ import annotations

import os
import runpy
from typing import List

from engine.host import windows_devices, windows_volumes
from engine.host.windows_volumes import DiskFlags, Extent

_SECTOR_BYTES = int(os.environ["PLANTOPS_SECTOR_BYTES"])
_LETTERS = os.environ.get("PLANTOPS_VOLUMES", "").split()
_read_at, _write_at = windows_devices.read_at, windows_devices.write_at


def _check(offset_bytes: int, buffer: memoryview) -> None:
    if offset_bytes % _SECTOR_BYTES or len(buffer) % _SECTOR_BYTES:
        raise OSError(22, "The parameter is incorrect", None, 87)


def _whole_sectors(handle: int, offset_bytes: int, buffer: memoryview) -> int:
    _check(offset_bytes, buffer)
    return _read_at(handle, offset_bytes, buffer)


def _write_whole_sectors(handle: int, offset_bytes: int, buffer: memoryview) -> int:
    _check(offset_bytes, buffer)
    return _write_at(handle, offset_bytes, buffer)


def _extents(volume: str) -> List[Extent]:
    return [Extent(1 if volume[-1] in _LETTERS else 0, 1 << 20, 1 << 20)]


windows_devices.length_bytes = lambda handle: int(os.environ["PLANTOPS_DISK_BYTES"])
windows_devices.sector_bytes = lambda handle: _SECTOR_BYTES
windows_devices.read_at = _whole_sectors
windows_devices.write_at = _write_whole_sectors
windows_volumes.disk_number = lambda handle: 1
windows_volumes.disk_flags = lambda handle: DiskFlags(False, False)
windows_volumes.is_clustered = lambda handle: False
windows_volumes.is_writable = lambda handle: True
windows_volumes.bus = lambda handle: 11
windows_volumes.partitions = lambda handle: []
windows_volumes.extents = _extents
windows_volumes.volumes = lambda: ["C", *_LETTERS]
windows_volumes.mount_points = lambda volume: [volume + ":"]
windows_volumes.volume_devices = list
windows_volumes.volume_of = lambda path: path[0].upper()
windows_volumes.starting_device = lambda: "C"
windows_volumes.forget_table = lambda handle: None
runpy.run_path(r"C:\requests.py")
