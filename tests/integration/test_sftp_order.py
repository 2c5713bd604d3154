# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: ARG001  # handlers share one signature
"""What is sent to an SFTP server without waiting for the answers in between, and what a refusal of each of them leaves."""

from __future__ import annotations

import contextlib
import struct
import time
from typing import Any, Dict, Iterator, List

import pytest
from engine.errors import StorageError, StorageFailed, StorageNotFound, StoragePermissionDenied
from engine.storage import sftp_packets as wire
from engine.storage.sftp import SftpStorage
from engine.storage.sftp_calls import above
from support.sftp_stub import FILE, LINK, Answer, Handler, Stub, StubServer, attributes, status

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


def answering(answer: Answer) -> Handler:
    return lambda stub, body: answer


class Recorded:
    """A server that writes down what it is asked, by kind."""

    def __init__(
        self,
        answers: Dict[int, Answer],
        extensions: tuple = (b"fsync@openssh.com",),
        calls_itself: str = "SSH-2.0-OpenSSH_9.2",
    ) -> None:
        self.kinds: List[int] = []
        handlers = {kind: self._handler(kind, answer) for kind, answer in {**ANSWERS, **answers}.items()}
        stub = type("Recording", (Stub,), {"handlers": handlers, "extensions": extensions})
        self.server = StubServer(stub, calls_itself=calls_itself)

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


@pytest.mark.parametrize("calls_itself", ["SSH-2.0-OpenSSH_9.2", "SSH-2.0-SFTPGo_2.6"])
def test_a_file_is_synced_and_closed_before_it_gets_its_name(calls_itself: str) -> None:
    with recorded({}, calls_itself=calls_itself) as (one, storage):
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


def test_only_an_openssh_is_asked_to_sync_before_it_has_taken_everything() -> None:
    """Another may write with several threads, and offer the same extension: it refuses the last write after all."""
    with recorded({wire.WRITE: status(wire.FAILURE)}, calls_itself="SSH-2.0-SFTPGo_2.6") as (one, storage):
        with pytest.raises(StorageFailed):
            storage.put("file", [DATA])
        assert wire.EXTENDED not in one.asked(wire.REMOVE, 1)


@pytest.mark.parametrize("refusals", [1, 2, 1000])
def test_a_refused_rename_of_what_replaces_is_tried_again(refusals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without posix-rename the old file is gone by then; a scanner that looks at the new one holds it for a moment."""
    monkeypatch.setattr("engine.storage.sftp._RENAME_AGAIN_SECONDS", (0.01, 0.01, 0.01))
    left = [refusals + 1]  # the first rename finds the old file there

    def rename(stub: Stub, body: bytes) -> Answer:
        left[0] -= 1
        return status(wire.FAILURE if left[0] >= 0 else wire.OK)

    there = (wire.ATTRS, attributes(FILE, 5))
    stub = type(
        "Refusing",
        (Stub,),
        {
            "handlers": {
                **{kind: answering(answer) for kind, answer in ANSWERS.items()},
                wire.LSTAT: lambda stub, body: there,
                wire.RENAME: rename,
            }
        },
    )
    with StubServer(stub) as server, SftpStorage(server.settings()) as storage:
        if refusals < 1000:
            assert storage.put("file", [DATA], replace=True) == len(DATA)
            return
        with pytest.raises(StorageFailed):
            storage.put("file", [DATA], replace=True)


@pytest.mark.parametrize("opened", [3, 100, 200_000])
def test_a_file_that_was_replaced_before_it_was_opened_is_read_as_it_is(opened: int) -> None:
    """The look saw 100 bytes; what was opened then is another file."""
    content = bytes(range(256)) * (opened // 256 + 1)

    def read(stub: Stub, body: bytes) -> Answer:
        offset, length = struct.unpack_from(">QI", body, 4 + len(b"handle"))
        piece = content[:opened][offset : offset + length]
        return (wire.DATA, wire.string(piece)) if piece else status(wire.EOF)

    handlers = {wire.READ: read, wire.FSTAT: lambda stub, body: (wire.ATTRS, attributes(FILE, opened))}
    with StubServer(type("Replaced", (Stub,), {"handlers": handlers})) as server:
        with SftpStorage(server.settings()) as storage:
            assert storage.get("file") == content[:opened]
            assert storage.get("file", 2, 50) == content[:opened][2:52]


def test_what_was_opened_and_is_no_file_is_not_read() -> None:
    handlers = {
        wire.FSTAT: lambda stub, body: (wire.ATTRS, attributes(0o010644)),
        wire.READ: lambda stub, body: status(wire.EOF),
    }
    with StubServer(type("Fifo", (Stub,), {"handlers": handlers})) as server:
        with SftpStorage(server.settings()) as storage, pytest.raises(StorageNotFound):
            storage.get("file")


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
