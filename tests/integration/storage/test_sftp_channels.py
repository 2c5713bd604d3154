# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are sent at once over channels of one connection: how many, what a server that permits one says, what is lost."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Dict, List

import pytest
from engine.errors import StorageUnreachable
from engine.storage.retry import RetryingStorage
from engine.storage.sftp.session import SessionLost, SftpSession
from engine.storage.sftp.storage import SftpStorage
from support.proftpd_server import proftpd
from support.proxy import Proxy
from support.sftp_server import SftpServer

MIB = 1 << 20


def channels(storage: SftpStorage) -> int:
    return 1 + len(storage._channels._beside)


def put_at_once(storage: RetryingStorage, count: int) -> Dict[str, bytes]:
    """Put files so that all are under way at the same time; return what was put."""
    meeting = threading.Barrier(count)
    contents = {"file-%d" % number: random.Random(number).randbytes(3 * MIB + number) for number in range(count)}
    failed: List[BaseException] = []

    def put(name: str) -> None:
        def pieces() -> List[bytes]:
            meeting.wait(60)
            return [contents[name]]

        try:
            storage.put(name, Late(pieces), replace=True)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=put, args=(name,)) for name in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failed
    return contents


class Late:
    """Data whose first piece waits for the other files, the first time that it is wanted."""

    def __init__(self, pieces) -> None:
        self._pieces = pieces
        self._made: List[bytes] = []

    def __iter__(self):
        self._made = self._made or self._pieces()
        return iter(self._made)


def same(storage: RetryingStorage, contents: Dict[str, bytes]) -> None:
    for name, data in contents.items():
        assert storage.get(name) == data
    assert sorted(entry.name for entry in storage.list("")) == sorted(contents)


def test_files_that_are_sent_at_once_get_channels_and_one_alone_does_not(tmp_path: Path) -> None:
    with SftpServer(tmp_path) as server, RetryingStorage(SftpStorage(server.settings()), 60.0) as storage:
        for number in range(3):
            storage.put("file-0", [b"%d" % number], replace=True)
        assert channels(storage.inner) == 1
        same(storage, put_at_once(storage, 5))
        assert channels(storage.inner) == 3


@pytest.mark.parametrize("sessions", [1, 2])
def test_a_server_that_permits_fewer_is_asked_for_no_more(tmp_path: Path, sessions: int) -> None:
    with SftpServer(tmp_path, more="MaxSessions %d\n" % sessions) as server:
        with RetryingStorage(SftpStorage(server.settings()), 60.0) as storage:
            for dummy in range(2):
                same(storage, put_at_once(storage, 5))
                assert channels(storage.inner) == sessions


def test_another_server_than_openssh_is_not_asked_for_more(tmp_path: Path) -> None:
    with proftpd(tmp_path, "") as server, RetryingStorage(SftpStorage(server.settings), 60.0) as storage:
        same(storage, put_at_once(storage, 5))
        assert channels(storage.inner) == 1


def test_after_a_lost_line_the_channels_are_made_anew(tmp_path: Path) -> None:
    with SftpServer(tmp_path) as server, Proxy(server.port) as proxy:
        with RetryingStorage(SftpStorage(server.settings(proxy.port)), 60.0) as storage:
            same(storage, put_at_once(storage, 4))
            before = list(storage.inner._channels._beside)
            proxy.cut()
            proxy.mend()
            contents = put_at_once(storage, 4)
            same(storage, contents)
            assert channels(storage.inner) == 3
            assert not set(before) & set(storage.inner._channels._beside)


def test_a_closed_storage_has_closed_its_channels(tmp_path: Path) -> None:
    with SftpServer(tmp_path) as server:
        storage = SftpStorage(server.settings())
        put_at_once(RetryingStorage(storage, 60.0), 4)
        beside = list(storage._channels._beside)
        assert len(beside) == 2
        storage.close()
        assert not any(calls.session.is_alive for calls in beside)
        with pytest.raises(StorageUnreachable):
            storage.put("late", [b"x"])


def test_a_session_whose_channel_cannot_be_closed_is_lost_all_the_same() -> None:
    """Closing a channel beside the first sends a message, over a line that was cut: EOFError, not one of the catalogue."""

    class Dead:
        def settimeout(self, dummy: float) -> None:
            pass

        def send(self, data: bytes) -> int:
            return len(data)

        def recv(self, dummy: int) -> bytes:
            return b""

    def fails() -> None:
        raise EOFError

    with pytest.raises(SessionLost, match="the connection was lost"):
        SftpSession(Dead(), fails, 1.0)
