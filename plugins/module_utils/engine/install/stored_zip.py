# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zip files whose bytes depend on their entries only, with entries of other zips taken over as they are compressed.

Two versions of zlib make different bytes of the same content. So nothing is compressed here: what a wheel holds keeps
the bytes that its maker compressed, which the lock's hash proves, and what is ours is stored.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import BinaryIO, List, NamedTuple, Tuple

_LOCAL = struct.Struct("<IHHHHHIIIHH")  # APPNOTE.TXT 4.3.7
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")  # 4.3.12
_END = struct.Struct("<IHHHHIIH")  # 4.3.16
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = 0x04034B50, 0x02014B50, 0x06054B50
_VERSION = 20
_UNIX = 3 << 8
_DATE = (1 << 5) | 1  # 1980-01-01, the first that a zip can say
_MODE = 0o100644 << 16
_MOST_ENTRIES = 0xFFFF
_MOST_BYTES = 0xFFFFFFFF
MAX_ENTRY_BYTES = 256 << 20
# Exceptions of zipfile for archives that are damaged, also on purpose.
UNREADABLE = (
    *(OSError, KeyError, ValueError, RuntimeError, EOFError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


class StoredEntry(NamedTuple):
    """A file of a zip as stored. ``method`` is 0 (stored) or 8 (deflated)."""

    method: int
    checksum: int
    size_bytes: int
    packed: bytes

    @classmethod
    def plain(cls, content: bytes) -> StoredEntry:
        return cls(0, zlib.crc32(content), len(content), content)


def take_over(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Tuple[StoredEntry, bytes]:
    """Return an entry of an open archive as it is compressed there, and its content.

    :raises zipfile.BadZipFile: when its content is not what the archive says, or it is compressed in another way.
    """
    if info.file_size > MAX_ENTRY_BYTES or info.compress_size > MAX_ENTRY_BYTES:
        raise zipfile.BadZipFile("%s is larger than a file of a package is" % info.filename)
    file = archive.fp
    if file is None or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile("%s is compressed in a way that is not known" % info.filename)
    content = archive.read(info)  # proves the checksum
    file.seek(info.header_offset)
    header = _LOCAL.unpack(file.read(_LOCAL.size))
    file.seek(info.header_offset + _LOCAL.size + header[9] + header[10])
    packed = file.read(info.compress_size)
    method = 0 if info.compress_type == zipfile.ZIP_STORED else 8
    unpacked = packed if not method else zlib.decompress(packed, -zlib.MAX_WBITS)
    if unpacked != content:
        raise zipfile.BadZipFile("%s lies elsewhere than the archive says" % info.filename)
    return StoredEntry(method, info.CRC, info.file_size, packed), content


def write_entries(file: BinaryIO, entries: List[Tuple[str, StoredEntry]]) -> None:
    """Write a zip of ``entries``, in their order.

    :raises ValueError: when there are more, or larger ones, than a plain zip can hold.
    """
    if len(entries) >= _MOST_ENTRIES:
        raise ValueError("a zip holds fewer than %d files" % _MOST_ENTRIES)
    central: List[bytes] = []
    position = 0
    for name, entry in entries:
        path = name.encode("ascii")
        fields = (0, entry.method, 0, _DATE, entry.checksum, len(entry.packed), entry.size_bytes, len(path), 0)
        header = _LOCAL.pack(_LOCAL_MAGIC, _VERSION, *fields) + path
        central.append(
            _CENTRAL.pack(_CENTRAL_MAGIC, _UNIX | _VERSION, _VERSION, *fields, 0, 0, 0, _MODE, position) + path
        )
        file.write(header)
        file.write(entry.packed)
        position += len(header) + len(entry.packed)
    listing = b"".join(central)
    if position + len(listing) > _MOST_BYTES:
        raise ValueError("a zip holds less than 4 GiB")
    file.write(listing)
    file.write(_END.pack(_END_MAGIC, 0, 0, len(entries), len(entries), len(listing), position, 0))
