# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with a share, and what is said then; an image made, verified and restored over SMB."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple, Type

import pytest
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import read_layout
from engine.disk.source import FileSource
from engine.disk.used import plan_disk
from engine.errors import (
    EngineError,
    StorageAccountBlocked,
    StorageCredentialInvalid,
    StorageFull,
    StorageGuestRefused,
    StorageLoginFailed,
    StoragePermissionDenied,
    StorageProtectionRefused,
    StorageServerNotFound,
    StorageShareNotFound,
    StorageUnreachable,
    StorageUrlInvalid,
)
from engine.storage.open import open_storage
from engine.storage.retry import RetryingStorage
from engine.storage.smb.storage import SmbStorage
from engine.verbs.dispatch import run_job
from smbprotocol.session import SMB2Logoff
from support import imaging
from support.proxy import Proxy
from support.samba_server import OTHER_USER, PASSWORD, USER, SambaServer, full_disk, samba
from support.whole_disks import Part, build_disk

MIB = 1 << 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SambaServer]:
    with samba(tmp_path / "server") as running:
        yield running


def fails(settings: Dict[str, Any], error: Type[EngineError]) -> str:
    """Return what is said when a storage with ``settings`` is used; never the password."""
    with pytest.raises(error) as caught, SmbStorage(settings) as storage:
        storage.list("")
    said = str(caught.value.as_dict())
    assert str(settings.get("password") or PASSWORD) not in said
    return said


@pytest.mark.parametrize("username", [USER, "PLANTSERVER\\" + USER, "PLANT\\" + USER, "someone@plant.example"])
def test_ways_to_name_a_user(server: SambaServer, username: str) -> None:
    # Only a domain knows user@domain; this server is told by a map what a domain controller would know.
    server.map_user("someone@plant.example", USER)
    with SmbStorage({**server.settings, "username": username}) as storage:
        assert storage.list("") == []


def test_wrong_password_user_or_share(server: SambaServer) -> None:
    settings = server.settings
    assert USER in fails({**settings, "password": "Wrong-1"}, StorageLoginFailed)
    assert "nosuchuser" in fails({**settings, "username": "nosuchuser"}, StorageLoginFailed)
    assert "nosuchshare" in fails({**settings, "url": "\\\\127.0.0.1\\nosuchshare"}, StorageShareNotFound)
    fails({**settings, "password": ""}, StorageLoginFailed)
    fails({**settings, "username": ""}, StorageCredentialInvalid)


def test_accounts_that_are_disabled(server: SambaServer) -> None:
    server.edit_user(USER, "-c", "[D]")
    assert "disabled" in fails(server.settings, StorageAccountBlocked)


def test_servers_that_are_not_there(server: SambaServer) -> None:
    settings = server.settings
    url = "\\\\no-such-server.invalid\\images"
    assert "no-such-server.invalid" in fails({**settings, "url": url}, StorageServerNotFound)
    server.stop()
    fails(settings, StorageUnreachable)


@pytest.mark.parametrize(
    "url", ["\\\\server", "\\\\server\\", "\\\\?\\UNC\\a\\b", "\\\\user@server\\share", "\\\\a\\IPC$", "\\\\a\\b\\\\c"]
)
def test_urls_that_name_no_share(url: str) -> None:
    with pytest.raises(StorageUrlInvalid):
        open_storage({"url": url, "username": "u", "password": "p"})


def test_paths_that_leave_the_share() -> None:
    with pytest.raises(EngineError):
        open_storage({"url": "\\\\a\\b\\..\\c", "username": "u", "password": "p"})


def test_encryption_demanded_but_not_offered(tmp_path: Path) -> None:
    for number, options in enumerate([{"smb encrypt": "off"}, {"server max protocol": "SMB2_10"}]):
        with samba(tmp_path / str(number), options=options) as server:
            assert "encrypt" in fails({**server.settings, "require_encryption": True}, StorageProtectionRefused)
            with SmbStorage(server.settings) as storage:
                assert storage.list("") == []


