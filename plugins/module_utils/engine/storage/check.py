# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries the operations that a run needs of a storage with test files, before the run begins."""

from __future__ import annotations

import secrets
import time
from typing import Callable, NamedTuple, Optional, Tuple

from ..entries import Space
from ..errors import StorageNotFound, StoragePermissionDenied, StorageReadBackDiffers
from .contract import PARTIAL_SUFFIX, Storage

_PROBE_BYTES = 1 << 20
_TRIES = 3


class StorageCheck(NamedTuple):
    """The permitted operations of a storage, and its answers."""

    may_delete: bool
    may_replace: bool
    may_rename: bool
    space: Optional[Space]
    round_trip_seconds: float
    write_bytes_per_second: float
    # The server's time minus this machine's, where it is known.
    clock_ahead_seconds: Optional[float]
    undeletable: str  # the path of what could not be deleted again, "" when all was


def check_storage(storage: Storage, directory: str, probe_bytes: int = _PROBE_BYTES) -> StorageCheck:
    """Make ``directory``, then write, read back, rename, replace and delete in it.

    Not being allowed to rename, replace or delete is an answer: a device's account may be limited to creating and
    reading. Files that it can't delete have the suffix of partial files, so that the operator's rollover deletes them.

    :raises StorageError: when what every run needs does not work: listing, making directories, writing, reading.
    """
    storage.make_directory(directory)
    content = secrets.token_bytes(probe_bytes)
    started = time.monotonic()
    storage.list_some(directory, lambda name: True, 1)  # a crowd of names is not held
    listed = time.monotonic()
    path, seconds = _write_and_read(storage, directory, content)
    modified_seconds = storage.modified_seconds(path)
    ahead_seconds = None if modified_seconds is None else modified_seconds - time.time()
    renamed = "%s-renamed%s" % (path[: -len(PARTIAL_SUFFIX)], PARTIAL_SUFFIX)
    may_rename = _is_permitted(lambda: storage.rename(path, renamed))
    last = renamed if may_rename else path
    may_replace = _is_permitted(lambda: storage.put(last, [content[:1]], replace=True))
    may_delete = _is_permitted(lambda: storage.delete(last))
    return StorageCheck(
        may_delete,
        may_replace,
        may_rename,
        storage.space(),
        listed - started,
        probe_bytes / max(seconds, 1e-6),
        ahead_seconds,
        "" if may_delete else last,
    )


def _write_and_read(storage: Storage, directory: str, content: bytes) -> Tuple[str, float]:
    """Write a probe, read it back, and return its path and the seconds that writing took; another one when a rollover
    removed it as debris in the meantime."""
    for tries_left in range(_TRIES, 0, -1):
        path = "%s/check-%s%s" % (directory, secrets.token_hex(8), PARTIAL_SUFFIX)
        started = time.monotonic()
        try:
            storage.put(path, [content])
            seconds = time.monotonic() - started
            storage.forget_cache(path)
            if storage.get(path, 0, len(content) + 1) == content:
                return path, seconds
        except StorageNotFound:
            if tries_left == 1:
                raise
            continue
        break
    raise StorageReadBackDiffers(path=path, storage=storage.description)


def _is_permitted(call: Callable[[], object]) -> bool:
    try:
        call()
    except StoragePermissionDenied:
        return False
    except StorageNotFound:
        return True  # permitted, but a rollover was quicker
    return True
