# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores an installation's parts, hashed on the way, and unpacks them within bounds.

It goes with the installer, so its syntax is that of Python 3.6.
"""

import hashlib
import os
import secrets
import stat
import struct
import zipfile
import zlib
from typing import BinaryIO, Callable, Iterator, Optional, Set

from ..errors import InstallationPartInvalid
from .bundle_document import Part

_MAX_FILES = 20000
_MAX_UNPACKED_BYTES = 512 << 20
_MAX_NAME_CHARACTERS = 400
_PIECE_BYTES = 1 << 20
# Where parts come from: a folder of sent files, or the bundle itself. It returns None for a missing part.
OpenPart = Callable[[Part], Optional[BinaryIO]]


def is_whole(path: str, part: Part) -> bool:
    """Return whether the file at ``path`` is the part."""
    try:
        if os.lstat(path).st_size != part.size_bytes:
            return False
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            for piece in _pieces(file, part):
                digest.update(piece)
    except FileNotFoundError:
        return False
    return digest.hexdigest() == part.sha256


def store_part(folder: str, part: Part, open_part: OpenPart) -> None:
    """Have the part in ``folder`` under its SHA-256: an intact file stays, else it is taken from ``open_part``.

    :raises InstallationPartInvalid: when it is in neither place, or is not what the bundle names.
    """
    target = os.path.join(folder, part.sha256)
    if is_whole(target, part):
        return
    given = open_part(part)
    if given is None:
        raise InstallationPartInvalid(part=part.name, reason="it is missing on this device and in the transfer")
    temporary = os.path.join(folder, ".new-" + secrets.token_hex(8))
    digest = hashlib.sha256()
    with given, open(temporary, "xb") as file:
        for piece in _pieces(given, part):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != part.sha256:
        raise InstallationPartInvalid(
            part=part.name, reason="its SHA-256 is %s, not %s" % (digest.hexdigest(), part.sha256)
        )
    os.replace(temporary, target)


def _pieces(file: BinaryIO, part: Part) -> Iterator[bytes]:
    """Yield the content, but not much more than the part's size: what is longer is not it."""
    left = part.size_bytes + 1
    while left > 0:
        piece = file.read(min(_PIECE_BYTES, left))
        if not piece:
            return
        left -= len(piece)
        yield piece


class Unpacker:
    """Unpacks the parts of one installation. Bounds and names are counted over all of them."""

    def __init__(self) -> None:
        self._names: Set[str] = set()
        self._bytes = 0

    def unpack(self, path: str, part: Part, folder: str) -> None:
        """Unpack the zip at ``path``, which is ``part``, into ``folder``.

        :raises InstallationPartInvalid: when it is not a zip, holds names that lead elsewhere, or too much.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    self._check(entry, folder)
                    if not entry.filename.endswith("/"):
                        _extract(archive, entry, folder)
        except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError) as error:
            raise InstallationPartInvalid(part=part.name, reason=str(error)) from None

    def _check(self, entry: zipfile.ZipInfo, folder: str) -> None:
        name = entry.filename
        pieces = name[:-1].split("/") if name.endswith("/") else name.split("/")
        if len(name) > _MAX_NAME_CHARACTERS or any(
            piece in ("", ".", "..") or "\\" in piece or ":" in piece or not piece.isprintable() for piece in pieces
        ):
            raise ValueError("it contains the name %r" % name[:_MAX_NAME_CHARACTERS])
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ValueError("%s in it is not a file" % name)
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("%s in it uses a compression that some Python versions can't read" % name)
        if name.endswith("/"):
            return
        key = os.path.join(folder, name).lower()
        self._bytes += entry.file_size
        if key in self._names:
            raise ValueError("%s is in it twice, or in another part" % name)
        self._names.add(key)
        if self._bytes > _MAX_UNPACKED_BYTES or len(self._names) > _MAX_FILES:
            raise ValueError("its unpacked size exceeds the limit of an agent")


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: str) -> None:
    """Write one file. zipfile reads no more than the size that the entry names, and compares its checksum."""
    target = os.path.join(folder, *entry.filename.split("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        opened = archive.open(entry)
    except OSError as error:  # a place outside of the archive; what can't be written is another matter
        raise ValueError("%s in it can't be read: %s" % (entry.filename, error)) from None
    with opened as source, open(target, "xb") as file:
        while True:
            piece = source.read(_PIECE_BYTES)
            if not piece:
                return
            file.write(piece)
