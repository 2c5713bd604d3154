# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries with files of its own what a run will need of a storage, before there is anything to lose."""

from __future__ import annotations

import secrets
import time
from typing import Callable, NamedTuple, Optional

from ..errors import StoragePermissionDenied, StorageReadBackDiffers
from .contract import Space, Storage

_PROBE_BYTES = 1 << 20


class StorageCheck(NamedTuple):
    """What a storage permits, and how it answers."""

    may_delete: bool
    may_replace: bool
    space: Optional[Space]
    round_trip_seconds: float
    write_bytes_per_second: float
    left_behind: str  # the path of what could not be deleted again, "" when all was


def check_storage(storage: Storage, directory: str) -> StorageCheck:
    """Make ``directory``, then write, read back, rename, replace and delete in it.

    Not being allowed to replace or delete is an answer: a device's account may be limited to that.

    :raises StorageError: when what every run needs does not work: listing, making directories, writing, reading, renaming.
    """
    storage.make_directory(directory)
    path = "%s/check-%s" % (directory, secrets.token_hex(8))
    renamed = path + "-renamed"
    content = secrets.token_bytes(_PROBE_BYTES)
    started = time.monotonic()
    storage.list(directory)
    listed = time.monotonic()
    storage.put(path, [content])
    written = time.monotonic()
    storage.forget_cache(path)
    if storage.get(path, 0, _PROBE_BYTES + 1) != content:
        raise StorageReadBackDiffers(path=path, storage=storage.description)
    storage.rename(path, renamed)
    may_replace = _is_permitted(lambda: storage.put(renamed, [content[:1]], replace=True))
    may_delete = _is_permitted(lambda: storage.delete(renamed))
    return StorageCheck(
        may_delete,
        may_replace,
        storage.space(),
        listed - started,
        _PROBE_BYTES / max(written - listed, 1e-6),
        "" if may_delete else renamed,
    )


def _is_permitted(call: Callable[[], object]) -> bool:
    try:
        call()
    except StoragePermissionDenied:
        return False
    return True
