# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRC-32C (Castagnoli) [RFC 3720, appendix B.4], which guards metadata of ext4 and XFS."""

from __future__ import annotations

import struct
from array import array
from functools import lru_cache
from typing import List

_POLYNOMIAL = 0x82F63B78
_LARGE_BYTES = 2048  # from here on two bytes a step pay for their table


def small_table(polynomial: int) -> List[int]:
    """The table of a reflected CRC with that polynomial: the change by each value of a byte."""
    table = []
    for number in range(256):
        for dummy in range(8):
            number = number >> 1 ^ (polynomial if number & 1 else 0)
        table.append(number)
    return table


_TABLE = small_table(_POLYNOMIAL)


@lru_cache(maxsize=1)
def _large_table() -> array[int]:
    return array("L", (_TABLE[high ^ low & 0xFF] ^ low >> 8 for high in range(256) for low in _TABLE))


def crc32c(data: bytes, value: int = 0) -> int:
    """CRC-32C of ``data``, continued from ``value``."""
    value ^= 0xFFFFFFFF
    if len(data) >= _LARGE_BYTES:
        pairs, large = len(data) // 2, _large_table()
        for pair in struct.unpack_from("<%dH" % pairs, data):
            value = value >> 16 ^ large[(value ^ pair) & 0xFFFF]
        data = data[2 * pairs :]
    table = _TABLE
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
