# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What disks answer to control codes of Windows, in the bytes of its structures. Also used inside of the double."""

from __future__ import annotations

import struct
from typing import Sequence, Tuple

FIXED_MEDIA, REMOVABLE_MEDIA = 12, 11
IDE, USB, FILE, SPACES, SATA, NVME = 3, 7, 15, 16, 11, 17


def geometry(size_bytes: int, sector_bytes: int = 512, media: int = FIXED_MEDIA) -> bytes:
    """[DISK_GEOMETRY_EX]"""
    cylinder = 255 * 63 * sector_bytes
    return struct.pack("<qIIIIq", size_bytes // cylinder, media, 255, 63, sector_bytes, size_bytes) + bytes(32)


def descriptor(
    bus: int, model: str = "", serial: str = "", vendor: str = "", revision: str = "", removable: bool = False
) -> bytes:
    """[STORAGE_DEVICE_DESCRIPTOR], its texts behind it."""
    offsets, texts, at = [], b"", 36
    for text in (vendor, model, revision, serial):
        offsets.append(at if text else 0)
        data = text.encode("ascii") + b"\0" if text else b""
        texts, at = texts + data, at + len(data)
    head = struct.pack("<IIBBBB4III", 40, at, 0, 0, removable, 1, *offsets, bus, 0)
    return head + texts


def identifiers(found: Sequence[Tuple[int, int, int, bytes]]) -> bytes:
    """[STORAGE_DEVICE_ID_DESCRIPTOR]: code set, type, association and bytes of each."""
    data = b""
    for number, (code_set, kind, association, name) in enumerate(found):
        step = 0 if number + 1 == len(found) else 16 + len(name)
        data += struct.pack("<IIHHI", code_set, kind, len(name), step, association) + name
    return struct.pack("<III", 40, 12 + len(data), len(found)) + data


def alignment(sector_bytes: int, physical_sector_bytes: int) -> bytes:
    """[STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR]"""
    return struct.pack("<7I", 28, 28, 0, 0, sector_bytes, physical_sector_bytes, 0)


def seek_penalty(is_rotating: bool) -> bytes:
    """[DEVICE_SEEK_PENALTY_DESCRIPTOR]"""
    return struct.pack("<IIB3x", 12, 12, is_rotating)
