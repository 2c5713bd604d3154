# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a library of Windows whose functions are those of another library: one section with a table of forwarders.

Source of the format: "PE Format" of the Windows documentation, sections "Optional Header" and "The .edata Section".
"""

from __future__ import annotations

import struct
from typing import Dict

_SECTION_AT, _FILE_AT = 0x1000, 0x200
_BASE = 0x180000000
_DLL = 0x2022  # executable image, large addresses, library


def forwarding_library(name: str, functions: Dict[str, str]) -> bytes:
    """A library for x86-64 that exports each function as ``LIBRARY.FUNCTION`` of another one."""
    table = _exports(name, functions)
    padded = -(-len(table) // _FILE_AT) * _FILE_AT
    headers = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    headers += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, _DLL)
    headers += struct.pack("<HBBIIIII", 0x20B, 14, 0, 0, padded, 0, 0, _SECTION_AT)
    headers += struct.pack("<QIIHHHHHHI", _BASE, _SECTION_AT, _FILE_AT, 6, 0, 0, 0, 6, 0, 0)
    headers += struct.pack("<IIIHH", 2 * _SECTION_AT, _FILE_AT, 0, 2, 0)
    headers += struct.pack("<QQQQII", 1 << 20, 4096, 1 << 20, 4096, 0, 16)
    headers += struct.pack("<II", _SECTION_AT, len(table)) + bytes(15 * 8)
    headers += b".edata".ljust(8, b"\0")
    headers += struct.pack("<IIIIIIHHI", len(table), _SECTION_AT, padded, _FILE_AT, 0, 0, 0, 0, 0x40000040)
    assert len(headers) <= _FILE_AT
    return headers.ljust(_FILE_AT, b"\0") + table.ljust(padded, b"\0")


def _exports(name: str, functions: Dict[str, str]) -> bytes:
    """The export directory, its three tables and all names, which a loader searches in order."""
    names = sorted(functions)
    count = len(names)
    addresses_at = 40
    names_at = addresses_at + 4 * count
    ordinals_at = names_at + 4 * count
    texts = bytearray()
    texts_at = ordinals_at + 2 * count

    def text(value: str) -> int:
        place = _SECTION_AT + texts_at + len(texts)
        texts.extend(value.encode("ascii") + b"\0")
        return place

    own = text(name)
    addresses = [text(functions[one]) for one in names]
    name_places = [text(one) for one in names]
    directory = struct.pack(
        "<IIHHIIIIIII",
        *(0, 0, 0, 0, own, 1, count, count),
        *(_SECTION_AT + addresses_at, _SECTION_AT + names_at, _SECTION_AT + ordinals_at),
    )
    tables = struct.pack("<%dI" % (2 * count), *addresses, *name_places) + struct.pack("<%dH" % count, *range(count))
    return directory + tables + bytes(texts)
