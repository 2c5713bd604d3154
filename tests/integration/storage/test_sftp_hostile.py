# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: ARG001  # handlers share one signature
"""SFTP servers that mean harm: the client neither hangs, nor grows without bound, nor leaves its directory."""

from __future__ import annotations

import struct
import time
from typing import Any, Callable, Dict, Iterator, List

import pytest
from engine.entries import EntryKind
from engine.errors import StorageError, StorageFailed, StorageNotFound, StorageUnreachable
from engine.storage.sftp import listing as sftp_listing
from engine.storage.sftp import packets as wire
from engine.storage.sftp.storage import SftpStorage
from support.refusing import failing
from support.sftp_stub import DIRECTORY, FILE, LINK, Answer, Handler, Stub, StubServer, attributes, names, status

TIMEOUT_SECONDS = 1.0


@pytest.fixture
def against() -> Iterator[Callable[[Dict[int, Handler]], SftpStorage]]:
    """Return a function that opens a storage on a server which answers as told."""
    opened: List[Any] = []

    def start(handlers: Dict[int, Handler]) -> SftpStorage:
        stub = StubServer(type("Hostile", (Stub,), {"handlers": handlers}))
        storage = SftpStorage(stub.settings(), timeout_seconds=TIMEOUT_SECONDS)
        opened.extend([storage, stub])
        return storage

    yield start
    for one in opened:
        one.__exit__(None, None, None)


def directory(stub: Stub, body: bytes) -> Answer:
    return wire.ATTRS, attributes(DIRECTORY)


def once(answer: Answer) -> Handler:
    given: List[int] = []

    def handler(stub: Stub, body: bytes) -> Answer:
        given.append(1)
        return answer if len(given) == 1 else status(wire.EOF)

    return handler


def test_names_that_lead_elsewhere_are_dropped(against: Any) -> None:
    rows = [
        b"x" * 256,
        b"..",
        b".",
        b"../evil",
        b"a/b",
        b"/etc/passwd",
        b"a\0b",
        b"\xff\xfe",
        b"",
        b"good",
        b"con",
        b"link",
    ]
    answer = names(*[(row, LINK if row == b"link" else FILE, 5) for row in rows])
    found = {entry.name: entry for entry in against({wire.READDIR: once(answer)}).list("")}
    assert set(found) == {"good", "con", "link"}
    assert found["link"].kind is EntryKind.OTHER
    assert found["good"].size_bytes == 5


def test_listings_without_end(against: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp_listing, "_MAX_ENTRIES", 1000)
    many = names(*[(b"name-%d" % number, FILE, 1) for number in range(100)])
    with failing(StorageFailed, operation="listing", reason="without an end"):
        against({wire.READDIR: lambda stub, body: many}).list("")
    dots = names(*[(b"..", DIRECTORY, 0)] * 100)
    with failing(StorageFailed, operation="listing", reason="without an end"):
        against({wire.READDIR: lambda stub, body: dots}).list("")
    with pytest.raises(StorageUnreachable):
        against({wire.READDIR: lambda stub, body: names()}).list("")


