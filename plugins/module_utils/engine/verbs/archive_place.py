# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses an archive that is the storage itself, as far as their settings tell; the check-in finds out the rest."""

from __future__ import annotations

import os

from ..errors import ArchiveIsStorage
from .request_parts import StorageSettings


def refuse_same_place(device: str, storage: StorageSettings, archive: StorageSettings) -> None:
    """:raises ArchiveIsStorage: when one is the other, or is inside it."""
    reason = ""
    if _plain(storage.url) == _plain(archive.url):
        reason = "both settings have the same url"
    elif storage.folder and archive.folder:
        one, other = os.path.realpath(storage.folder), os.path.realpath(archive.folder)
        if one == other or (os.path.isdir(one) and os.path.isdir(other) and os.path.samefile(one, other)):
            reason = "both paths lead to the same directory"
        elif other.startswith(one.rstrip("/") + "/") or one.startswith(other.rstrip("/") + "/"):
            reason = "one directory is inside the other"
    if reason:
        raise ArchiveIsStorage(archive=archive.url, storage=storage.url, device=device, reason=reason)


def _plain(url: str) -> str:
    """A URL without what may be spelt in several ways."""
    text = url.replace("\\", "/").rstrip("/")
    if text.startswith("//"):
        return text.lower()
    if text.startswith("sftp://"):
        host, slash, path = text[len("sftp://") :].partition("/")
        return "sftp://%s/%s" % (host[: -len(":22")].lower() if host.endswith(":22") else host.lower(), path) + slash
    return text
