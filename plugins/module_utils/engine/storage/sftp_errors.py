# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the status of an SFTP answer to an error of the catalogue."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

from ..errors import StorageError, StorageExists, StorageFailed, StorageFull, StorageNotFound, StoragePermissionDenied
from . import sftp_packets as wire
from .contract import Space

_ABSENT = frozenset([wire.NO_SUCH_FILE, wire.NO_SUCH_PATH])
_DENIED = frozenset([wire.PERMISSION_DENIED, wire.WRITE_PROTECT])
_FULL = frozenset([wire.NO_SPACE, wire.QUOTA_EXCEEDED])
_FULL_WORDS = ("no space", "quota", "disk full", "disk is full", "not enough space")
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
) -> StorageError:
    """Return the error for a status. ``space`` is asked where the server only says that it failed (OpenSSH tells
    neither a full nor a read-only file system from any other failure)."""
    if code in _ABSENT:
        return StorageNotFound(path=path, storage=storage)
    if code in _DENIED:
        return StoragePermissionDenied(storage=storage, operation=operation, path=path)
    if code == wire.ALREADY_EXISTS:
        return StorageExists(path=path, storage=storage)
    if code in _FULL or any(words in text.lower() for words in _FULL_WORDS):
        return StorageFull(storage=storage, path=path)
    if code == wire.FAILURE and space is not None:
        there = space()
        if there is not None and there.is_read_only:
            return StoragePermissionDenied(storage=storage, operation=operation, path=path)
        if there is not None and there.space.free_bytes < _ALMOST_NOTHING_BYTES:
            return StorageFull(storage=storage, path=path)
    reason = 'the server says "%s" (status %d)' % (text or "nothing", code)
    return StorageFailed(operation=operation, path=path, storage=storage, reason=reason)
