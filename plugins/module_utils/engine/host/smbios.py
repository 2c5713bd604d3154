# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the machine's description in SMBIOS: structure type 1, "System Information" [DMTF DSP0134 3.x, sections 6.1 and 7.2].

The tables come from firmware, which may hold anything: every length is checked.
"""

from __future__ import annotations

import struct
import uuid
from typing import Dict, Iterator, List, NamedTuple, Tuple

_HEAD = struct.Struct("<BBBBI")  # RawSMBIOSData of Windows: calling method, major, minor, DMI revision, length
_SYSTEM = 1
_END = 127
_MOST_STRUCTURES = 4096
_LITTLE_ENDIAN_SINCE = (2, 6)  # before, the UUID stands in network order
_STRINGS = {"vendor": 4, "product": 5, "version": 6, "serial": 7}  # offsets of the numbers of strings
_UUID_AT, _UUID_BYTES = 8, 16


class SystemInformation(NamedTuple):
    """``uuid`` in lower case with hyphens; "" for what the firmware does not say."""

    vendor: str
    product: str
    version: str
    serial: str
    uuid: str


UNKNOWN = SystemInformation("", "", "", "", "")


def system_information(raw: bytes) -> SystemInformation:
    """Read the answer of GetSystemFirmwareTable("RSMB"); unknown where it holds no such structure."""
    if len(raw) < _HEAD.size:
        return UNKNOWN
    dummy_method, major, minor, dummy_revision, length = _HEAD.unpack_from(raw)
    for kind, formatted, strings in _structures(raw[_HEAD.size : _HEAD.size + length]):
        if kind == _SYSTEM:
            return SystemInformation(uuid=_uuid(formatted, (major, minor)), **_texts(formatted, strings))
    return UNKNOWN


def _structures(table: bytes) -> Iterator[Tuple[int, bytes, List[bytes]]]:
    """Type, formatted area and strings of each structure, up to the first that is not whole."""
    place = 0
    for dummy in range(_MOST_STRUCTURES):
        if place + 4 > len(table):
            return
        kind, length = table[place], table[place + 1]
        end = table.find(b"\0\0", place + length)
        if length < 4 or end < 0 or kind == _END:
            return
        yield kind, table[place : place + length], table[place + length : end].split(b"\0")
        place = end + 2


def _texts(formatted: bytes, strings: List[bytes]) -> Dict[str, str]:
    found = {}
    for name, at in _STRINGS.items():
        number = formatted[at] if at < len(formatted) else 0
        text = strings[number - 1] if 0 < number <= len(strings) else b""
        found[name] = "".join(c for c in text.decode("ascii", "replace") if c.isprintable()).strip()
    return found


def _uuid(formatted: bytes, version: Tuple[int, int]) -> str:
    data = formatted[_UUID_AT : _UUID_AT + _UUID_BYTES]
    if len(data) < _UUID_BYTES:
        return ""
    return str(uuid.UUID(bytes_le=data) if version >= _LITTLE_ENDIAN_SINCE else uuid.UUID(bytes=data))
