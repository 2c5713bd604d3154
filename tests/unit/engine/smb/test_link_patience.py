# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SMB over slow lines and from servers that drip: what is waited for, and for how long."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
from engine.entries import EntryKind
from engine.smb.connection import RequestTimedOut, _guarded_class
from engine.smb.errors import LinkLost
from engine.smb.link import Handle, SmbLink
from engine.smb.transport import SmbTransport
from engine.stall import Line
from engine.storage.smb.transfer import pull, push

SECONDS = 0.2  # the time-out of a request
READ, WRITE = 8, 9


# -- answers -----------------------------------------------------------------------------------------------------------


class Field:
    def __init__(self, value: Any) -> None:
        self.value = value

    def get_value(self) -> Any:
        return self.value


def asked(command: int = READ) -> Any:
    """A request as the library keeps it."""
    return SimpleNamespace(
        message={"message_id": Field(7), "command": Field(command)},
        response_event=threading.Event(),
        response_event_lock=threading.Lock(),
        response=None,
    )


@pytest.fixture
def connection() -> Any:
    connection = _guarded_class()("guid", "server", 445)
    connection.request_seconds = SECONDS
    connection._bounded_transport = SimpleNamespace(last_arrival=0.0, connected=True)
    return connection


def later(connection: Any, seconds: float, request: Any = None, status: int = 0, flows: bool = False) -> None:
    """Answer ``request`` after that time; with ``flows`` bytes for others arrive meanwhile."""

    def work() -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(SECONDS / 10)
            if flows:
                connection.transport.last_arrival = time.monotonic()
        if request is not None:
            request.response = {"status": Field(status)}
            request.response_event.set()

    threading.Thread(target=work, daemon=True).start()


def waited(connection: Any, request: Any) -> float:
    """Return after how many time-outs the link was taken for dead."""
    started = time.monotonic()
    with pytest.raises(RequestTimedOut):
        connection.receive(request)
    return (time.monotonic() - started) / SECONDS


def test_an_answer_may_queue_behind_the_bytes_of_others(connection: Any) -> None:
    request = asked()
    later(connection, 5 * SECONDS, request, flows=True)
    assert connection.receive(request) is request.response


def test_a_silent_server_is_given_up_after_the_time_out(connection: Any) -> None:
    assert 0.9 < waited(connection, asked()) < 2
    later(connection, 2 * SECONDS, flows=True)
    assert 2 < waited(connection, asked()) < 5, "silent since it said the last word"


def test_an_answer_to_a_write_may_take_as_long_as_its_bytes_need(connection: Any) -> None:
    """Nothing comes meanwhile, and nobody sees the bytes leave this machine's buffers."""
    connection.outstanding_requests[7] = asked(WRITE)
    request = asked()
    later(connection, 2 * SECONDS, request)
    assert connection.receive(request) is request.response
    connection.outstanding_requests[7] = asked(WRITE)
    assert 2.9 < waited(connection, asked()) < 5


