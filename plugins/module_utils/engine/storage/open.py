# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From ``imaging_storage`` to a storage.

The files of a kind of server are loaded when a storage is of this kind: a start has no use for those of the others.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Mapping

from ..errors import StorageDirectoryMissing, StorageUrlInvalid
from ..smb.errors import SmbError
from ..smb.unc import parse_unc
from .contract import Storage
from .local.storage import DirectoryStorage
from .notices import NO_NOTICES, Notices
from .retry import RetryingStorage
from .url import check_url

_TIME_LIMIT_SECONDS = 3600


def open_storage(
    settings: Mapping[str, Any],
    warn: Callable[[str], None] = lambda sentence: None,
    cancelled: Callable[[], bool] = lambda: False,
    notices: Notices = NO_NOTICES,
) -> Storage:
    """Open the storage that ``settings["url"]`` names. A server is connected to with the first call.

    ``warn`` receives warnings for the user; ``cancelled`` ends a wait for a server that is away, and ``notices`` are
    told of such a wait.

    :raises StorageUrlInvalid: when it is none, or of a kind that this version does not have.
    :raises StorageDirectoryMissing: when it is a directory of this machine that is not there.
    """
    url = str(settings.get("url") or "")
    check_url(url)
    if url.startswith("file://"):
        url = url[len("file://") :]
    scheme = url.split("://", 1)[0].lower() if "://" in url else ""
    if scheme == "sftp":
        from .sftp.storage import SftpStorage

        return RetryingStorage(SftpStorage(settings, warn), _limit_seconds(settings), cancelled, notices=notices)
    if url.startswith("\\\\"):
        from .smb.storage import SmbStorage

        return RetryingStorage(SmbStorage(settings), _limit_seconds(settings), cancelled, notices=notices)
    if url.startswith("//") or scheme in ("smb", "cifs"):
        share = "\\\\" + url.split("//", 1)[1].strip("/").replace("/", "\\")
        raise StorageUrlInvalid(url=url, reason="write a share with backslashes: %s" % _example(share))
    if scheme:
        raise StorageUrlInvalid(url=url, reason="this version has no storage of the kind %s" % scheme)
    if url.startswith("\\"):
        raise StorageUrlInvalid(url=url, reason="write a share with two backslashes: %s" % _example("\\" + url))
    if not os.path.isabs(url):
        raise StorageUrlInvalid(url=url or "(nothing)", reason="it is not an absolute path of a directory")
    if _is_absent(url):
        # A mistyped path, or a disk that is not mounted: making it would fill the disk that the system is on.
        raise StorageDirectoryMissing(storage=url)
    return DirectoryStorage(url)


def _is_absent(path: str) -> bool:
    """Whether the system says that nothing has this name; a mounted share that does not answer says something else."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _example(share: str) -> str:
    """The suggestion, if there is one."""
    try:
        parse_unc(share)
    except SmbError:
        return "\\\\server\\share\\path"
    return share


def _limit_seconds(settings: Mapping[str, Any]) -> float:
    """How long one operation may be repeated before the run gives up."""
    given = settings.get("time_limit_seconds")
    return float(given) if isinstance(given, (int, float)) else _TIME_LIMIT_SECONDS
