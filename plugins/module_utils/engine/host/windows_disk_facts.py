# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what Windows tells of a disk itself: the answers to IOCTL_DISK_GET_DRIVE_GEOMETRY_EX and IOCTL_STORAGE_QUERY_PROPERTY.

Functions of bytes alone: drivers of disks, card readers and virtual machines give these answers, and they may hold anything.
Sources: the structures DISK_GEOMETRY_EX, STORAGE_DEVICE_DESCRIPTOR, STORAGE_DEVICE_ID_DESCRIPTOR, STORAGE_IDENTIFIER,
STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR, DEVICE_SEEK_PENALTY_DESCRIPTOR and the enumeration STORAGE_BUS_TYPE of winioctl.h and
ntddstor.h.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple, Optional

SPACES, FILE_BACKED = "spaces", "file"
_BUSES = (  # in the order of STORAGE_BUS_TYPE
    *(
        "",
        "scsi",
        "ide",
        "ide",
        "firewire",
        "ssa",
        "fc",
        "usb",
        "raid",
        "iscsi",
        "sas",
        "sata",
        "mmc",
        "mmc",
        "virtual",
    ),
    *(FILE_BACKED, SPACES, "nvme", "pmem", "ufs"),
)
_OF_ATA = frozenset(["ide", "sata"])
_REMOVABLE_MEDIA = frozenset(range(1, 11)) | {11, 13}  # MEDIA_TYPE: floppies, RemovableMedia; 12 is FixedMedia
_MOST_CHARACTERS = 256
_MOST_IDENTIFIERS = 64
_IDENTIFIER_HEAD = 16  # bytes of STORAGE_IDENTIFIER in front of the identifier
_BINARY, _OF_DEVICE = 1, 0  # StorageIdCodeSetBinary, StorageIdAssocDevice
_EUI64, _NAA = 2, 3  # StorageIdTypeEUI64, StorageIdTypeFCPHName
_NAA_BYTES, _EUI_BYTES = (8, 16), (8, 12, 16)
_SECTOR_SIZES = frozenset(1 << power for power in range(9, 17))


class Geometry(NamedTuple):
    """The size of a disk as its driver tells it."""

    size_bytes: int
    sector_bytes: int
    removable: bool


class Descriptor(NamedTuple):
    """The names that a disk has from its maker. ``bus``: a word such as sata, usb, nvme; "" for one that is not known."""

    vendor: str
    model: str
    revision: str
    serial: str
    bus: str
    removable: bool


def geometry(answer: bytes) -> Geometry:
    """:raises ValueError: an answer that is too short, or that no disk can have."""
    if len(answer) < 32:
        raise ValueError("its geometry has %d bytes" % len(answer))
    media, sector_bytes, size_bytes = struct.unpack_from("<I8xIq", answer, 8)
    if sector_bytes not in _SECTOR_SIZES or size_bytes < 0:
        raise ValueError("it has %d bytes in sectors of %d" % (size_bytes, sector_bytes))
    return Geometry(size_bytes, sector_bytes, media in _REMOVABLE_MEDIA)


def descriptor(answer: bytes) -> Descriptor:
    """A text whose place is outside of the answer is "". :raises ValueError: an answer that is too short."""
    if len(answer) < 32:
        raise ValueError("its description has %d bytes" % len(answer))
    vendor, model, revision, serial, number = struct.unpack_from("<5I", answer, 12)
    bus = _BUSES[number] if number < len(_BUSES) else ""
    return Descriptor(
        _text(answer, vendor),
        _text(answer, model),
        _text(answer, revision),
        _serial(_text(answer, serial), bus),
        bus,
        answer[10] != 0,
    )


def world_wide_name(answer: bytes) -> str:
    """The name of the disk that no other has, spelled as Linux spells it without "naa."; "" where it tells none.

    Of several the NAA comes first, as in Linux.
    """
    if len(answer) < 12:
        return ""
    found = {_NAA: "", _EUI64: ""}
    at = 12
    for dummy in range(min(struct.unpack_from("<I", answer, 8)[0], _MOST_IDENTIFIERS)):
        if at + _IDENTIFIER_HEAD > len(answer):
            break
        code_set, kind, size, step, association = struct.unpack_from("<IIHHI", answer, at)
        data = answer[at + _IDENTIFIER_HEAD : at + _IDENTIFIER_HEAD + size]
        lengths = {_NAA: _NAA_BYTES, _EUI64: _EUI_BYTES}.get(kind, ())
        if code_set == _BINARY and association == _OF_DEVICE and size == len(data) and size in lengths:
            found[kind] = found[kind] or ("" if kind == _NAA else "eui.") + data.hex()
        if step < _IDENTIFIER_HEAD:
            break  # the last one says 0; less than its own size would not end
        at += step
    return found[_NAA] or found[_EUI64]


def physical_sector_bytes(answer: bytes) -> int:
    """The size of a sector on the medium, 0 where the answer tells none that a disk can have."""
    found = int(struct.unpack_from("<I", answer, 20)[0]) if len(answer) >= 24 else 0
    return found if found in _SECTOR_SIZES else 0


def is_rotating(answer: bytes) -> Optional[bool]:
    """Whether a seek costs time, None where the answer is too short."""
    return bool(answer[8]) if len(answer) >= 9 else None


def _text(answer: bytes, at: int) -> str:
    """The text at a place, up to its zero; a place of 0 means that there is none."""
    if not 0 < at < len(answer):
        return ""
    data = answer[at : at + _MOST_CHARACTERS].split(b"\0")[0]
    return "".join(c for c in data.decode("ascii", "replace") if c.isprintable()).strip()


def _serial(text: str, bus: str) -> str:
    """Windows 7 hands out the 20 characters of an ATA disk as hexadecimal digits, with the two of each word exchanged."""
    if bus not in _OF_ATA or not re.fullmatch("[0-9A-Fa-f]{40}", text):
        return text
    data = bytes.fromhex(text)
    plain = bytes(data[number ^ 1] for number in range(len(data)))
    if not all(0x20 <= one < 0x7F for one in plain):
        return text
    return plain.decode("ascii").strip()