def test_a_server_that_speaks_of_other_things_only_is_given_up(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.smb.connection._PATIENCE", 4)
    later(connection, 10 * SECONDS, flows=True)
    assert 3.9 < waited(connection, asked()) < 6


def test_credits_may_be_long_in_coming_too(connection: Any) -> None:
    later(connection, 3 * SECONDS, flows=True)
    started = time.monotonic()
    with pytest.raises(RequestTimedOut):
        connection._wait_for_credits(100)
    assert time.monotonic() - started > 3 * SECONDS


def test_a_link_that_is_logged_off_is_not_waited_for_any_longer(connection: Any) -> None:
    connection.is_patient = False
    later(connection, 5 * SECONDS, flows=True)
    assert waited(connection, asked()) < 2


# -- packets -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def connected(serve: Callable[[socket.socket], None], receive_bytes: Optional[int] = None) -> Iterator[SmbTransport]:
    def work() -> None:
        client, dummy = listener.accept()
        with client, contextlib.suppress(OSError):
            serve(client)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        if receive_bytes:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        link = SmbTransport("127.0.0.1", listener.getsockname()[1], SECONDS)
        link.connect()
        try:
            yield link
        finally:
            link.close()
            link.recv(1)
            thread.join(10)


def dripping(pieces: List[bytes]) -> Callable[[socket.socket], None]:
    def serve(client: socket.socket) -> None:
        for piece in pieces:
            client.sendall(piece)
            time.sleep(SECONDS / 2)

    return serve


def test_a_packet_that_takes_longer_than_the_time_out() -> None:
    with connected(dripping([b"\0\0\0\x0a", *[b"x"] * 10])) as link:
        began = time.monotonic()
        assert link.recv(1) == b"x" * 10
        assert time.monotonic() - began > 4 * SECONDS
        assert link.last_arrival > began


def test_a_packet_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.stall.WINDOW_SECONDS", 3 * SECONDS)
    with connected(dripping([b"\0\0\1\0", *[b"x"] * 100])) as link:
        began = time.monotonic()
        assert link.recv(1) == b""
        assert not link.connected
        assert time.monotonic() - began < 6 * SECONDS


def test_a_packet_after_minutes_in_which_nobody_asked_for_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.stall.WINDOW_SECONDS", SECONDS)

    def serve(client: socket.socket) -> None:
        time.sleep(3 * SECONDS)
        client.sendall(b"\0\0\0\x03abc")
        client.recv(1)

    with connected(serve) as link:
        assert link.recv(600) == b"abc"


def taking(count: int, pause_seconds: float) -> Callable[[socket.socket], None]:
    def serve(client: socket.socket) -> None:
        while client.recv(count):
            time.sleep(pause_seconds)

    return serve


def narrow(link: SmbTransport) -> None:
    assert link._writer is not None
    link._writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 10)


def test_a_packet_whose_sending_takes_longer_than_the_time_out() -> None:
    with connected(taking(16 << 10, SECONDS / 10), 16 << 10) as link:
        narrow(link)
        began = time.monotonic()
        link.send(b"x" * (1 << 20))
        assert time.monotonic() - began > 2 * SECONDS, "else this shows nothing"


def test_a_server_that_takes_hardly_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.stall.WINDOW_SECONDS", 3 * SECONDS)
    monkeypatch.setattr("engine.stall.LEAST_BYTES_PER_SECOND", 10 << 20)
    with connected(taking(16 << 10, SECONDS / 10), 16 << 10) as link:
        narrow(link)
        with pytest.raises(TimeoutError, match="bytes a second"):
            link.send(b"x" * (8 << 20))
        assert not link.connected


# -- files -------------------------------------------------------------------------------------------------------------


class Dripping(SmbLink):
    """A link whose server reads and writes a byte at a time, each just in time."""

    def __init__(self) -> None:
        self.dead = False
        self.line = Line()
        self.max_read_bytes = self.max_write_bytes = 1 << 20
        self._connection = SimpleNamespace(disconnect=lambda dummy: None)

    def send(self, dummy_message: Any) -> Any:
        return None

    def answer(self, dummy_request: Any, timeout_seconds: Any = None) -> bytes:  # noqa: ARG002
        if self.dead:
            raise LinkLost("it is closed")
        time.sleep(0.02)
        return self.body

    body = b""


class Read(Dripping):
    body = struct.pack("<HBxIII", 17, 80, 1, 0, 0) + b"x"


class Written(Dripping):
    body = struct.pack("<HHIIHH", 17, 0, 1, 0, 0, 0)


class NoOpen:
    """Stands for an open file of the library."""

    def __getattr__(self, dummy_name: str) -> Any:
        return lambda *dummy, **dummy_named: (None, None)


@pytest.mark.parametrize("way", ["read", "written"])
def test_a_file_that_drips(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr("engine.stall.WINDOW_SECONDS", 0.5)
    link = Read() if way == "read" else Written()
    handle = Handle(NoOpen(), EntryKind.FILE, 1 << 20)
    calls: Dict[str, Callable[[], object]] = {
        "read": lambda: list(pull(link, handle, 0, None)),
        "written": lambda: push(link, handle, [b"x" * (1 << 20)], None),
    }
    began = time.monotonic()
    with pytest.raises(LinkLost, match="bytes a second"):
        calls[way]()
    assert link.dead
    assert time.monotonic() - began < 5
