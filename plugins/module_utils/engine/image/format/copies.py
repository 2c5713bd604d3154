# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``copies.tar``: the second copy of an image's small files that have no other source, its manifest first of all.

It is stored before the commit and makes no image: that does ``image.json`` alone. Where a file of it is damaged, the copy
that has the right SHA-256 is read in its place, and a run or a rollover puts it back. ``tar -xf`` gets at it as well.

Its bytes follow from the files: fixed headers, in a fixed order. Any other content of such a file is refused, unread.
"""

from __future__ import annotations

import hashlib
import re
from typing import Dict, Iterable, List, Mapping, Optional, Tuple

from ...errors import StorageNotFound
from ...storage.contract import Storage
from . import constants as fmt

_NAME = re.compile(r"image\.json|device\.json|job\.log|disk[0-9]{1,3}\.index", re.ASCII)
_BLOCK = 512
MAX_COPIED_BYTES = 4 << 20  # the index of a very large disk has no copy: it would be sent twice each night
_MAX_BYTES = fmt.MAX_JSON_BYTES + MAX_COPIED_BYTES + (fmt.MAX_DISKS + 8) * 2 * _BLOCK


def encode(files: Mapping[str, bytes]) -> bytes:
    """A tar [POSIX ustar] of ``files``, the smallest first as far as there is room; the manifest is always in it."""
    parts: List[bytes] = []
    room = MAX_COPIED_BYTES
    for name, data in sorted(files.items(), key=_order):
        if len(data) <= room or name == fmt.MANIFEST_NAME:
            room -= len(data)
            parts += [_header(name, len(data)), data, bytes(-len(data) % _BLOCK)]
    return b"".join(parts) + bytes(2 * _BLOCK)


def decode(data: bytes) -> Dict[str, bytes]:
    """Return the files in such a tar up to the first byte that :func:`encode` would not have written."""
    files: Dict[str, bytes] = {}
    position = 0
    while position + _BLOCK <= len(data):
        header = data[position : position + _BLOCK]
        name = header[:100].rstrip(b"\0").decode("ascii", "replace")
        size = header[124:135]
        if not _NAME.fullmatch(name) or name in files or not re.fullmatch(rb"[0-7]{11}", size):
            break
        size_bytes = int(size, 8)
        content = data[position + _BLOCK : position + _BLOCK + size_bytes]
        if header != _header(name, size_bytes) or len(content) != size_bytes:
            break
        files[name] = content
        position += _BLOCK + -(-size_bytes // _BLOCK) * _BLOCK
    return files


def read_copies(storage: Storage, folder: str) -> Optional[bytes]:
    """The bytes of an image's copies, or ``None`` without any, as for images of earlier versions."""
    try:
        return storage.get("%s/%s" % (folder, fmt.COPIES_NAME), 0, _MAX_BYTES + 1)
    except StorageNotFound:
        return None


def whole_copy_of(storage: Storage, folder: str, name: str, digests: Iterable[str]) -> Optional[bytes]:
    """The copy of the file ``name`` if it has one of the SHA-256 that it may have."""
    data = decode(read_copies(storage, folder) or b"").get(name)
    return data if data is not None and hashlib.sha256(data).hexdigest() in set(digests) else None


def _order(item: Tuple[str, bytes]) -> Tuple[bool, int, str]:
    name, data = item
    return name != fmt.MANIFEST_NAME, len(data), name


def _header(name: str, size_bytes: int) -> bytes:
    fields = [
        name.encode("ascii").ljust(100, b"\0"),
        b"0000600\0" + b"0000000\0" * 2,  # mode, user, group
        b"%011o\0" % size_bytes,
        b"00000000000\0",  # time
        b" " * 8,  # where the checksum will be, which counts as blanks
        b"0".ljust(101, b"\0"),  # a regular file, and no link
        b"ustar\00000",
    ]
    header = b"".join(fields).ljust(_BLOCK, b"\0")
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]
