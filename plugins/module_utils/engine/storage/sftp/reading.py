# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an open file by its own size, not by an earlier look at its name."""

from __future__ import annotations

from functools import partial
from typing import Generator, Iterator, Optional

from ...errors import StorageNotFound
from . import packets as wire
from .calls import SftpCalls
from .packets import Attributes
from .transfer import receive


def read_opened(
    calls: SftpCalls,
    storage: str,
    path: str,
    seen: Attributes,
    handle: bytes,
    offset_bytes: int,
    length_bytes: Optional[int],
) -> Iterator[bytes]:
    """Yield the bytes of the open file ``handle``; ``seen`` is what the name was before it was opened.

    Another file may have taken the name in between: the size of what is open is asked for beside the first bytes.

    :raises StorageNotFound: when the opened entry is not a file.
    """
    asked = calls.session.request(wire.FSTAT, wire.string(handle))
    pieces = _received(calls, path, handle, offset_bytes, seen.size_bytes, length_bytes)
    try:
        first = next(pieces, None)
    except BaseException:
        calls.session.abandon([asked])
        raise
    reply = calls.session.wait(asked)
    if reply.kind == wire.ATTRS:
        opened = reply.attributes()
        if not (opened.is_file or opened.mode is None):
            raise StorageNotFound(path=path, storage=storage)
        if opened.size_bytes is not None and opened.size_bytes != seen.size_bytes:
            pieces.close()
            yield from _received(calls, path, handle, offset_bytes, opened.size_bytes, length_bytes)
            return
    if first is not None:
        yield first
        yield from pieces


def _received(
    calls: SftpCalls,
    path: str,
    handle: bytes,
    offset_bytes: int,
    size_bytes: Optional[int],
    length_bytes: Optional[int],
) -> Generator[bytes, None, None]:
    left = length_bytes
    if size_bytes is not None:
        rest = max(0, size_bytes - offset_bytes)
        left = rest if left is None else min(left, rest)
    check = partial(calls.done, operation="reading", path=path)
    return receive(calls.session, handle, offset_bytes, left, check)
