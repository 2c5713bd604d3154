# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytes of a file over SFTP, with as many requests in flight as a fast line with a long way needs."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Callable, Deque, Generator, Iterable, List, NamedTuple, Optional

from ...stall import Pace, TooSlow
from ..contract import Deadline
from ..parts import parts_of
from . import packets as wire
from .packets import PacketInvalid, Reply
from .session import SftpSession

# 1 Gbit/s at a round trip of 20 ms has 2.5 MB in flight.
_IN_FLIGHT_BYTES = 4 << 20
_FIRST_READ_BYTES = 1 << 20

Check = Callable[[Reply], None]


class _Sent(NamedTuple):
    request: int
    length_bytes: int  # none of what only ends the file


def send(
    session: SftpSession,
    handle: bytes,
    data: Iterable[bytes],
    deadline: Optional[Deadline],
    check: Check,
    finish: Callable[[], List[int]],
) -> int:
    """Write ``data`` from the start of the open file ``handle`` (with its length) and return how many bytes it was.

    ``check`` raises what the answer to a write says, or to the requests that ``finish`` makes when all is sent.
    """
    offset_bytes = 0
    pending: Deque[_Sent] = deque()
    limit = max(8, _IN_FLIGHT_BYTES // session.write_piece_bytes)
    pace = Pace(session.line)
    try:
        for part in parts_of(data, deadline):
            for place in range(0, len(part), session.write_piece_bytes):
                bit = part[place : place + session.write_piece_bytes]
                while len(pending) >= limit:
                    _take_answer(session, pending.popleft(), pace, check)
                head = handle + wire.long(offset_bytes) + wire.number(len(bit))
                request = pace.waited(partial(session.request, wire.WRITE, head, bit))
                pace.moved(len(bit))  # it went out, into the line's buffers at least: answers may be minutes away
                pending.append(_Sent(request, len(bit)))
                offset_bytes += len(bit)
        pending.extend(_Sent(request, 0) for request in finish())
        while pending:
            _take_answer(session, pending.popleft(), pace, check)
    except TooSlow as slow:
        raise session.lose(str(slow)) from None
    finally:
        session.abandon([sent.request for sent in pending])
    return offset_bytes


def _take_answer(session: SftpSession, sent: _Sent, pace: Pace, check: Check) -> None:
    check(pace.waited(partial(session.wait, sent.request)))
    if sent.length_bytes:
        pace.moved(sent.length_bytes)


class _Asked(NamedTuple):
    request: int
    offset_bytes: int
    length_bytes: int


def receive(
    session: SftpSession, handle: bytes, offset_bytes: int, length_bytes: Optional[int], check: Check
) -> Generator[bytes, None, None]:
    """Yield the bytes of the open file ``handle`` from ``offset_bytes``, at most ``length_bytes``, until its end."""
    name = wire.string(handle)
    pending: Deque[_Asked] = deque()
    end = None if length_bytes is None else offset_bytes + length_bytes
    position = offset_bytes
    pace = Pace(session.line)

    def ask(start: int, length: int) -> _Asked:
        return _Asked(session.request(wire.READ, name, wire.long(start), wire.number(length)), start, length)

    in_flight = 0
    # A reader that does not say how much it wants must not make the server send megabytes: the window opens as bytes are
    # taken.
    window = _FIRST_READ_BYTES if length_bytes is None else _IN_FLIGHT_BYTES
    try:
        while True:
            while in_flight < window and (end is None or position < end):
                length = session.read_piece_bytes if end is None else min(session.read_piece_bytes, end - position)
                pending.append(ask(position, length))
                position += length
                in_flight += length
            if not pending:
                return
            asked = pending.popleft()
            in_flight -= asked.length_bytes
            piece = _data(pace.waited(partial(session.wait, asked.request)), asked.length_bytes, check)
            if not piece:
                return
            pace.moved(len(piece))
            missing = asked.length_bytes - len(piece)
            if missing:
                # Servers may give less than was asked for; the rest comes before what was asked for after it.
                pending.appendleft(ask(asked.offset_bytes + len(piece), missing))
                in_flight += missing
            window = min(_IN_FLIGHT_BYTES, window + 2 * len(piece))
            yield piece
    except TooSlow as slow:
        raise session.lose(str(slow)) from None
    finally:
        session.abandon(_requests(pending))


def _requests(pending: Iterable[_Asked]) -> List[int]:
    return [asked.request for asked in pending]


def _data(reply: Reply, length_bytes: int, check: Check) -> bytes:
    """Return the bytes of an answer to a read, none at the end of the file."""
    if reply.kind == wire.DATA:
        piece = reply.string()
        if not 0 < len(piece) <= length_bytes:
            raise PacketInvalid("it sent %d bytes, but %d were requested" % (len(piece), length_bytes))
        return piece
    if reply.kind == wire.STATUS:
        start = reply.mark()
        code, dummy_text = reply.status()
        reply.back(start)
        if code == wire.EOF:
            return b""
    check(reply)
    raise PacketInvalid("its response does not match the request")
