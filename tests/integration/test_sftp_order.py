# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: ARG001  # handlers share one signature
"""What is sent to an SFTP server without waiting for the answers in between, and what a refusal of each of them leaves."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, Iterator, List

import pytest
from engine.errors import StorageError, StorageFailed, StorageNotFound, StoragePermissionDenied
from engine.storage import sftp_packets as wire
from engine.storage.sftp import SftpStorage
from engine.storage.sftp_calls import above
from support.sftp_stub import LINK, Answer, Handler, Stub, StubServer, attributes, status

DATA = bytes(100_000)  # four writes of 32 KiB, far below what is sent before an answer is waited for
ANSWERS: Dict[int, Answer] = {
    wire.LSTAT: status(wire.NO_SUCH_FILE),
    wire.OPEN: (wire.HANDLE, wire.string(b"handle")),
    wire.OPENDIR: (wire.HANDLE, wire.string(b"handle")),
    wire.WRITE: status(wire.OK),
    wire.EXTENDED: status(wire.OK),
    wire.CLOSE: status(wire.OK),
    wire.RENAME: status(wire.OK),
    wire.REMOVE: status(wire.OK),
}


class Recorded:
    """A server that writes down what it is asked, by kind."""

    def __init__(self, answers: Dict[int, Answer], extensions: tuple = (b"fsync@openssh.com",)) -> None:
        self.kinds: List[int] = []
        handlers = {kind: self._handler(kind, answer) for kind, answer in {**ANSWERS, **answers}.items()}
        self.server = StubServer(type("Recording", (Stub,), {"handlers": handlers, "extensions": extensions}))

    def _handler(self, kind: int, answer: Answer) -> Handler:
        def handler(stub: Stub, body: bytes) -> Answer:
            self.kinds.append(kind)
            return answer

        return handler

    def asked(self, kind: int, times: int) -> List[int]:
        """What was asked, as soon as ``kind`` was so many times: nobody waits for the answer to what tidies up."""
        deadline = time.monotonic() + 30
        while self.kinds.count(kind) < times and time.monotonic() < deadline:
            time.sleep(0.01)
        return list(self.kinds)


@contextlib.contextmanager
def recorded(answers: Dict[int, Answer], **more: Any) -> Iterator[Any]:
    one = Recorded(answers, **more)
    with one.server, SftpStorage(one.server.settings()) as storage:
        yield one, storage


def test_a_file_is_synced_and_closed_before_it_gets_its_name() -> None:
    with recorded({}) as (one, storage):
        assert storage.put("file", [DATA]) == len(DATA)
        assert one.asked(wire.RENAME, 1) == [
            wire.LSTAT,
            wire.OPEN,
            *[wire.WRITE] * 4,
            wire.EXTENDED,
            wire.CLOSE,
            wire.RENAME,
        ]


def test_a_server_without_fsync_is_asked_one_thing_after_the_other() -> None:
    with recorded({}, extensions=()) as (one, storage):
        assert storage.put("file", [DATA]) == len(DATA)
        assert one.asked(wire.RENAME, 1) == [wire.LSTAT, wire.OPEN, *[wire.WRITE] * 4, wire.CLOSE, wire.RENAME]


@pytest.mark.parametrize("refused", [wire.WRITE, wire.EXTENDED, wire.CLOSE], ids=["write", "fsync", "close"])
def test_what_is_refused_at_the_end_gets_no_name_and_is_closed_once_and_removed(refused: int) -> None:
    with recorded({refused: status(wire.FAILURE)}) as (one, storage):
        with pytest.raises(StorageFailed):
            storage.put("file", [DATA])
        kinds = one.asked(wire.REMOVE, 1)
        assert kinds.count(wire.CLOSE) == 1
        assert wire.RENAME not in kinds
        assert kinds.index(wire.CLOSE) < kinds.index(wire.REMOVE)


def test_data_that_fails_in_the_middle_is_closed_once_and_removed() -> None:
    def broken() -> Iterator[bytes]:
        yield DATA
        raise RuntimeError("the disk")

    with recorded({}) as (one, storage):
        with pytest.raises(RuntimeError, match="the disk"):
            storage.put("file", broken())
        kinds = one.asked(wire.REMOVE, 1)
        assert kinds.count(wire.CLOSE) == 1
        assert wire.EXTENDED not in kinds


@pytest.mark.parametrize(("path", "error"), [("link", StorageNotFound), ("link/below", StoragePermissionDenied)])
def test_a_directory_that_was_opened_over_a_link_is_closed_and_not_listed(path: str, error: type) -> None:
    with recorded({wire.LSTAT: (wire.ATTRS, attributes(LINK))}) as (one, storage):
        with pytest.raises(error):
            storage.list(path)
        kinds = one.asked(wire.CLOSE, 1)
        assert kinds.count(wire.OPENDIR) == kinds.count(wire.CLOSE) == 1


def test_a_root_that_appears_while_it_is_looked_for_is_closed() -> None:
    with recorded({wire.STAT: status(wire.NO_SUCH_FILE)}) as (one, storage):
        assert storage.list("") == []
        kinds = one.asked(wire.CLOSE, 1)
        assert kinds.count(wire.OPENDIR) == kinds.count(wire.CLOSE) == 1


def test_a_look_that_is_refused_closes_what_was_opened() -> None:
    with recorded({wire.LSTAT: status(wire.PERMISSION_DENIED)}) as (one, storage):
        with pytest.raises(StorageError):
            storage.list("pc")
        kinds = one.asked(wire.CLOSE, 1)
        assert kinds.count(wire.OPENDIR) == kinds.count(wire.CLOSE) == 1


def test_what_holds_a_root() -> None:
    assert [above(root) for root in ("/images", "/a/b", "images", "a/b", "/")] == ["/", "/a", ".", "a", "/"]
