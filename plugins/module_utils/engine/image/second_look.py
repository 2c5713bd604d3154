# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a stored file against its SHA-256: no file is called damaged, moved or replaced after a single false read.

A flipped bit on the way, a short read, an error that lasts a moment look like damage. So a file counts as damaged only
when it was wrong each time, the later times read again past the cache. A single matching read proves that it is intact:
no accident gives the right SHA-256.
"""

from __future__ import annotations

from ..errors import StorageFailed
from ..storage.contract import Storage
from .format import constants as fmt
from .format.packs import hash_pieces

LOOKS = 3


def damage_of(storage: Storage, path: str, sha256: str, *, most_bytes: int = fmt.MAX_PACK_BYTES) -> str:
    """Say why ``path`` is not what ``sha256`` says, "" when it is.

    :raises StorageNotFound: when it is not there.
    :raises StorageFailed: when it could not be read to the last: that is said, and nothing is called damaged.
    """
    for look in range(LOOKS):
        try:
            if look:
                storage.look_anew(path)
            if hash_pieces(storage.read(path, 0, most_bytes + 1)) == sha256:
                return ""
        except StorageFailed:
            if look == LOOKS - 1:
                raise
    return "its SHA-256 is wrong"
