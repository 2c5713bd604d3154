# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the calls on disks that Wine does not answer, then runs the engine's command line. Runs in the double.

The environment tells the sizes: ``PLANTOPS_DISK_BYTES``, ``PLANTOPS_SECTOR_BYTES``. Reads that are not of whole sectors, which
Wine allows, fail as on Windows.
"""

from __future__ import annotations

import os
import sys

from engine.agent import command
from engine.host import windows_devices

_SECTOR_BYTES = int(os.environ["PLANTOPS_SECTOR_BYTES"])
_read_at = windows_devices.read_at


def _whole_sectors(handle: int, offset_bytes: int, buffer: memoryview) -> int:
    if offset_bytes % _SECTOR_BYTES or len(buffer) % _SECTOR_BYTES:
        raise OSError(22, "The parameter is incorrect", None, 87)
    return _read_at(handle, offset_bytes, buffer)


windows_devices.length_bytes = lambda handle: int(os.environ["PLANTOPS_DISK_BYTES"])
windows_devices.sector_bytes = lambda handle: _SECTOR_BYTES
windows_devices.read_at = _whole_sectors
sys.exit(command.main([]))
