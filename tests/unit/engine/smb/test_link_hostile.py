# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hostile SMB server: answers that lie about their length, listings without an end, names that lead elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from typing import Any, Iterator, List, Type

import pytest
from engine.entries import Entry, EntryKind
from engine.smb.connection import AnswerUnprotected, RequestTimedOut, _guarded_class, open_connection
from engine.smb.errors import NO_MORE_FILES, Failure, Refused, SmbError
from engine.smb.link import Handle, SmbLink
from engine.smb.transport import ForeignServer, SessionRefused, SmbTransport
from engine.stall import Line
from engine.storage.smb.transfer import pull, push

MIB = 1 << 20
TCP_CLOSE = 7  # of Linux's tcp_states.h


class Answers(SmbLink):
    """A link whose server gives these bodies, one after the other, and then no more files."""

    def __init__(self, *bodies: bytes, endless: bool = False) -> None:
        self.dead = False
        self.line = Line()
        self.max_read_bytes = self.max_write_bytes = MIB
        self.bodies = list(bodies)
        self.endless = endless
        self.sent = 0

    def send(self, dummy_message: Any) -> Any:
        self.sent += 1
        return self.sent

    def answer(self, dummy_request: Any, timeout_seconds: Any = None) -> bytes:  # noqa: ARG002
        if self.endless:
            return self.bodies[0]
        if not self.bodies:
            raise Refused(NO_MORE_FILES)
        return self.bodies.pop(0)


class NoOpen:
    """Stands for an open file of the library."""

    file_id = b"\0" * 16

    def __getattr__(self, dummy_name: str) -> Any:
        return lambda *dummy, **dummy_named: (None, None)


def handle(size_bytes: int = 0) -> Handle:
    return Handle(NoOpen(), EntryKind.FILE, size_bytes)


def entry(name: str, attributes: int = 0x20, size_bytes: int = 5, following: int = 0) -> bytes:
    encoded = name.encode("utf-16-le")
    return struct.pack("<II32xQQIII", following, 0, size_bytes, 0, attributes, len(encoded), 0) + encoded


def listing(*entries: bytes) -> bytes:
    content = b""
    for number, one in enumerate(entries):
        last = number == len(entries) - 1
        content += (b"\0" * 4 if last else struct.pack("<I", len(one))) + one[4:]
    return struct.pack("<HHI", 9, 72, len(content)) + content


@contextlib.contextmanager
def answer_invalid() -> Iterator[None]:
    with pytest.raises(SmbError) as caught:
        yield
    assert caught.value.failure is Failure.ANSWER_INVALID


def test_an_honest_listing() -> None:
    link = Answers(listing(entry("."), entry(".."), entry("a")), listing(entry("d", 0x10), entry("l", 0x410)))
    assert link.entries(handle()) == [
        Entry("a", EntryKind.FILE, 5),
        Entry("d", EntryKind.DIRECTORY, 0),
        Entry("l", EntryKind.OTHER, 0),
    ]


@pytest.mark.parametrize(
    "body",
    [
        listing(entry("..\\x")),
        listing(entry("a/b")),
        listing(entry("")),
        listing(entry("a\0b")),
        listing(entry("a" * 256)),
        struct.pack("<HHI", 9, 72, 200) + entry("a" * 20, following=72) + entry("b" * 20),
        listing(entry("a", size_bytes=(1 << 64) - 1)),
        struct.pack("<HHI", 9, 72, 10) + entry("a"),
        struct.pack("<HHI", 9, 72, 1 << 31) + entry("a"),
        struct.pack("<HHI", 9, 0, 20) + entry("a"),
        struct.pack("<HHI", 9, 72, 70) + entry("a", following=1),
        struct.pack("<HHI", 9, 72, 70) + entry("a", following=1 << 31),
        struct.pack("<HHI", 9, 72, 60) + entry("abc"),
        b"",
    ],
)
def test_listings_that_lie(body: bytes) -> None:
    with answer_invalid():
        Answers(body).entries(handle())


@pytest.mark.parametrize("names", [(".", ".."), ("a", "b", "c") * 500])
def test_listings_without_an_end(names: Any) -> None:
    with answer_invalid():
        Answers(listing(*[entry(name) for name in names]), endless=True).entries(handle())


def test_reads_bring_at_most_what_was_asked() -> None:
    def read(length: int, start: int = 80) -> bytes:
        return struct.pack("<HBxIII", 17, start, length, 0, 0) + b"x" * 100

    assert list(pull(Answers(read(10)), handle(10), 0, None)) == [b"x" * 10]
    for body in (read(11), read(1 << 31), read(10, 200), read(10, 3), b"\0"):
        with answer_invalid():
            list(pull(Answers(body), handle(10), 0, None))


def test_writes_take_at_most_what_was_sent() -> None:
    def taken(length: int) -> bytes:
        return struct.pack("<HHIIHH", 17, 0, length, 0, 0, 0)

    link = Answers(taken(4), taken(6))
    assert push(link, handle(), [b"x" * 10], None) == 10
    assert link.sent == 2
    for length in (0, 11, 1 << 31):
        with answer_invalid():
            push(Answers(taken(length)), handle(), [b"x" * 10], None)


