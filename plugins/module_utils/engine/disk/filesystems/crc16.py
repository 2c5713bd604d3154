# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRC-16 (polynomial 0x8005, reflected) as Linux has it in lib/crc16.c, which guards group descriptors of ext4 without
metadata_csum [Linux Documentation/filesystems/ext4/group_descr.rst]."""

from __future__ import annotations

from .crc32c import small_table

_TABLE = small_table(0xA001)


def crc16(data: bytes, value: int = 0xFFFF) -> int:
    """CRC-16 of ``data``, continued from ``value``; nothing is inverted at the end."""
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value
