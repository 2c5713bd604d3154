# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out with a small file whether an archive is the storage itself by another name, and whether its account may delete.

The file has a fixed name for each image. An account that may only create can't delete it again, and finds the one of an
earlier check-in of the image instead of adding another.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import Tuple

from ...errors import ArchiveIsStorage, StorageExists, StorageFailed, StorageNotFound, StoragePermissionDenied
from ...storage.contract import PARTIAL_SUFFIX, Storage
from ..device_directory import DeviceDirectory

_CONTENT_BYTES = 16
_TRIES = 3


def may_give_back(archive: DeviceDirectory, source: DeviceDirectory, image: str) -> bool:
    """Whether this account may replace and delete files in the archive, as the holder of a lease has to.

    :raises ArchiveIsStorage: when the file that was stored to try that is in the storage, too, by any name.
    """
    path, content = _stored(archive, source.storage, image)
    is_same = _content(source.storage, path) == content
    found = False
    if _is_deleted(archive.storage, path):
        own = _path(
            archive, secrets.token_hex(8)
        )  # another check-in of the image may try the fixed name at this moment
        _put(archive.storage, own, content)
        is_same = is_same or _content(source.storage, own) == content
        found = _may_replace_and_delete(archive.storage, own, content)
    if is_same:
        raise ArchiveIsStorage(
            archive=archive.storage.description,
            storage=source.storage.description,
            device=source.device,
            reason="a file that was stored in one of them is in both",
        )
    return found


def _stored(archive: DeviceDirectory, source: Storage, image: str) -> Tuple[str, bytes]:
    """Path and content of a file in the archive: of a new one, or of one that only an earlier check-in can have made there."""
    path = _path(archive, image)
    left = _content(archive.storage, path)
    if left and _content(source, path) != left:
        return path, left
    content = secrets.token_bytes(_CONTENT_BYTES)
    if not left:
        with contextlib.suppress(StorageExists):  # not a file, or another check-in has just made it
            _put(archive.storage, path, content)
            return path, content
    # One that is in both may have come with a storage that was copied from the archive: only a new one tells.
    path = _path(archive, secrets.token_hex(8))
    _put(archive.storage, path, content)
    return path, content


def _put(archive: Storage, path: str, content: bytes, *, replace: bool = False) -> None:
    for left in reversed(range(_TRIES)):
        try:
            archive.put(path, [content], replace=replace)
            return
        except StorageNotFound:  # the holder of the lease took the half-written file for what a killed check-in left
            if not left:
                raise


def _path(archive: DeviceDirectory, word: str) -> str:
    return archive.path("check-%s%s" % (word, PARTIAL_SUFFIX))  # the suffix marks the file as debris


def _may_replace_and_delete(archive: Storage, path: str, content: bytes) -> bool:
    try:
        _put(archive, path, content[:1], replace=True)
    except StoragePermissionDenied:
        _is_deleted(archive, path)
        return False
    return _is_deleted(archive, path)


def _is_deleted(archive: Storage, path: str) -> bool:
    """Delete the file, if no other check-in has done so; false where the account may not."""
    try:
        archive.delete(path)
    except StorageNotFound:
        return True
    except StoragePermissionDenied:
        return False
    return True


def _content(storage: Storage, path: str) -> bytes:
    """The content of the file, "" where there is none to be read."""
    try:
        return storage.get(path, 0, _CONTENT_BYTES)
    except (StorageNotFound, StoragePermissionDenied, StorageFailed):
        return b""
