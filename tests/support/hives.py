# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registry hives of Windows for tests: made and read here cell by cell.

Structures: [Maxim Suhanov, "Windows registry file format specification"].
"""

from __future__ import annotations

import struct
import uuid
from typing import Dict, List, Optional, Tuple, Union

Key = Dict[str, Union[bytes, "Key"]]  # values are bytes, subkeys are keys
_NONE = 0xFFFFFFFF
_BINARY = 3


class _Bin:
    """Cells in the order in which they are added; places count from the first bin, whose head takes 32 bytes."""

    def __init__(self) -> None:
        self.data = bytearray(32)

    def add(self, content: bytes) -> int:
        place = len(self.data)
        size = -(-(len(content) + 4) // 8) * 8
        self.data += struct.pack("<i", -size) + content.ljust(size - 4, b"\0")
        return place


def hive(root: Key, *, is_clean: bool = True) -> bytes:
    """A hive with these keys and binary values; one that is not clean has changes in its log files."""
    cells = _Bin()
    place = _key(cells, "root", root, 0, None)
    size = -(-len(cells.data) // 4096) * 4096
    free = size - len(cells.data)
    if free:
        cells.data += struct.pack("<i", free) + bytes(free - 4)
    cells.data[:32] = struct.pack("<4sIIQQI", b"hbin", 0, size, 0, 0, 0)
    base = bytearray(4096)
    sequences = (7, 7) if is_clean else (8, 7)
    struct.pack_into("<4sIIQIIIIIII", base, 0, b"regf", *sequences, 0, 1, 3, 0, 1, place, size, 1)
    total = 0
    for word in struct.unpack_from("<127I", base):
        total ^= word
    struct.pack_into("<I", base, 508, total)
    return bytes(base + cells.data)


def _security(cells: _Bin) -> int:
    descriptor = struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0)
    place = len(cells.data)
    return cells.add(struct.pack("<2sHIIII", b"sk", 0, place, place, 1, len(descriptor)) + descriptor)


def _key(cells: _Bin, name: str, content: Key, parent: int, security: Optional[int]) -> int:
    is_root = security is None
    encoded = name.encode("ascii")
    subkeys = {one: value for one, value in content.items() if isinstance(value, dict)}
    values = {one: value for one, value in content.items() if isinstance(value, bytes)}
    place = cells.add(bytes(76) + encoded)
    security = _security(cells) if security is None else security  # the root comes first
    listed = [(one, _key(cells, one, value, place, security)) for one, value in sorted(subkeys.items())]
    keys = _NONE
    if listed:
        entries = b"".join(struct.pack("<I4s", where, one[:4].encode("ascii").ljust(4, b"\0")) for one, where in listed)
        keys = cells.add(struct.pack("<2sH", b"lf", len(listed)) + entries)
    stored = [_value(cells, one, value) for one, value in values.items()]
    list_of_values = cells.add(struct.pack("<%dI" % len(stored), *stored)) if stored else _NONE
    flags = 0x2C if is_root else 0x20
    head = struct.pack(
        "<2sHQIIIIIIII", b"nk", flags, 0, 0, parent, len(listed), 0, keys, _NONE, len(stored), list_of_values
    )
    head += struct.pack("<IIIIIIIHH", security, _NONE, 0, 0, 0, 0, 0, len(encoded), 0)
    cells.data[place + 4 : place + 4 + len(head)] = head
    return place


def _value(cells: _Bin, name: str, data: bytes) -> int:
    assert len(data) > 4  # smaller ones lie in the cell itself
    encoded = name.encode("ascii")
    return cells.add(struct.pack("<2sHIIIHH", b"vk", len(encoded), len(data), cells.add(data), _BINARY, 1, 0) + encoded)


def gpt_device(disk: str, partition: str) -> bytes:
    """A device element of the boot configuration: options, kind "partition", partition, kinds of disk and table, disk."""
    ids = [uuid.UUID(one).bytes_le for one in (partition, disk)]
    return bytes(16) + struct.pack("<IIII", 6, 0, 0x48, 0) + ids[0] + struct.pack("<II", 0, 0) + ids[1] + bytes(16)


def mbr_device(signature: str, start_bytes: int) -> bytes:
    """The same on a disk with an MBR: place and signature."""
    inside = struct.pack("<QQII", start_bytes, 0, 0, 1) + struct.pack("<I", int(signature, 16)) + bytes(12)
    return bytes(16) + struct.pack("<IIII", 6, 0, 0x48, 0) + inside + bytes(16)


def boot_config(devices: List[bytes]) -> Key:
    """The keys of a BCD store whose objects have these devices."""
    objects: Key = {}
    for number, device in enumerate(devices, 1):
        name = "{%s}" % uuid.UUID(int=number)
        objects[name] = {"Elements": {"11000001": {"Element": device}, "21000001": {"Element": device}}}
    return {"Objects": objects}


def read_values(content: bytes) -> Dict[Tuple[str, str], bytes]:
    """Every binary value by its key's path and its name; fails for a base block or cells that are not valid."""
    total = 0
    for word in struct.unpack_from("<127I", content):
        total ^= word
    assert content[:4] == b"regf"
    assert struct.unpack_from("<I", content, 508)[0] == total
    found: Dict[Tuple[str, str], bytes] = {}
    _walk(content, struct.unpack_from("<I", content, 36)[0], "", found)
    return found


def _cell(content: bytes, place: int) -> bytes:
    size = struct.unpack_from("<i", content, 4096 + place)[0]
    assert size < -4
    return content[4096 + place + 4 : 4096 + place - size]


def _walk(content: bytes, place: int, path: str, found: Dict[Tuple[str, str], bytes]) -> None:
    key = _cell(content, place)
    assert key[:2] == b"nk"
    subkeys, list_of_keys = struct.unpack_from("<I4xI", key, 20)
    values, list_of_values = struct.unpack_from("<II", key, 36)
    for (one,) in struct.iter_unpack("<I", _cell(content, list_of_values)[: 4 * values] if values else b""):
        value = _cell(content, one)
        assert value[:2] == b"vk"
        length, size, where = struct.unpack_from("<HII", value, 2)
        name = value[20 : 20 + length].decode("ascii")
        found[path, name] = _cell(content, where)[:size]
    for number in range(subkeys):
        one = struct.unpack_from("<I", _cell(content, list_of_keys), 4 + 8 * number)[0]
        child = _cell(content, one)
        length = struct.unpack_from("<H", child, 72)[0]
        _walk(content, one, "%s/%s" % (path, child[76 : 76 + length].decode("ascii")), found)