def test_encryption_demanded_by_a_server_of_smb_2(tmp_path: Path) -> None:
    options = {"server max protocol": "SMB2_10", "smb encrypt": "required"}
    with samba(tmp_path, options=options) as server:
        fails(server.settings, EngineError)


def test_guests_are_refused(tmp_path: Path) -> None:
    options = {"map to guest": "bad password", "guest account": OTHER_USER}
    with samba(tmp_path, options=options, share_options={"guest ok": "yes"}) as server:
        fails({**server.settings, "password": "Wrong-1"}, StorageGuestRefused)
        fails({**server.settings, "username": "nobody-knows"}, EngineError)
        with SmbStorage(server.settings) as storage:
            assert storage.list("") == []


def test_read_only_shares_can_be_read(tmp_path: Path) -> None:
    with samba(tmp_path, share_options={"read list": OTHER_USER}) as server:
        with SmbStorage(server.settings) as storage:
            storage.put("file", [b"x"])
        with SmbStorage({**server.settings, "username": OTHER_USER}) as storage:
            assert storage.get("file") == b"x"
            calls: Dict[str, Callable[[], object]] = {
                "put": lambda: storage.put("new", [b"x"]),
                "delete": lambda: storage.delete("file"),
                "rename": lambda: storage.rename("file", "other"),
                "make_directory": lambda: storage.make_directory("new"),
            }
            for call in calls.values():
                with pytest.raises(StoragePermissionDenied):
                    call()


def test_shares_that_are_closed_to_a_user(tmp_path: Path) -> None:
    with samba(tmp_path, share_options={"invalid users": OTHER_USER}) as server:
        said = fails({**server.settings, "username": OTHER_USER}, StoragePermissionDenied)
        assert server.share in said


def test_a_full_disk_leaves_no_debris(tmp_path: Path) -> None:
    with full_disk(tmp_path / "disk", 8 * MIB) as disk, samba(tmp_path / "server", root=disk) as server:
        with SmbStorage(server.settings) as storage:
            storage.put("first", [os.urandom(2 * MIB)])
            with pytest.raises(StorageFull):
                storage.put("second", [os.urandom(MIB) for dummy in range(12)])
            assert [entry.name for entry in storage.list("")] == ["first"]
            space = storage.space()
            assert space is not None
            assert space.total_bytes == 8 * MIB
            assert storage.put("third", [b"x" * MIB]) == MIB


def test_a_dfs_root_and_a_link_to_another_server(tmp_path: Path) -> None:
    with samba(tmp_path, share_options={"msdfs root": "yes"}) as server, SmbStorage(server.settings) as storage:
        storage.put("file", [b"x"])
        assert storage.get("file") == b"x"
        os.symlink("msdfs:other\\share", server.root / "plant" / "elsewhere")
        with pytest.raises(EngineError) as caught:
            storage.get("elsewhere/file")
        assert caught.value.code == "S102", str(caught.value)
        assert "DFS" in str(caught.value)


def test_a_server_that_restarts(server: SambaServer) -> None:
    with SmbStorage(server.settings) as storage:
        storage.put("file", [b"x" * 3 * MIB])

        def pieces() -> Iterator[bytes]:
            yield b"y" * MIB
            server.stop()
            for dummy in range(40):
                yield b"y" * MIB

        with pytest.raises(StorageUnreachable) as caught:
            storage.put("file", pieces(), replace=True)
        assert caught.value.retry
        with pytest.raises(StorageUnreachable):
            storage.list("")
        server.start()
        assert storage.get("file") == b"x" * 3 * MIB
        assert storage.put("file", [b"z"], replace=True) == 1


def test_a_restart_is_bridged_by_retries(server: SambaServer) -> None:
    with RetryingStorage(SmbStorage(server.settings), 60.0) as storage:
        storage.put("file", [b"x" * 9 * MIB])
        reader = storage.read("file")
        parts = [next(iter(reader))]
        server.stop()
        later = threading.Timer(1.0, server.start)
        later.start()
        parts += list(reader)
        later.join()
        assert b"".join(parts) == b"x" * 9 * MIB
        storage.delete("file")


