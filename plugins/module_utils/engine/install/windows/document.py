# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``bundle.json`` of a bundle for Windows: every file with its hashes. Written by the operator, read on the device."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, List, NamedTuple, Tuple

from ...errors import BundleInvalid
from ..bundle_document import DOCUMENT

FORMAT = 1
SUMS = "SHA256SUMS"
MAX_DOCUMENT_BYTES = 8 << 20
MAX_FILE_BYTES = 256 << 20
_MAX_FILES = 20000
_MAX_NAME_CHARACTERS = 200  # below C:\Program Files\plantops-imaging\<id>\ the whole stays under the 260 of Windows
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+_-]{0,63}")
_PLATFORM = re.compile(r"windows-(7-)?[a-z0-9]{1,10}")
_PYTHON = re.compile(r"3\.[0-9]{1,3}\.[0-9]{1,3}")
_HASH = re.compile(r"[0-9a-f]{64}")
_PIECE = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.+@-]*")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


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
        return "%s-%s" % (self.version, hashlib.sha256(self.raw).hexdigest()[:16])


def make_document(version: str, platform: str, python: str, files: List[File]) -> WindowsDocument:
    """Return the document for ``files``, checked as every reader will. :raises BundleInvalid:"""
    content = {
        "format": FORMAT,
        "version": version,
        "platform": platform,
        "python": python,
        "files": [file._asdict() for file in files],
    }
    return read_document((json.dumps(content, indent=1, sort_keys=True) + "\n").encode("ascii"), DOCUMENT)


def read_document(raw: bytes, path: str) -> WindowsDocument:
    """Return the document in ``raw``; ``path`` is named by the error.

    :raises BundleInvalid: when it is not of a bundle for Windows.
    """
    try:
        if len(raw) > MAX_DOCUMENT_BYTES:
            raise ValueError("it is too large")
        content = json.loads(raw.decode("utf-8"))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError("its format is not %d" % FORMAT)
        files = tuple(_file(entry) for entry in content["files"])
        if not 1 <= len(files) <= _MAX_FILES:
            raise ValueError("it names %d files" % len(files))
        if len({file.name.lower() for file in files}) != len(files):
            raise ValueError("it names a file twice")
        return WindowsDocument(
            _matched(_VERSION, content["version"]),
            _matched(_PLATFORM, content["platform"]),
            _matched(_PYTHON, content["python"]),
            files,
            raw,
        )
    except KeyError as error:
        raise BundleInvalid(path=path, reason="%s is missing" % error) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise BundleInvalid(path=path, reason=str(error)) from None


def _file(entry: Any) -> File:
    size_bytes, authenticode = entry["size_bytes"], entry["authenticode"]
    if isinstance(size_bytes, bool) or not isinstance(size_bytes, int) or not 0 <= size_bytes <= MAX_FILE_BYTES:
        raise ValueError("a file of %r bytes" % (size_bytes,))
    checked = "" if authenticode == "" else _matched(_HASH, authenticode)
    return File(checked_name(entry["name"]), _matched(_HASH, entry["sha256"]), size_bytes, checked)


def checked_name(name: Any) -> str:
    """Return a name that leads nowhere else and that Windows can store. :raises ValueError:"""
    if not isinstance(name, str) or not 1 <= len(name) <= _MAX_NAME_CHARACTERS:
        raise ValueError("the name %.300r" % (name,))
    for piece in name.split("/"):
        if not _PIECE.fullmatch(piece) or _DEVICE.fullmatch(piece) or piece.endswith("."):
            raise ValueError("the name %r" % name)
    return name


def _matched(pattern: Any, text: Any) -> str:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ValueError("%r is malformed" % (text,))
    return text
