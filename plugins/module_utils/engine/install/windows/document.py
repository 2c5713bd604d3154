# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``bundle.json`` of a bundle for Windows: every file with its hashes. Written by the operator, read on the device."""

from __future__ import annotations

import re
from typing import Any, List, NamedTuple, Tuple

from ...names import is_device_of_windows
from ..bundle_document import DOCUMENT, FORMAT, SHA256, VERSION, identity_of, matched, parsed, refusing, sized, written

SUMS = "SHA256SUMS"
MAX_DOCUMENT_BYTES = 8 << 20
MAX_FILE_BYTES = 256 << 20
_MAX_FILES = 20000
_MAX_NAME_CHARACTERS = 200  # below C:\Program Files\plantops-imaging\<id>\ the whole stays under the 260 of Windows
_PLATFORM = re.compile(r"windows-(7-)?[a-z0-9]{1,10}")
_PYTHON = re.compile(r"3\.[0-9]{1,3}\.[0-9]{1,3}")
_PIECE = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.+@-]*")


class File(NamedTuple):
    """A file of a bundle. ``name`` has slashes. ``authenticode`` is the hash without signature, empty for no executable."""

    name: str
    sha256: str
    size_bytes: int
    authenticode: str


class WindowsDocument(NamedTuple):
    """A bundle's contents; ``raw`` are its bytes."""

    version: str
    platform: str
    python: str
    files: Tuple[File, ...]
    raw: bytes

    @property
    def identity(self) -> str:
        """The id of the installation that it is."""
        return identity_of(self.version, self.raw)


def make_document(version: str, platform: str, python: str, files: List[File]) -> WindowsDocument:
    """Return the document for ``files``, checked as every reader will. :raises BundleInvalid:"""
    content = {
        "format": FORMAT,
        "version": version,
        "platform": platform,
        "python": python,
        "files": [file._asdict() for file in files],
    }
    return read_document(written(content), DOCUMENT)


def read_document(raw: bytes, path: str) -> WindowsDocument:
    """Return the document in ``raw``; ``path`` is named by the error.

    :raises BundleInvalid: when it is not of a bundle for Windows.
    """
    with refusing(path):
        content = parsed(raw, MAX_DOCUMENT_BYTES)
        files = tuple(_file(entry) for entry in content["files"])
        if not 1 <= len(files) <= _MAX_FILES:
            raise ValueError("it names %d files" % len(files))
        if len({file.name.lower() for file in files}) != len(files):
            raise ValueError("it names a file twice")
        return WindowsDocument(
            matched(VERSION, content["version"]),
            matched(_PLATFORM, content["platform"]),
            matched(_PYTHON, content["python"]),
            files,
            raw,
        )


def _file(entry: Any) -> File:
    size_bytes, authenticode = sized("file", entry["size_bytes"], MAX_FILE_BYTES), entry["authenticode"]
    checked = "" if authenticode == "" else matched(SHA256, authenticode)
    return File(checked_name(entry["name"]), matched(SHA256, entry["sha256"]), size_bytes, checked)


def checked_name(name: Any) -> str:
    """Return a name that leads nowhere else and that Windows can store. :raises ValueError:"""
    if not isinstance(name, str) or not 1 <= len(name) <= _MAX_NAME_CHARACTERS:
        raise ValueError("the name %.300r" % (name,))
    for piece in name.split("/"):
        if not _PIECE.fullmatch(piece) or is_device_of_windows(piece) or piece.endswith("."):
            raise ValueError("the name %r" % name)
    return name
