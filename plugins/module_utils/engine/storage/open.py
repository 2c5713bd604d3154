# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From ``imaging_storage`` to a storage."""

from __future__ import annotations

import os
from typing import Any, Mapping

from ..errors import StorageUrlInvalid
from .contract import Storage
from .directory import DirectoryStorage


def open_storage(settings: Mapping[str, Any]) -> Storage:
    """Open the storage that ``settings["url"]`` names.

    :raises StorageUrlInvalid: when it is none, or of a kind that this version does not have.
    """
    url = str(settings.get("url") or "")
    if url.startswith("file://"):
        url = url[len("file://") :]
    scheme = url.split("://", 1)[0].lower() if "://" in url else ""
    if "@" in url.split("://", 1)[-1].split("/")[0] and scheme:
        raise StorageUrlInvalid(
            url="%s://..." % scheme, reason="user and password belong in imaging_storage.username and .password"
        )
    if scheme or url.startswith("\\\\"):
        kind = scheme or "UNC share"
        raise StorageUrlInvalid(url=url, reason="this version has no storage of the kind %s yet" % kind)
    if not os.path.isabs(url):
        raise StorageUrlInvalid(url=url or "(nothing)", reason="it is no absolute path of a directory")
    return DirectoryStorage(url)
