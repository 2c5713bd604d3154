# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One SFTP session: requests of any number of threads in flight at once, answers matched by their number.

There is no reader thread: each thread that waits for an answer reads, and hands over the answers of others. No call waits
for ever: the session is lost when a send, a packet that has begun, or the server as a whole makes no headway for
``timeout_seconds``, and when one request takes ten times as long. (On a slow line an answer may have to queue behind the
megabytes of another thread; that alone is not a failure.)
"""

from __future__ import annotations

import contextlib
import itertools
import struct
import threading
import time
from typing import Any, Callable, Dict, Iterable, Set, Tuple

from ...stall import Line
from . import packets as wire
from .packets import PacketInvalid, Reply

_MAX_PACKET_BYTES = 1 << 20
_RECEIVE_BYTES = 4 << 20
_DEFAULT_PIECE_BYTES = 32768  # what every server must take (draft, section 3)
_MAX_PIECE_BYTES = 255 << 10
_MAX_EXTENSIONS = 64
_PATIENCE = 10
_SHOWN_BYTES = 400
_MAX_WAITING_BYTES = 128 << 20  # of answers that no caller has taken yet; sixteen readers ask for half of it at most


class SessionLost(Exception):
    """The connection is lost, silent or invalid. Its text says which, without secrets."""

    received = b""  # what came in the place of the first answer


class SftpSession:
    """The protocol over ``channel`` (a paramiko channel with the subsystem started)."""

    def __init__(
        self, channel: Any, close: Callable[[], None], timeout_seconds: float, is_openssh: bool = False
    ) -> None:
        self._channel = channel
        self._close = close
        self._timeout_seconds = timeout_seconds
        self._numbers = itertools.count(1)
        self._sending = threading.Lock()
        self._condition = threading.Condition()
        self._is_reading = False
        self._expected: Set[int] = set()
        self._abandoned: Set[int] = set()
        self._answers: Dict[int, Tuple[Reply, int]] = {}
        self._waiting_bytes = 0
        self._buffer = bytearray()
        self._lost = ""
        self._last_answer = 0.0
        self.line = Line()
        self.extensions: Dict[str, bytes] = {}
        self.is_openssh = is_openssh
        self.read_piece_bytes = _DEFAULT_PIECE_BYTES
        self.write_piece_bytes = _DEFAULT_PIECE_BYTES
        channel.settimeout(timeout_seconds)
        self._start()

    @property
    def is_alive(self) -> bool:
        return not self._lost

    def _start(self) -> None:
        data = b""
        try:
            self._send(struct.pack(">IBI", 5, wire.INIT, 3))
            data = self._guarded(self._read_packet)
            self._take_version(Reply(data[0], data, 1))
        except SessionLost as lost:
            lost.received = data[:_SHOWN_BYTES] or bytes(self._buffer[:_SHOWN_BYTES])
            raise

    def _take_version(self, reply: Reply) -> None:
        try:
            if reply.kind != wire.VERSION or reply.number() < 3:
                raise PacketInvalid("it does not speak SFTP version 3")
            for dummy in range(_MAX_EXTENSIONS):
                if reply.at_end:
                    break
                name = reply.string().decode("utf-8", "replace")
                self.extensions[name] = reply.string()
            if "limits@openssh.com" in self.extensions:
                self._ask_limits()
        except PacketInvalid as error:
            raise self.lose(str(error)) from None

    def _ask_limits(self) -> None:
        """OpenSSH's PROTOCOL, section 4.8: longest packet, read, write; 0 means that the server does not say."""
        reply = self.call(wire.EXTENDED, wire.string(b"limits@openssh.com"))
        if reply.kind != wire.EXTENDED_REPLY:
            return
        longest, read, write = reply.long(), reply.long(), reply.long()
        room = longest - 1024 if longest else _MAX_PIECE_BYTES
        self.read_piece_bytes = max(_DEFAULT_PIECE_BYTES, min(read, room, _MAX_PIECE_BYTES))
        self.write_piece_bytes = max(_DEFAULT_PIECE_BYTES, min(write, room, _MAX_PIECE_BYTES))

    def call(self, kind: int, *parts: bytes) -> Reply:
        """Send a request and return its answer.

        :raises SessionLost: when there is none.
        """
        return self.wait(self.request(kind, *parts))

    def request(self, kind: int, *parts: bytes) -> int:
        """Send a request and return its number, for :meth:`wait` or :meth:`abandon`."""
        with self._condition:
            self._check()
            request = next(self._numbers) & 0xFFFFFFFF
            self._expected.add(request)
        length = 5 + sum(map(len, parts))
        self._send(b"".join((struct.pack(">IBI", length, kind, request), *parts)))
        return request

    def wait(self, request: int) -> Reply:
        """Return the answer to ``request``."""
        started = time.monotonic()
        while True:
            with self._condition:
                while True:
                    if request in self._answers:
                        return self._take(request)
                    self._check()
                    deadline = min(
                        max(started, self._last_answer) + self._timeout_seconds,
                        started + _PATIENCE * self._timeout_seconds,
                    )
                    left = deadline - time.monotonic()
                    if left < 0:
                        raise self.lose("it did not respond for %d seconds" % self._timeout_seconds)
                    if not self._is_reading:
                        self._is_reading = True
                        break
                    self._condition.wait(left + 0.01)
            self._read_one()

    def abandon(self, requests: Iterable[int]) -> None:
        """No thread waits for these: their answers are dropped when they come."""
        with self._condition:
            for request in requests:
                if request in self._answers:
                    self._take(request)
                else:
                    self._abandoned.add(request)

    def _take(self, request: int) -> Reply:
        reply, size_bytes = self._answers.pop(request)
        self._waiting_bytes -= size_bytes
        return reply

    def lose(self, reason: str) -> SessionLost:
        """Close the connection; every later call fails. Returns the error to raise."""
        with self._condition:
            first = not self._lost
            self._lost = self._lost or reason
            self._condition.notify_all()
        if first:
            with contextlib.suppress(Exception):
                self._close()  # a channel says so to the server; over a line that is cut that fails, in many ways
        return SessionLost(self._lost)

    def close(self) -> None:
        self.lose("it was closed")

    def _check(self) -> None:
        if self._lost:
            raise SessionLost(self._lost)

    def _read_one(self) -> None:
        """Read a packet as the one thread that may, and give it to whom it belongs."""
        try:
            data = self._guarded(self._read_packet)
            if len(data) < 5:
                raise self.lose("it sent a packet that is too short")
            reply = Reply(data[0], data, 1)
            number = reply.number()
            with self._condition:
                if number not in self._expected:
                    raise self.lose("it sent a response without a request")
                self._expected.remove(number)
                self._last_answer = time.monotonic()
                if number in self._abandoned:
                    self._abandoned.remove(number)
                else:
                    self._answers[number] = reply, len(data)
                    self._waiting_bytes += len(data)
                    if self._waiting_bytes > _MAX_WAITING_BYTES:
                        raise self.lose("it sent more than was requested")
        finally:
            with self._condition:
                self._is_reading = False
                self._condition.notify_all()

    def _send(self, data: bytes) -> None:
        def send() -> None:
            left = memoryview(data)
            with self._sending:
                deadline = time.monotonic() + _PATIENCE * self._timeout_seconds
                while left:
                    if time.monotonic() > deadline:
                        raise TimeoutError
                    sent = self._channel.send(bytes(left) if len(left) < len(data) else data)
                    if not sent:
                        raise EOFError
                    left = left[sent:]

        self._guarded(send)

    def _read_packet(self) -> bytes:
        self._fill(4, time.monotonic() + self._timeout_seconds)
        # Its own time begins here: on a slow line a packet that was long in coming takes long itself.
        deadline = time.monotonic() + self._timeout_seconds
        (length,) = struct.unpack_from(">I", self._buffer)
        if not 1 <= length <= _MAX_PACKET_BYTES:
            raise PacketInvalid("it sent a packet of %d bytes" % length)
        self._fill(4 + length, deadline)
        data = bytes(memoryview(self._buffer)[4 : 4 + length])
        del self._buffer[: 4 + length]
        return data

    def _fill(self, length: int, deadline: float) -> None:
        while len(self._buffer) < length:
            piece = self._channel.recv(_RECEIVE_BYTES)
            if not piece:
                raise EOFError
            self._buffer += piece
            if len(self._buffer) < length and time.monotonic() > deadline:
                raise TimeoutError

    def _guarded(self, work: Callable[[], Any]) -> Any:
        """Run ``work``; any failure ends the session, because its stream is then out of step."""
        try:
            return work()
        except PacketInvalid as error:
            raise self.lose(str(error)) from None
        except TimeoutError:
            raise self.lose("it stalled for %d seconds" % self._timeout_seconds) from None
        except (OSError, EOFError) as error:
            # On Python 3.8 and 3.9 socket.timeout is not a TimeoutError, only an OSError.
            if type(error).__name__ == "timeout":
                raise self.lose("it stalled for %d seconds" % self._timeout_seconds) from None
            raise self.lose("the connection was lost") from None
        except Exception as error:
            raise self.lose("the connection failed (%s)" % type(error).__name__) from None