@contextlib.contextmanager
def transport(answer: bytes) -> Iterator[SmbTransport]:
    def serve() -> None:
        client, dummy = listener.accept()
        clients.append(client)
        client.sendall(answer)

    clients: List[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        link = SmbTransport("127.0.0.1", listener.getsockname()[1], 0.3)
        link.connect()
        thread.join()
        yield link
        link.close()
        assert link.recv(1) == b""
        for client in clients:
            client.close()


def test_packets() -> None:
    with transport(b"\0\0\0\5hello") as link:
        assert link.recv(1) == b"hello"
        with pytest.raises(TimeoutError):
            link.recv(0.1)
    with transport(b"\xff\xff\xff\xff") as link, pytest.raises(ForeignServer):
        link.recv(1)
    with transport(b"\0\0\0\5hello\xff\xff\xff\xff") as link:
        assert link.recv(1) == b"hello"
        with pytest.raises(ConnectionError):  # a server that has spoken SMB speaks it badly
            link.recv(1)
    with transport(b"\0\0\1\0cut off") as link:
        assert link.recv(1) == b""
        assert not link.connected
    with transport(b"") as link, pytest.raises(OSError):
        link.send(b"x" * (15 * MIB))  # nobody takes it


class Header(dict):
    """What the library knows of an answer, as far as a guard looks at it."""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        return type(
            "Field", (), {"get_value": lambda dummy: value, "has_flag": lambda dummy, flag: bool(value & flag)}
        )()


@pytest.mark.parametrize("encrypt", [False, True])
def test_answers_without_protection_are_refused(encrypt: bool) -> None:
    connection = _guarded_class()("guid", "server", 445)
    connection.session_table[7] = type("Session", (), {"encrypt_data": encrypt, "signing_key": b"k" * 16})()
    answer = Header(message_id=1, flags=1, status=0, command=9)
    with pytest.raises(AnswerUnprotected):
        connection.verify_signature(answer, 7)
    connection.verify_signature(Header(message_id=1, flags=1, status=0x103, command=9), 7)
    with pytest.raises(ConnectionError):
        connection.verify_signature(Header(message_id=1, flags=1, status=0xC0000203, command=9), 7)


@contextlib.contextmanager
def hanging_up(words: bytes, connected: threading.Event) -> Iterator[int]:
    """A server that speaks first and resets the connection once it is made: the port where it listens."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            client, dummy = listener.accept()
            client.sendall(words)
            assert connected.wait(20)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def reset(transport: SmbTransport) -> None:
    """Wait until the other side has reset the connection, whether the reading thread has seen it or not."""
    writer = transport._writer
    while writer is not None and writer.fileno() >= 0:
        if writer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_CLOSE:  # the first byte is the state
            return
        time.sleep(0.01)


@pytest.mark.parametrize(
    "turn", ["the server hangs up first", "its words are read first", "our request goes out first"]
)
@pytest.mark.parametrize(
    ("words", "expected", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", ForeignServer, "SSH"),
        (b"220 ftp ready\r\n", ForeignServer, "220"),
        (b"Not allowed at this time\r\n", ForeignServer, "Not"),
        (b"\x15\x03\x01\0\2\2\x46", ForeignServer, "15 03 01 00"),
        (b"\x83\0\0\1\x80", SessionRefused, "refuses sessions"),
    ],
)
def test_what_a_server_said_before_it_hung_up_is_the_cause(
    words: bytes, expected: Type[Exception], reason: str, turn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whatever order the server's words, its end and our request meet."""
    connect, send, recv = SmbTransport.connect, SmbTransport.send, SmbTransport.recv
    connected, sent = threading.Event(), threading.Event()

    def told_connect(self: SmbTransport) -> None:
        connect(self)
        connected.set()

    def late_send(self: SmbTransport, header: Any) -> None:
        if turn == "the server hangs up first":
            reset(self)
        while turn == "its words are read first" and self.connected:
            time.sleep(0.01)
        try:
            send(self, header)
        finally:
            sent.set()

    def late_recv(self: SmbTransport, timeout: Any) -> bytes:
        if turn != "its words are read first":
            assert sent.wait(20)
        return recv(self, timeout)

    monkeypatch.setattr(SmbTransport, "connect", told_connect)
    monkeypatch.setattr(SmbTransport, "send", late_send)
    monkeypatch.setattr(SmbTransport, "recv", late_recv)
    with hanging_up(words, connected) as port, pytest.raises(expected, match=reason):
        open_connection("127.0.0.1", port, 20.0)


def test_a_server_that_accepts_and_says_nothing_leaves_no_thread_and_no_socket() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threads, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
        for dummy in range(3):
            with pytest.raises(RequestTimedOut):
                open_connection("127.0.0.1", listener.getsockname()[1], 0.3)
        deadline = time.monotonic() + 10
        while set(threading.enumerate()) > threads and time.monotonic() < deadline:
            time.sleep(0.05)
        assert set(threading.enumerate()) <= threads
        assert len(os.listdir("/proc/self/fd")) <= descriptors
