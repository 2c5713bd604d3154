# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the status of an SFTP answer to an error of the catalogue."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

from ...entries import Space
from ...errors import StorageError, StorageExists, StorageFailed, StorageFull, StorageNotFound, StoragePermissionDenied
from . import packets as wire

_ABSENT = frozenset([wire.NO_SUCH_FILE, wire.NO_SUCH_PATH])
_DENIED = frozenset([wire.PERMISSION_DENIED, wire.WRITE_PROTECT])
_FULL = frozenset([wire.NO_SPACE, wire.QUOTA_EXCEEDED])
_FULL_WORDS = ("no space", "quota", "disk full", "disk is full", "not enough space")
_NO_WORDS = ("", "failure")
_ALMOST_NOTHING_BYTES = 1 << 20


class ServerSpace(NamedTuple):
    space: Space
    is_read_only: bool


def from_status(
    storage: str,
    operation: str,
    path: str,
    code: int,
    text: str,
    space: Optional[Callable[[], Optional[ServerSpace]]] = None,
    is_of_bytes: bool = False,
) -> StorageError:
    """Return the error for a status. ``space`` is asked where the server only says that it failed (OpenSSH tells
    neither a full nor a read-only file system from any other failure). ``is_of_bytes``: a file that could be made did not
    take its bytes."""
    if code in _ABSENT:
        return StorageNotFound(path=path, storage=storage)
    if code in _DENIED:
        return StoragePermissionDenied(storage=storage, operation=operation, path=path)
    if code == wire.ALREADY_EXISTS:
        return StorageExists(path=path, storage=storage)
    if code in _FULL or any(words in text.lower() for words in _FULL_WORDS):
        return StorageFull(storage=storage, path=path)
    reason = 'the server says "%s" (status %d)' % (text or "nothing", code)
    if code == wire.FAILURE and space is not None:
        there = space()
        if there is not None and there.is_read_only:
            return StoragePermissionDenied(storage=storage, operation=operation, path=path)
        if there is not None and there.space.free_bytes < _ALMOST_NOTHING_BYTES:
            return StorageFull(storage=storage, path=path)
        # A quota of the user and an error of the disk look the same from here (OpenSSH has one status for both).
        if there is not None and is_of_bytes and text.lower() in _NO_WORDS:
            reason += (
                "; the disk has free space, so the account may have reached its quota, or the server's "
                "disk may be failing"
            )
    return StorageFailed(operation=operation, path=path, storage=storage, reason=reason)