def test_a_link_that_is_cut_at_any_moment(server: SambaServer) -> None:
    data = [bytes([number]) * MIB for number in range(6)]
    with Proxy(server.port) as proxy:
        with RetryingStorage(SmbStorage({**server.settings, "port": proxy.port}), 60.0) as storage:
            for turn in range(10):
                proxy.cut_after(turn * 777777)
                storage.put("file-%d" % turn, data)
                assert storage.get("file-%d" % turn) == b"".join(data)
            # What a lost put left goes away with the next one.
            storage.put("last", [b"x"])
            assert len(storage.list("")) == 11


def test_a_server_that_falls_silent_does_not_hold_us(server: SambaServer) -> None:
    with SmbStorage({**server.settings, "timeout_seconds": 2}) as storage:
        storage.put("file", [b"x"])
        server.pause()
        started = time.monotonic()
        try:
            for call in (lambda: storage.get("file"), lambda: storage.put("other", [b"y" * MIB] * 80)):
                with pytest.raises(StorageUnreachable):
                    call()
            storage.close()
        finally:
            server.go_on()
        assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    "options", [{}, {"smb encrypt": "off"}, {"server max protocol": "SMB2_10"}], ids=["encrypted", "signed", "smb 2"]
)
def test_a_session_that_expires(tmp_path: Path, options: Dict[str, str]) -> None:
    with samba(tmp_path, options=options) as server, SmbStorage(server.settings) as storage:
        storage.put("file", [b"x"])
        link = storage._link
        assert link is not None
        connection, session = link._connection, link._session
        connection.receive(
            connection.send(SMB2Logoff(), sid=session.session_id)
        )  # the server forgets us; we don't know
        with pytest.raises(StorageUnreachable) as caught:
            storage.get("file")
        assert caught.value.retry
        assert storage.get("file") == b"x"


def test_a_password_that_changes_in_the_middle(server: SambaServer) -> None:
    with SmbStorage(server.settings) as storage:
        storage.put("file", [b"x"])
        server.set_password(USER, PASSWORD + "!")
        assert storage.get("file") == b"x"  # the session lives on
        server.stop()
        server.start()
        with pytest.raises(StorageUnreachable):
            storage.get("file")
    # A server that has just started may still close connections, which is repeated; a wrong password is not.
    with RetryingStorage(SmbStorage(server.settings), 30.0) as storage, pytest.raises(StorageLoginFailed):
        storage.get("file")


def test_what_answers_may_speak_another_language() -> None:
    def greet() -> None:
        with contextlib.suppress(OSError):
            for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x40" + b"\xfeSMB" + b"\xff" * 60, b""):
                client, dummy = listener.accept()
                with client:
                    client.recv(1000)
                    client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        settings = {"url": "\\\\127.0.0.1\\a", "port": listener.getsockname()[1], "username": "u", "password": "p"}
        for dummy in range(3):
            fails({**settings, "password": "Secret-99", "timeout_seconds": 3}, EngineError)


def test_image_verify_restore(server: SambaServer, tmp_path: Path) -> None:
    parts = (Part("root", "ext", 48, ("-t", "ext4")), Part("windows", "ntfs", 48, ("-c", "4096")))
    disk = build_disk(tmp_path, "gpt", parts, files=100)

    def run(verb: str, **settings: Any) -> Dict[str, Any]:
        document = {**imaging.job(Path("/"), verb, **settings), "storage": server.settings}
        return run_job(document, lambda event: None, lambda: False)

    assert run("image", drives=[str(disk.path)], limit_read_rate=0)["bytes_in_use"] > 0
    assert run("verify", level="full")["ok"]
    assert run("image", drives=[str(disk.path)], limit_read_rate=0)["bytes_in_use"] > 0
    target = tmp_path / "restored.raw"
    run("restore", map={"disk0": str(target)})
    in_use = used_ranges(disk.path)
    assert sum(length for dummy, length in in_use) > 10 * MIB
    assert imaging.same_where_in_use(disk.path, target, in_use) == []


def used_ranges(disk: Path) -> List[Tuple[int, int]]:
    with FileSource(str(disk)) as source:
        return list(plan_disk(source, read_layout(source), lambda partition: VolumeState.OFFLINE).used)
