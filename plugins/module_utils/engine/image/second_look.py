# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a stored file is what its SHA-256 says: nothing is called damaged, moved or replaced after one false read.

A flipped bit on the way, a short read, an error that is gone a moment later look like damage. So a file counts as
damaged only when it was wrong each time, the later times read anew and past the cache. That it is whole needs one look:
no accident gives the right SHA-256.
"""

from __future__ import annotations

from typing import Iterator, Optional

from ..errors import StorageFailed
from ..storage.contract import SendGate, Storage
from .format import constants as fmt
from .format.packs import hash_pieces

LOOKS = 3


def damage_of(
    storage: Storage, path: str, sha256: str, *, gate: Optional[SendGate] = None, most_bytes: int = fmt.MAX_PACK_BYTES
) -> str:
    """Say why ``path`` is not what ``sha256`` says, "" when it is.

    :param gate: what is fetched counts against the same limit as what is sent.
    :raises StorageNotFound: when it is not there.
    :raises StorageFailed: when it could not be read to the last: that is said, and nothing is called damaged.
    """
    for look in range(LOOKS):
        try:
            if look:
                storage.look_anew(path)
            if hash_pieces(_gated(storage.read(path, 0, most_bytes + 1), gate)) == sha256:
                return ""
        except StorageFailed:
            if look == LOOKS - 1:
                raise
    return "its SHA-256 is wrong"


def _gated(pieces: Iterator[bytes], gate: Optional[SendGate]) -> Iterator[bytes]:
    for piece in pieces:
        if gate is not None:
            gate(len(piece))
        yield piece
