# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of real bundles for Windows, fetched once into the cache of the tests; and small executables that are made."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from engine.install.wheel_store import fetch_wheels
from engine.install.windows.lock import windows_platform
from engine.install.windows.python_source import Taken, python_files
from support.bundles import WHEEL_CACHE

WINDOWS_7, CURRENT = "windows-7-amd64", "windows-amd64"
_SECTION_AT, _FILE_AT = 0x1000, 0x400
Imports = Dict[str, Sequence[str]]


def cpython(platform: str) -> Taken:
    """The files of CPython for a platform."""
    return python_files(windows_platform(platform), None, WHEEL_CACHE, None)


def wheels(platform: str, *packages: str) -> Dict[str, Path]:
    """The wheels of a platform, or only some of them."""
    locked = windows_platform(platform).packages
    if packages:
        locked = locked._replace(wheels=tuple(wheel for wheel in locked.wheels if wheel.name in packages))
    return fetch_wheels(locked, WHEEL_CACHE)


def executable(imports: Imports, delayed: Imports, *, wide: bool = True, certificates: bytes = b"") -> bytes:
    """An executable with one section, which imports what is named; ``#12`` is a function without a name."""
    section, tables = _section(imports, delayed, wide)
    directories = [(0, 0)] * 16
    directories[1], directories[13] = tables
    padded = section + bytes(-len(section) % 0x200)
    if certificates:
        directories[4] = (_FILE_AT + len(padded), len(certificates))
    optional = struct.pack("<HBBIIIII", 0x20B if wide else 0x10B, 14, 0, 0, 0, 0, 0, 0)
    optional += (
        struct.pack("<QII", 0x180000000, 0x1000, 0x200) if wide else struct.pack("<IIII", 0, 0x400000, 0x1000, 0x200)
    )
    optional += struct.pack("<HHHHHHI", 6, 0, 0, 0, 6, 0, 0)
    optional += struct.pack("<IIIHH", _SECTION_AT + len(padded), _FILE_AT, 0, 2, 0)
    optional += struct.pack("<QQQQ" if wide else "<IIII", 0, 0, 0, 0) + struct.pack("<II", 0, 16)
    optional += b"".join(struct.pack("<II", *one) for one in directories)
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0"
    head += struct.pack("<HHIIIHH", 0x8664 if wide else 0x14C, 1, 0, 0, 0, len(optional), 0x2022) + optional
    head += b".rdata\0\0" + struct.pack(
        "<IIIIIIHHI", len(section), _SECTION_AT, len(padded), _FILE_AT, 0, 0, 0, 0, 0x40000040
    )
    return head.ljust(_FILE_AT, b"\0") + padded + certificates


def certificate_table(document: bytes) -> bytes:
    """A certificate table with one signature."""
    padded = document + bytes(-len(document) % 8)
    return struct.pack("<IHH", 8 + len(padded), 0x200, 2) + padded


def _section(imports: Imports, delayed: Imports, wide: bool) -> Tuple[bytes, List[Tuple[int, int]]]:
    data = bytearray()

    def put(content: bytes) -> int:
        place = _SECTION_AT + len(data)
        data.extend(content + bytes(-len(content) % 8))
        return place

    def lookup(functions: Sequence[str]) -> int:
        entries = []
        for function in functions:
            if function.startswith("#"):
                entries.append(int(function[1:]) | (1 << 63 if wide else 1 << 31))
            else:
                entries.append(put(b"\0\0" + function.encode("ascii") + b"\0"))
        return put(struct.pack("<%d%s" % (len(entries) + 1, "Q" if wide else "I"), *entries, 0))

    table, late = b"", b""
    for library, functions in imports.items():
        table += struct.pack("<IIIII", lookup(functions), 0, 0, put(library.encode("ascii") + b"\0"), 1)
    for library, functions in delayed.items():
        late += struct.pack("<8I", 1, put(library.encode("ascii") + b"\0"), 0, 1, lookup(functions), 0, 0, 0)
    tables = [(put(one + bytes(empty)), len(one)) if one else (0, 0) for one, empty in ((table, 20), (late, 32))]
    return bytes(data), tables
