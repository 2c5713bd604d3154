# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the field test from writing to disks: each function that could is replaced before the first question.

A question to a device passes only if its control code is one that reads.
"""

from __future__ import annotations

from typing import Any

from ...host import windows_devices as devices
from ...host import windows_disks as disks
from ...host import windows_volumes as volumes

FORBIDDEN = (
    *((devices, name) for name in ("open_writable", "write_at", "flush")),
    *((volumes, name) for name in ("lock_volume", "dismount", "forget_table")),
)
READING = frozenset(
    [
        volumes.IOCTL_STORAGE_GET_DEVICE_NUMBER,
        volumes.IOCTL_STORAGE_QUERY_PROPERTY,
        volumes.IOCTL_DISK_GET_DRIVE_LAYOUT_EX,
        volumes.IOCTL_DISK_GET_DISK_ATTRIBUTES,
        volumes.IOCTL_DISK_IS_CLUSTERED,
        volumes.IOCTL_DISK_IS_WRITABLE,
        volumes.IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS,
        disks.IOCTL_DISK_GET_DRIVE_GEOMETRY_EX,
        devices.GET_LENGTH_INFO,
        devices.GET_DRIVE_GEOMETRY,
    ]
)


class WriteForbidden(RuntimeError):
    """The field test reached code that writes, or asked a device more than a question."""


def _refuse(*dummy: Any, **dummy_named: Any) -> Any:
    raise WriteForbidden("the field test writes to no disk")


def forbid_writes() -> None:
    """Do so for the rest of this process."""
    for module, name in FORBIDDEN:
        setattr(module, name, _refuse)
    ask = devices.ask

    def ask_reading(handle: int, code: int, size: int, given: bytes = b"") -> bytes:
        if code not in READING:
            raise WriteForbidden("the control code 0x%X is not one that reads" % code)
        return ask(handle, code, size, given)

    devices.ask = ask_reading
