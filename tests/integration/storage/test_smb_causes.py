# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every version of SMB that Samba speaks, and each reason why a share can't be used under its own code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest
from engine.entries import Entry, EntryKind
from engine.errors import (
    EngineError,
    StorageAccountDisabled,
    StorageAccountExpired,
    StorageDialectRefused,
    StorageDirectoryMissing,
    StorageExists,
    StorageForeignServer,
    StorageHostRefused,
    StorageNotFound,
    StorageNtlmBlocked,
    StoragePasswordExpired,
)
from engine.storage.open import open_storage
from engine.storage.smb.storage import SmbStorage
from support.refusing import check_sentence
from support.samba_server import PASSWORD, USER, SambaServer, samba
from support.sftp_server import SftpServer
from support.storage_factories import DIALECTS


def cause(settings: Dict[str, Any]) -> EngineError:
    with pytest.raises(EngineError) as caught, SmbStorage({"timeout_seconds": 10, **settings}) as storage:
        storage.list("")
    check_sentence(caught.value, [PASSWORD])
    return caught.value


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_each_version_of_smb(tmp_path: Path, dialect: str) -> None:
    """The whole suite runs over each of them in make test-long."""
    data = [os.urandom(1 << 20) for dummy in range(3)]
    with samba(tmp_path, options={"server max protocol": dialect}) as server, SmbStorage(server.settings) as storage:
        storage.make_directory("pc/packs")
        storage.put("pc/packs/one", data)
        assert storage._connected()._connection.dialect == DIALECTS[dialect]
        assert storage.get("pc/packs/one") == b"".join(data)
        assert list(storage.read("pc/packs/one", 65530, 20)) == [data[0][65530:65550]]
        with pytest.raises(StorageExists):
            storage.put("pc/packs/one", [b"x"])
        storage.put("pc/packs/one", [b"other"], replace=True)
        storage.rename("pc/packs", "pc/moved")
        assert storage.list("pc/moved") == [Entry("one", EntryKind.FILE, 5)]
        with pytest.raises(StorageNotFound):
            storage.get("pc/packs/one")
        storage.delete("pc/moved/one")
        storage.remove_directory("pc/moved")
        assert storage.space() is not None


REFUSING: Dict[str, Tuple[Dict[str, str], Any]] = {
    "SMB 1 alone": ({"server min protocol": "NT1", "server max protocol": "NT1"}, StorageDialectRefused),
    "this machine": ({"hosts deny": "127.0.0.1"}, StorageHostRefused),
    "NTLM": ({"ntlm auth": "disabled"}, StorageNtlmBlocked),
}


@pytest.mark.parametrize("what", sorted(REFUSING))
def test_servers_that_refuse(tmp_path: Path, what: str) -> None:
    options, expected = REFUSING[what]
    with samba(tmp_path, options=options) as server:
        error = cause(server.settings)
        assert error.code == expected.code, str(error)
        assert not error.retry


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaServer]:
    with samba(tmp_path_factory.mktemp("smb")) as server:
        yield server


ACCOUNTS: Dict[str, Tuple[Tuple[str, ...], Tuple[str, ...], Any]] = {
    "disabled": (("-c", "[D]"), ("-c", "[]"), StorageAccountDisabled),
    "expired": (("-K", "1577836800"), ("-K", "never"), StorageAccountExpired),
    "to be changed": (
        ("--pwd-must-change-time", "0"),
        ("--pwd-must-change-time", "2147483647"),
        StoragePasswordExpired,
    ),
}


@pytest.mark.parametrize("what", sorted(ACCOUNTS))
def test_accounts_that_may_not_log_in(server: SambaServer, what: str) -> None:
    change, back, expected = ACCOUNTS[what]
    if what == "to be changed":
        server._run(["smbpasswd", "-c", str(server.config), "-e", USER], b"")
        server._run(["pdbedit", "-s", str(server.config), "-P", "maximum password age", "-C", "1"], b"")
        server._run(["net", "-s", str(server.config), "sam", "set", "pwdmustchangenow", USER, "yes"], b"")
    else:
        server.edit_user(USER, *change)
    try:
        error = cause(server.settings)
        assert error.code == expected.code, str(error)
        assert not error.retry
    finally:
        if what == "to be changed":
            server._run(["pdbedit", "-s", str(server.config), "-P", "maximum password age", "-C", "-1"], b"")
            server.set_password(USER, PASSWORD)
        else:
            server.edit_user(USER, *back)


def test_another_service_is_not_asked_again(server: SambaServer, tmp_path: Path) -> None:
    with SftpServer(tmp_path) as ssh:
        error = cause(dict(server.settings, port=ssh.port))
        assert error.code == StorageForeignServer.code
        assert not error.retry


def test_a_root_that_is_not_there_is_not_made(server: SambaServer) -> None:
    settings = dict(server.settings, url=server.settings["url"] + "\\nothing\\here")
    for call in (
        lambda storage: storage.list(""),
        lambda storage: storage.put("file", [b"x"]),
        lambda storage: storage.make_directory("pc"),
        lambda storage: storage.space(),
    ):
        with pytest.raises(StorageDirectoryMissing), open_storage(settings) as storage:
            call(storage)
    assert not list(server.root.rglob("nothing"))


@pytest.mark.parametrize("address", ["[::1]", "0--1.ipv6-literal.net", "--1.ipv6-literal.net"])
def test_shares_by_ipv6_address(server: SambaServer, address: str) -> None:
    url = "\\\\%s\\%s\\%s" % (address, server.share, server.below)
    with SmbStorage(dict(server.settings, url=url)) as storage:
        storage.put("file", [b"x"], replace=True)
        assert storage.get("file") == b"x"
        assert storage.description == url
