# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: ARG001, ARG002  # handlers share one signature
"""What is sent to an SFTP server without waiting for the answers in between, and what a refusal of each of them leaves."""

from __future__ import annotations

import contextlib
import struct
import time
from typing import Any, Dict, Iterator, List, Optional, Set

import pytest
from engine.errors import (
    StorageDirectoryMissing,
    StorageError,
    StorageFailed,
    StorageFull,
    StorageNotFound,
    StoragePermissionDenied,
    StorageUnreachable,
)
from engine.storage.sftp import packets as wire
from engine.storage.sftp.calls import above
from engine.storage.sftp.storage import SftpStorage
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
    monkeypatch.setattr("engine.storage.sftp.storage._RENAME_AGAIN_SECONDS", (0.01, 0.01, 0.01))
    files = Files({"/images/file"}, refusals + 1)  # the first rename finds the old file there
    with files.server() as server, SftpStorage(server.settings()) as storage:
        if refusals < 1000:
            assert storage.put("file", [DATA], replace=True) == len(DATA)
            assert files.names == {"/images/file"}
            return
        with pytest.raises(StorageFailed) as raised:
            storage.put("file", [DATA], replace=True)
        storage.exists("file")  # all that was sent before is worked off
        (left,) = files.names
        assert left.startswith("/images/file.")
        assert left[len("/images/") :] in str(raised.value), "what is the only copy now is named"


def test_the_only_copy_outlives_further_tries_and_goes_when_one_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.storage.sftp.storage._RENAME_AGAIN_SECONDS", (0.01,))
    files = Files({"/images/file"}, 5)
    with files.server() as server, SftpStorage(server.settings()) as storage:
        said = []
        for dummy in range(3):
            with pytest.raises(StorageFailed) as raised:
                storage.put("file", [DATA], replace=True)
            said.append(str(raised.value))
        storage.exists("file")
        (only,) = files.names
        assert all(only[len("/images/") :] in sentence for sentence in said)
        assert storage.put("file", [DATA], replace=True) == len(DATA)
        assert files.names == {only, "/images/file"}
        storage.put("other", [DATA])
        storage.exists("file")
        assert files.names == {"/images/file", "/images/other"}


def test_a_line_that_is_lost_while_a_file_is_replaced_takes_neither() -> None:
    files = Files({"/images/file"}, 0, dies_after_removing=True)
    with files.server() as server, SftpStorage(server.settings()) as storage:
        with pytest.raises(StorageUnreachable):
            storage.put("file", [DATA], replace=True)
        storage.put("other", [DATA])
        storage.exists("file")
        left = files.names - {"/images/other"}
        assert len(left) == 1, "whether the old one is gone can't be known"


def test_a_server_that_keeps_the_old_file_gets_no_second_one() -> None:
    files = Files({"/images/file"}, 1000, removes=False)
    with files.server() as server, SftpStorage(server.settings()) as storage:
        with pytest.raises(StorageFailed):
            storage.put("file", [DATA], replace=True)
        storage.exists("file")
        assert files.names == {"/images/file"}