def test_answers_that_nobody_waits_for_yet_are_bounded(against: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is waited for comes last; a megabyte comes for each of the others."""
    monkeypatch.setattr("engine.storage.sftp.session._MAX_WAITING_BYTES", 8 << 20)
    asked: List[bytes] = []

    def read(stub: Stub, body: bytes) -> Answer:
        asked.append(body)
        return None if len(asked) == 1 else (wire.NAME, bytes((1 << 20) - 100))

    with failing(StorageUnreachable, reason="more than was requested"):
        against({wire.READ: read, wire.LSTAT: lambda stub, body: (wire.ATTRS, attributes(FILE, 1 << 30))}).get("file")


def test_files_are_read_no_further_than_asked_for(against: Any) -> None:
    def endless(stub: Stub, body: bytes) -> Answer:
        return wire.DATA, wire.string(b"x" * struct.unpack(">I", body[-4:])[0])

    huge = {wire.READ: endless, wire.LSTAT: lambda stub, body: (wire.ATTRS, attributes(FILE, 1 << 62))}
    assert len(against(huge).get("file", 0, 100_000)) == 100_000
    assert len(against({wire.READ: endless}).get("file")) == 100  # the size it told before


def test_more_than_was_asked_for_is_refused(against: Any) -> None:
    for piece in (b"x" * 101, b""):
        storage = against({wire.READ: lambda stub, body, piece=piece: (wire.DATA, wire.string(piece))})
        with failing(StorageUnreachable, reason="100 were requested"):
            storage.get("file")


def test_short_answers_are_completed(against: Any) -> None:
    content = bytes(range(100))

    def grudging(stub: Stub, body: bytes) -> Answer:
        start, length = struct.unpack(">QI", body[-12:])
        return wire.DATA, wire.string(content[start : start + min(length, 7)])

    assert against({wire.READ: grudging}).get("file") == content


@pytest.mark.parametrize("way", ["read", "written"])
def test_a_file_that_drips_is_a_time_out(against: Any, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Each answer comes in time, and brings a byte, or takes a piece of which hardly one a minute is taken."""
    monkeypatch.setattr("engine.stall.WINDOW_SECONDS", 0.5)
    if way == "written":
        monkeypatch.setattr("engine.stall.LEAST_BYTES_PER_SECOND", 32768 * 100)

    def dripping_byte(stub: Stub, body: bytes) -> Answer:
        time.sleep(0.02)
        return wire.DATA, wire.string(b"x")

    def slowly(stub: Stub, body: bytes) -> Answer:
        time.sleep(0.02)
        return status(wire.OK)

    there = {"read": (wire.ATTRS, attributes(FILE, 1 << 30)), "written": status(wire.NO_SUCH_FILE)}[way]
    handlers = {wire.READ: dripping_byte, wire.WRITE: slowly, wire.LSTAT: lambda stub, body: there}
    storage = against(handlers)
    call = {"read": lambda: storage.get("file"), "written": lambda: storage.put("file", [bytes(16 << 20)])}[way]
    started = time.monotonic()
    with failing(StorageUnreachable, reason="bytes a second") as raised:
        call()
    assert raised.value.retry
    assert time.monotonic() - started < 10


class Slow(Stub):
    """Sends what it read late, and then in two parts."""

    handlers = {wire.READ: lambda stub, body: (wire.DATA, wire.string(b"x" * 100))}

    def send(self, kind: int, body: bytes) -> None:
        packet = struct.pack(">IB", len(body) + 1, kind) + body
        halves = [packet[:50], packet[50:]] if kind == wire.DATA else [packet]
        for half in halves:
            if kind == wire.DATA:
                time.sleep(0.7 * TIMEOUT_SECONDS)
            self.channel.sendall(half)


def test_a_packet_that_was_long_in_coming_may_take_long_itself() -> None:
    with StubServer(Slow) as server, SftpStorage(server.settings(), timeout_seconds=TIMEOUT_SECONDS) as storage:
        assert storage.get("file") == b"x" * 100


def silent(stub: Stub, body: bytes) -> Answer:
    return None


def dripping(stub: Stub, body: bytes) -> Answer:
    try:
        stub.channel.sendall(struct.pack(">I", 1000))
        for dummy in range(40):
            stub.channel.sendall(b"x")
            time.sleep(0.1)
    except OSError:
        return None
    return None


def enormous(stub: Stub, body: bytes) -> Answer:
    stub.channel.sendall(struct.pack(">I", 0xFFFFFFFF) + b"x" * 1000)
    return None


def unasked(stub: Stub, body: bytes) -> Answer:
    stub.send(wire.STATUS, wire.number(0x7FFFFFFF) + wire.number(0) + wire.string(b"") + wire.string(b""))
    return None


def cut_short(stub: Stub, body: bytes) -> Answer:
    return wire.STATUS, b"\0"


def lying(stub: Stub, body: bytes) -> Answer:
    return wire.NAME, wire.number(0xFFFFFFFF)


def empty(stub: Stub, body: bytes) -> Answer:
    stub.channel.sendall(struct.pack(">I", 0))
    return None


@pytest.mark.parametrize("manner", [silent, dripping, enormous, unasked, cut_short, lying, empty])
@pytest.mark.parametrize("kind", [wire.STAT, wire.LSTAT, wire.OPEN, wire.READ, wire.OPENDIR, wire.READDIR, wire.MKDIR])
def test_no_answer_hangs_or_breaks_the_client(against: Any, kind: int, manner: Handler) -> None:
    handlers: Dict[int, Handler] = {kind: manner}
    if kind == wire.MKDIR:
        handlers[wire.LSTAT] = lambda stub, body: status(wire.NO_SUCH_FILE)
    storage: SftpStorage = against(handlers)
    calls = {wire.OPENDIR: ("list", ""), wire.READDIR: ("list", ""), wire.MKDIR: ("make_directory", "new")}
    name, path = calls.get(kind, ("get", "file"))
    with pytest.raises(StorageUnreachable) as raised:
        getattr(storage, name)(path)
    assert raised.value.retry


def test_texts_of_a_server_are_shown_short_and_printable(against: Any) -> None:
    text = b"\x1b[31mred\r\n" + b"x" * 5000
    with pytest.raises(StorageFailed) as raised:
        against({wire.OPEN: lambda stub, body: status(wire.FAILURE, text)}).get("file")
    assert len(str(raised.value)) < 500
    assert str(raised.value).isprintable()


def test_a_link_in_place_of_a_file(against: Any) -> None:
    with pytest.raises(StorageNotFound):
        against({wire.LSTAT: lambda stub, body: (wire.ATTRS, attributes(LINK))}).get("file")


def test_a_handle_longer_than_allowed(against: Any) -> None:
    with pytest.raises(StorageError):
        against({wire.OPEN: lambda stub, body: (wire.HANDLE, wire.string(b"x" * 257))}).get("file")


def test_servers_that_are_none(against: Any) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = {
            "url": "sftp://127.0.0.1:%d/x" % listener.getsockname()[1],
            "username": "a",
            "password": "b",
            "host_key": "accept-new",
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("engine.storage.sftp.connect._CONNECT_SECONDS", 1.0)
            with pytest.raises(StorageUnreachable):
                SftpStorage(settings).list("")
