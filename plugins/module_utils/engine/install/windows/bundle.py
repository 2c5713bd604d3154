# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle for Windows that was built before: its files, each compared with the document, for a connection that sends them."""

from __future__ import annotations

from typing import Dict, Tuple

from ...errors import BundleInvalid
from ..bundle_document import DOCUMENT
from ..bundle_format import BundleArchive
from ..stored_zip import UNREADABLE
from .document import MAX_DOCUMENT_BYTES, SUMS, File, WindowsDocument, read_document

_MAX_SUMS_BYTES = 8 << 20


class WindowsBundle(BundleArchive[WindowsDocument]):
    """A bundle for Windows, whose files are the installation."""

    def __init__(self, path: str) -> None:
        """:raises BundleInvalid: when it can't be read, or is not a bundle for Windows."""
        super().__init__(path, MAX_DOCUMENT_BYTES, read_document)

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
        return self._read(name, name, file.size_bytes, file.sha256)
