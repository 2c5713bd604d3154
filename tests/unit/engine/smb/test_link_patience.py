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
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest
from engine.entries import EntryKind
from engine.smb.connection import RequestTimedOut, _guarded_class
from engine.smb.errors import LinkLost
from engine.smb.link import Handle, SmbLink
from engine.smb.transport import SmbTransport
from engine.stall import Line
from engine.storage.smb.transfer import pull, push

SECONDS = 0.2  # the time-out of a request
LONG_SECONDS = 2.0  # of a packet whose other side keeps time itself, and may get no processor for a while
READ, WRITE = 8, 9


# -- answers -----------------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes only while somebody waits, so that no load of this machine makes a wait longer."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._plan: List[Tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def later(self, seconds: float, happens: Callable[[], None]) -> None:
        self._plan.append((self.now + seconds, happens))

    def sleep(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass, with what was to happen meanwhile, until it is ``enough``."""
        end = self.now + seconds
        while not enough():
            due = min((one for one in self._plan if one[0] <= end), key=lambda one: one[0], default=None)
            if due is None:
                self.now = end
                return enough()
            self._plan.remove(due)
            self.now = max(self.now, due[0])
            due[1]()
        return True


class Event:
    """An event that is waited for by a :class:`Clock`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.is_set = False

    def set(self) -> None:
        self.is_set = True

    def clear(self) -> None:
        self.is_set = False

    def wait(self, seconds: float) -> bool:
        return self.clock.sleep(seconds, lambda: self.is_set)


class Field:
    def __init__(self, value: Any) -> None:
        self.value = value

    def get_value(self) -> Any:
        return self.value


class Patience:
    """A connection whose server does what is planned, by a clock of its own."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.connection = _guarded_class()("guid", "server", 445)
        self.connection.request_seconds = SECONDS
        self.connection._bounded_transport = SimpleNamespace(last_arrival=0.0, connected=True)

    def asked(self, command: int = READ) -> Any:
        """A request as the library keeps it."""
        return SimpleNamespace(
            message={"message_id": Field(7), "command": Field(command)},
            response_event=Event(self.clock),
            response_event_lock=threading.Lock(),
            response=None,
        )

    def later(self, seconds: float, request: Any = None, status: int = 0, flows: bool = False) -> None:
        """Answer ``request`` after that time; with ``flows`` bytes for others arrive meanwhile."""

        def answer() -> None:
            request.response = {"status": Field(status)}
            request.response_event.set()

        def arrive() -> None:
            self.connection.transport.last_arrival = self.clock.now

        if flows:
            for tenth in range(1, round(10 * seconds / SECONDS) + 1):
                self.clock.later(tenth * SECONDS / 10, arrive)
        if request is not None:
            self.clock.later(seconds, answer)

    def waited(self, request: Any) -> float:
        """Return after how many time-outs the link was taken for dead."""
        started = self.clock.now
        with pytest.raises(RequestTimedOut):
            self.connection.receive(request)
        return (self.clock.now - started) / SECONDS


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Patience:
    clock = Clock()
    monkeypatch.setattr("engine.smb.connection.time", clock)
    return Patience(clock)


def test_an_answer_may_queue_behind_the_bytes_of_others(server: Patience) -> None:
    request = server.asked()
    server.later(5 * SECONDS, request, flows=True)
    assert server.connection.receive(request) is request.response


def test_a_silent_server_is_given_up_after_the_time_out(server: Patience) -> None:
    assert server.waited(server.asked()) == pytest.approx(1)
    server.later(2 * SECONDS, flows=True)
    assert server.waited(server.asked()) == pytest.approx(3), "silent since it said the last word"


def test_an_answer_to_a_write_may_take_as_long_as_its_bytes_need(server: Patience) -> None:
    """Nothing comes meanwhile, and nobody sees the bytes leave this machine's buffers."""
    server.connection.outstanding_requests[7] = server.asked(WRITE)
    request = server.asked()
    server.later(2 * SECONDS, request)
    assert server.connection.receive(request) is request.response
    server.connection.outstanding_requests[7] = server.asked(WRITE)
    assert server.waited(server.asked()) == pytest.approx(3)


def test_a_server_that_speaks_of_other_things_only_is_given_up(
    server: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.smb.connection._PATIENCE", 4)
    server.later(10 * SECONDS, flows=True)
    assert server.waited(server.asked()) == pytest.approx(4)


def test_credits_may_be_long_in_coming_too(server: Patience) -> None:
    server.later(3 * SECONDS, flows=True)
    started = server.clock.now
    with pytest.raises(RequestTimedOut):
        server.connection._wait_for_credits(100)
    assert server.clock.now - started == pytest.approx(4 * SECONDS, abs=SECONDS / 10)


def test_a_link_that_is_logged_off_is_not_waited_for_any_longer(server: Patience) -> None:
    server.connection.is_patient = False
    server.later(5 * SECONDS, flows=True)
    assert server.waited(server.asked()) == pytest.approx(1)


# -- packets -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def connected(
    serve: Callable[[socket.socket], None], receive_bytes: Optional[int] = None, seconds: float = SECONDS
) -> Iterator[SmbTransport]:
    def work() -> None:
        client, dummy = listener.accept()
        with client, contextlib.suppress(OSError):
            serve(client)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        if receive_bytes:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        link = SmbTransport("127.0.0.1", listener.getsockname()[1], seconds)
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
    with connected(dripping([b"\0\0\0\x19", *[b"x"] * 25]), seconds=LONG_SECONDS) as link:
        began = time.monotonic()
        assert link.recv(30) == b"x" * 25
        assert time.monotonic() - began > LONG_SECONDS
        assert link.last_arrival > began


def test_a_packet_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.stall.WINDOW_SECONDS", 3 * SECONDS)
    with connected(dripping([b"\0\0\1\0", *[b"x"] * 100])) as link:
        began = time.monotonic()
        assert link.recv(1) == b""
        assert not link.connected
        assert time.monotonic() - began < 50 * SECONDS, "it waited for all of it"


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
    with connected(taking(16 << 10, SECONDS / 4), 16 << 10, LONG_SECONDS) as link:
        narrow(link)
        began = time.monotonic()
        link.send(b"x" * (1 << 20))
        assert time.monotonic() - began > LONG_SECONDS, "else this shows nothing"


def test_a_server_that_takes_hardly_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.stall.WINDOW_SECONDS", 3 * SECONDS)
    monkeypatch.setattr("engine.stall.LEAST_BYTES_PER_SECOND", 10 << 20)
    with connected(taking(16 << 10, SECONDS / 10), 16 << 10, LONG_SECONDS) as link:
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
    assert time.monotonic() - began < 60, "a MiB, each byte just in time, takes hours"
