# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares an unpacked bundle with its document. A file that a plant has signed counts as the same file.

The Authenticode hash leaves the signature out, so a signed file has the hash of the bundle unless more was changed.
"""

from __future__ import annotations

import hashlib
import os

from ...errors import BundleInvalid, WindowsFileChanged
from ..bundle_document import DOCUMENT
from .document import MAX_DOCUMENT_BYTES, MAX_FILE_BYTES, File, WindowsDocument, read_document
from .pe import PeFile, PeInvalid

_MOST_SIGNATURE_BYTES = 1 << 20


def read_folder(folder: str) -> WindowsDocument:
    """Return the document of an unpacked bundle. :raises BundleInvalid:"""
    path = os.path.join(folder, DOCUMENT)
    try:
        with open(path, "rb") as file:
            return read_document(file.read(MAX_DOCUMENT_BYTES + 1), path)
    except OSError as error:
        raise BundleInvalid(path=path, reason=error.strerror or str(error)) from None


def check_files(folder: str) -> WindowsDocument:
    """Compare every file that the document names. :raises BundleInvalid: :raises WindowsFileChanged:"""
    document = read_folder(folder)
    for file in document.files:
        path = os.path.join(folder, *file.name.split("/"))
        try:
            with open(path, "rb") as opened:
                content = opened.read(min(file.size_bytes + _MOST_SIGNATURE_BYTES, MAX_FILE_BYTES) + 1)
        except OSError as error:
            raise WindowsFileChanged(file=path, reason=error.strerror or str(error)) from None
        if not is_same(content, file):
            raise WindowsFileChanged(file=path, reason="its SHA-256 is %s" % hashlib.sha256(content).hexdigest())
    return document


def is_same(content: bytes, file: File) -> bool:
    """Whether ``content`` is the file, or the file with another signature."""
    if hashlib.sha256(content).hexdigest() == file.sha256:
        return True
    try:
        signed = PeFile(content)
        # Only for a signed file: the hash of others does not notice zeros at the end.
        return bool(file.authenticode and signed.signatures()) and signed.digest().hex() == file.authenticode
    except PeInvalid:
        return False
