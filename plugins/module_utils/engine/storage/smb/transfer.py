# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes to and from an open file, with several requests on their way at once."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any, Deque, Generator, Iterable, Iterator, List, Optional, Tuple

from ...smb.errors import END_OF_FILE, LinkLost, Refused
from ...smb.link import Handle, SmbLink
from ...stall import Pace, TooSlow
from ..contract import READ_SIZE_BYTES, Deadline

# Bytes in flight at once: 1 Gbit/s holds 2.5 MB in 20 ms.
_WINDOW_BYTES = 8 << 20
_MAX_REQUESTS = 64


def push(link: SmbLink, handle: Handle, data: Iterable[bytes], deadline: Optional[Deadline]) -> int:
    """Write ``data`` from the file's start and return its size, when the server has taken all of it."""
    piece_bytes = min(READ_SIZE_BYTES, link.max_write_bytes)
    window = _window(piece_bytes)
    sent: Deque[Tuple[Any, int, bytes]] = deque()
    pace = Pace(link.line)
    size_bytes = 0
    try:
        for piece in _cut(data, piece_bytes):
            if deadline is not None:
                deadline()
            while len(sent) >= window:
                _taken(link, handle, pace, *sent.popleft())
            request = pace.waited(partial(link.send_write, handle, piece, size_bytes))
            pace.moved(len(piece))  # it went out, into the line's buffers at least: answers may be minutes away
            sent.append((request, size_bytes, piece))
            size_bytes += len(piece)
        while sent:
            _taken(link, handle, pace, *sent.popleft())
    except TooSlow as slow:
        raise link.lose(str(slow)) from None
    finally:
        _collect(link, [item[0] for item in sent])
    return size_bytes


def _taken(link: SmbLink, handle: Handle, pace: Pace, request: Any, offset_bytes: int, piece: bytes) -> None:
    """Wait for a write; a nearly full server takes a part and says why with the next one."""
    while True:
        taken_bytes = pace.waited(partial(link.written, request))
        if not 0 < taken_bytes <= len(piece):
            raise link.invalid("a write of %d bytes stored %d" % (len(piece), taken_bytes))
        pace.moved(taken_bytes)
        if taken_bytes == len(piece):
            return
        offset_bytes, piece = offset_bytes + taken_bytes, piece[taken_bytes:]
        request = link.send_write(handle, piece, offset_bytes)


def _cut(data: Iterable[bytes], piece_bytes: int) -> Iterator[bytes]:
    """Yield ``data`` in pieces of just ``piece_bytes``, but for the last: small requests cost as much as large ones."""
    gathered = bytearray()
    for part in data:
        if not gathered and len(part) == piece_bytes:
            yield bytes(part)
            continue
        view = memoryview(part)
        while len(view):
            if not gathered and len(view) >= piece_bytes:
                yield bytes(view[:piece_bytes])
                view = view[piece_bytes:]
                continue
            room = piece_bytes - len(gathered)
            gathered += view[:room]
            view = view[room:]
            if len(gathered) == piece_bytes:
                yield bytes(gathered)
                gathered = bytearray()
    if gathered:
        yield bytes(gathered)


def pull(link: SmbLink, handle: Handle, offset_bytes: int, length_bytes: Optional[int]) -> Generator[bytes, None, None]:
    """Yield the bytes of a file as long as it was when it was opened, at most ``length_bytes`` of them."""
    end = handle.size_bytes if length_bytes is None else min(handle.size_bytes, offset_bytes + length_bytes)
    piece_bytes = min(READ_SIZE_BYTES, link.max_read_bytes)
    window = _window(piece_bytes)
    asked: Deque[Tuple[Any, int, int]] = deque()
    ahead = offset_bytes
    pace = Pace(link.line)
    try:
        while ahead < end or asked:
            while ahead < end and len(asked) < window:
                length = min(piece_bytes, end - ahead)
                asked.append((pace.waited(partial(link.send_read, handle, ahead, length)), ahead, length))
                ahead += length
            request, start, length = asked.popleft()
            piece = pace.waited(partial(_answer, link, request, length))
            while piece:
                pace.moved(len(piece))
                yield piece
                start, length = start + len(piece), length - len(piece)
                piece = pace.waited(partial(_ask_again, link, handle, start, length)) if length else b""
            if length:
                return  # the file has become shorter
    except TooSlow as slow:
        raise link.lose(str(slow)) from None
    finally:
        _collect(link, [item[0] for item in asked])


def _answer(link: SmbLink, request: Any, length_bytes: int) -> bytes:
    try:
        return link.data(request, length_bytes)
    except Refused as refused:
        if refused.status != END_OF_FILE:
            raise
        return b""


def _ask_again(link: SmbLink, handle: Handle, offset_bytes: int, length_bytes: int) -> bytes:
    """The rest of a piece of which the server gave a part."""
    return _answer(link, link.send_read(handle, offset_bytes, length_bytes), length_bytes)


def _collect(link: SmbLink, requests: List[Any]) -> None:
    """Take the answers that are no longer needed: the connection keeps them until they are taken."""
    for request in requests:
        try:
            link.answer(request)
        except LinkLost:
            return
        except Refused:
            continue


def _window(piece_bytes: int) -> int:
    return max(2, min(_MAX_REQUESTS, _WINDOW_BYTES // piece_bytes))
