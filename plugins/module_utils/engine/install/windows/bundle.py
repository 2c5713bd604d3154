# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle for Windows that was built before: its files, each compared with the document, for a connection that sends them."""

from __future__ import annotations

import hashlib
import zipfile
from typing import Dict, Optional, Tuple, Type

from ...errors import BundleInvalid
from ..stored_zip import UNREADABLE
from .document import DOCUMENT, MAX_DOCUMENT_BYTES, SUMS, File, WindowsDocument, read_document

_MAX_SUMS_BYTES = 8 << 20


class WindowsBundle:
    """Close it, or use it in a ``with`` statement."""

    def __init__(self, path: str) -> None:
        """:raises BundleInvalid: when it can't be read, or is not a bundle for Windows."""
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
            with self._archive.open(DOCUMENT) as file:
                self.document: WindowsDocument = read_document(file.read(MAX_DOCUMENT_BYTES + 1), path)
        except UNREADABLE as error:
            raise BundleInvalid(path=path, reason=str(error)) from None

    def __enter__(self) -> WindowsBundle:
        return self

    def __exit__(self, dummy_type: Optional[Type[BaseException]], *dummy_rest: object) -> None:
        self.close()

    def close(self) -> None:
        self._archive.close()

    @property
    def identity(self) -> str:
        """The id of the installation that it is."""
        return self.document.identity

    @property
    def files(self) -> Dict[str, File]:
        """The files by name, without the document and the list of sums."""
        return {file.name: file for file in self.document.files}

    def lists(self) -> Tuple[Tuple[str, bytes], ...]:
        """Return the document and the list of sums with their names, which belong to an installation too.

        :raises BundleInvalid:
        """
        try:
            with self._archive.open(SUMS) as file:
                return (DOCUMENT, self.document.raw), (SUMS, file.read(_MAX_SUMS_BYTES))
        except UNREADABLE as error:
            raise BundleInvalid(path=self.path, reason="%s: %s" % (SUMS, error)) from None

    def read(self, name: str) -> bytes:
        """Return a file's content, hashed. :raises BundleInvalid: when it is not what the document names."""
        file = self.files[name]
        try:
            with self._archive.open(name) as stream:
                content = stream.read(file.size_bytes + 1)
        except UNREADABLE as error:
            raise BundleInvalid(path=self.path, reason="%s: %s" % (name, error)) from None
        if len(content) != file.size_bytes or hashlib.sha256(content).hexdigest() != file.sha256:
            raise BundleInvalid(path=self.path, reason="%s is damaged" % name)
        return content
