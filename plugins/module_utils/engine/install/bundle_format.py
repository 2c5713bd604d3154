# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file format of bundles, as docs/agent.md draws it: written so that the same parts give the same bytes, and read."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path
from typing import BinaryIO, Callable, Dict, Generic, Iterable, List, Optional, Protocol, Tuple, Type, TypeVar

from ..errors import BundleInvalid
from .bundle_document import DOCUMENT, MAX_DOCUMENT_BYTES, Document, Part, read_document
from .stored_zip import UNREADABLE

ENGINE = Path(__file__).parent.parent
_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can say
_MAX_INSTALLER_BYTES = 4 << 20
_INSTALLER = (
    "__init__.py",
    "amounts.py",
    "errors.py",
    "tame.py",
    "host/__init__.py",
    "install/__init__.py",
    "install/bundle_document.py",
    "install/home.py",
    "install/installer.py",
    "host/locks.py",
    "host/linux_locks.py",
    "install/probe.py",
    "install/unpacking.py",
)
_MAIN = b'''\
# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the installer that lies beside this."""

import os
import sys

if sys.version_info < (3, 6):
    sys.exit("This is Python %d.%d; the agent needs CPython 3.8 or newer." % sys.version_info[:2])
from engine.install.installer import main

sys.exit(main(sys.argv[1:], os.path.dirname(os.path.abspath(__file__))))
'''
Entries = Iterable[Tuple[str, bytes]]
_Archive = TypeVar("_Archive", bound="BundleArchive[_Identified]")


def write_zip(file: BinaryIO, entries: Entries) -> None:
    """Write a zip whose bytes depend on names and contents only. Stored: two versions of zlib make different bytes."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)


def engine_zip() -> bytes:
    """Return the part that holds the engine: every source of it, in the order of their names."""
    names = sorted(path.relative_to(ENGINE).as_posix() for path in ENGINE.rglob("*.py"))
    return _zipped(("engine/" + name, (ENGINE / name).read_bytes()) for name in names)


def installer_entries() -> List[Tuple[str, bytes]]:
    """Return the program that every bundle begins with."""
    return [("__main__.py", _MAIN)] + [("engine/" + name, (ENGINE / name).read_bytes()) for name in _INSTALLER]


def _zipped(entries: Entries) -> bytes:
    file = io.BytesIO()
    write_zip(file, entries)
    return file.getvalue()


def write_bundle(file: BinaryIO, document: Document, parts: Dict[str, bytes]) -> None:
    """Write a bundle; ``parts`` are the contents by SHA-256."""
    entries = [*installer_entries(), (DOCUMENT, document.raw)]
    write_zip(file, entries + [("parts/" + part.sha256, parts[part.sha256]) for part in document.parts])


class _Identified(Protocol):
    @property
    def identity(self) -> str:
        """The id of an installation."""


_Described_co = TypeVar("_Described_co", bound=_Identified, covariant=True)


class BundleArchive(Generic[_Described_co]):
    """A bundle of any system that was built before. Close it, or use it in a ``with`` statement."""

    def __init__(self, path: str, document_bytes: int, read: Callable[[bytes, str], _Described_co]) -> None:
        """``read`` reads its document, of at most ``document_bytes``.

        :raises BundleInvalid: when it can't be read, or is not a bundle.
        """
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
            with self._archive.open(DOCUMENT) as file:
                self.document = read(file.read(document_bytes + 1), path)
        except UNREADABLE as error:
            raise BundleInvalid(path=path, reason=str(error)) from None

    def __enter__(self: _Archive) -> _Archive:
        return self

    def __exit__(self, dummy_type: Optional[Type[BaseException]], *dummy_rest: object) -> None:
        self.close()

    def close(self) -> None:
        self._archive.close()

    @property
    def identity(self) -> str:
        """The id of the installation that it makes."""
        return self.document.identity

    def _read(self, name: str, label: str, size_bytes: int, sha256: str) -> bytes:
        """Return a file's content, hashed. :raises BundleInvalid: with the label, when the document names another."""
        try:
            with self._archive.open(name) as file:
                content = file.read(size_bytes + 1)
        except UNREADABLE as error:
            raise BundleInvalid(path=self.path, reason="%s: %s" % (label, error)) from None
        if len(content) != size_bytes or hashlib.sha256(content).hexdigest() != sha256:
            raise BundleInvalid(path=self.path, reason="%s is damaged" % label)
        return content


class Bundle(BundleArchive[Document]):
    """A bundle for Linux."""

    def __init__(self, path: str) -> None:
        """:raises BundleInvalid: when it can't be read, or is not a bundle."""
        super().__init__(path, MAX_DOCUMENT_BYTES, read_document)

    def missing(self, known: Iterable[str]) -> List[Part]:
        """Return the parts that a device which knows these SHA-256 sums lacks."""
        there = set(known)
        return [part for part in self.document.parts if part.sha256 not in there]

    def read_part(self, part: Part) -> bytes:
        """Return a part's content, hashed.

        :raises BundleInvalid: when it is not what ``bundle.json`` names.
        """
        return self._read("parts/" + part.sha256, part.name, part.size_bytes, part.sha256)

    def installer(self) -> bytes:
        """Return ``installer.pyz``: the bundle's own installer, for a device to which only some parts are sent.

        :raises BundleInvalid: when it can't be read, or is larger than an installer is.
        """
        entries = [
            entry
            for entry in self._archive.infolist()
            if entry.filename == "__main__.py" or entry.filename.startswith("engine/")
        ]
        if sum(entry.file_size for entry in entries) > _MAX_INSTALLER_BYTES:
            raise BundleInvalid(path=self.path, reason="its installer is too large")
        try:
            return _zipped((entry.filename, self._archive.read(entry)) for entry in entries)
        except UNREADABLE as error:
            raise BundleInvalid(path=self.path, reason="its installer: %s" % error) from None

    def write_missing(self, known: Iterable[str], folder: str) -> List[str]:
        """Write what a device needs into ``folder``: ``bundle.json``, ``installer.pyz``, lacking parts; return their paths."""
        files = [(DOCUMENT, self.document.raw), ("installer.pyz", self.installer())]
        files += [(part.sha256, self.read_part(part)) for part in self.missing(known)]
        paths = []
        for name, content in files:
            paths.append(os.path.join(folder, name))
            with open(paths[-1], "wb") as file:
                file.write(content)
        return paths