class Files:
    """A server's names. It has no rename that replaces, and refuses the first ``refusals`` of those that it has."""

    def __init__(self, names: Set[str], refusals: int, removes: bool = True, dies_after_removing: bool = False) -> None:
        self.names = names
        self._refusals = refusals
        self._removes = removes
        self._dies = dies_after_removing
        self._dead: Optional[Stub] = None

    def server(self) -> StubServer:
        handlers = {
            **{kind: answering(answer) for kind, answer in ANSWERS.items()},
            wire.LSTAT: self._look,
            wire.OPEN: self._make,
            wire.REMOVE: self._remove,
            wire.RENAME: self._rename,
        }
        return StubServer(type("Refusing", (Stub,), {"handlers": handlers}))

    @staticmethod
    def _named(body: bytes) -> List[str]:
        first = 4 + struct.unpack_from(">I", body)[0]
        return [body[4:first].decode("utf-8"), body[first + 4 :].decode("utf-8", "replace")]

    def _look(self, stub: Stub, body: bytes) -> Answer:
        is_there = self._named(body)[0] in self.names
        return (wire.ATTRS, attributes(FILE, 5)) if is_there else status(wire.NO_SUCH_FILE)

    def _make(self, stub: Stub, body: bytes) -> Answer:
        self.names.add(self._named(body)[0])
        return ANSWERS[wire.OPEN]

    def _remove(self, stub: Stub, body: bytes) -> Answer:
        name = self._named(body)[0]
        if not self._removes and name == "/images/file":
            return status(wire.FAILURE)
        self.names.discard(name)
        if self._dies:
            self._dies, self._dead = False, stub
            stub.channel.close()
            return None
        return status(wire.OK)

    def _rename(self, stub: Stub, body: bytes) -> Answer:
        if stub is self._dead:
            return None  # it had come already
        self._refusals -= 1
        old, new = self._named(body)
        if self._refusals >= 0 or new in self.names:
            return status(wire.FAILURE)
        self.names.remove(old)
        self.names.add(new)
        return status(wire.OK)


# OpenSSH's PROTOCOL, section 4.4: 4 KiB blocks, a million of them, and how many are free
def room(free: int) -> Answer:
    return wire.EXTENDED_REPLY, b"".join(map(wire.long, [4096, 4096, 1 << 20, free, free, 9, 9, 9, 1, 0, 255]))


@pytest.mark.parametrize("refused", [wire.WRITE, wire.CLOSE], ids=["write", "close"])
@pytest.mark.parametrize("text", [b"Failure", b""])
def test_a_file_that_does_not_get_its_bytes_where_there_is_room(refused: int, text: bytes) -> None:
    """OpenSSH has one status for a quota that is used up and for a disk that fails, and statvfs knows of neither."""
    answers = {refused: status(wire.FAILURE, text), wire.EXTENDED: room(1 << 19)}
    with recorded(answers, extensions=(b"statvfs@openssh.com",)) as (dummy, storage):
        with pytest.raises(StorageFailed, match="quota"):
            storage.put("file", [DATA])
    with recorded({**answers, wire.EXTENDED: room(1)}, extensions=(b"statvfs@openssh.com",)) as (dummy, storage):
        with pytest.raises(StorageFull):
            storage.put("file", [DATA])


@pytest.mark.parametrize(
    "answers",
    [{wire.OPEN: status(wire.FAILURE, b"Failure")}, {wire.WRITE: status(wire.FAILURE, b"I/O error")}],
    ids=["not even made", "the server says more"],
)
def test_no_quota_is_guessed_at_elsewhere(answers: Dict[int, Answer]) -> None:
    extensions = (b"statvfs@openssh.com",)
    with recorded({**answers, wire.EXTENDED: room(1 << 19)}, extensions=extensions) as (dummy, storage):
        with pytest.raises(StorageFailed) as raised:
            storage.put("file", [DATA])
        assert "quota" not in str(raised.value)


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


def test_a_root_that_is_not_there_is_neither_opened_nor_made() -> None:
    with recorded({wire.STAT: status(wire.NO_SUCH_FILE)}) as (one, storage):
        for call in (lambda: storage.list(""), lambda: storage.make_directory("pc")):
            with pytest.raises(StorageDirectoryMissing):
                call()
        assert not {wire.OPENDIR, wire.MKDIR} & set(one.asked(wire.STAT, 2))


def test_a_look_that_is_refused_closes_what_was_opened() -> None:
    with recorded({wire.LSTAT: status(wire.PERMISSION_DENIED)}) as (one, storage):
        with pytest.raises(StorageError):
            storage.list("pc")
        kinds = one.asked(wire.CLOSE, 1)
        assert kinds.count(wire.OPENDIR) == kinds.count(wire.CLOSE) == 1


def test_what_holds_a_root() -> None:
    assert [above(root) for root in ("/images", "/a/b", "images", "a/b", "/")] == ["/", "/a", ".", "a", "/"]
