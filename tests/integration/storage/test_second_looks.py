# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second look at a file that seems damaged has a connection of its own: a connection that lies does so each time it is asked."""

from __future__ import annotations

import hashlib
import threading
from typing import Any, Iterator, List

import pytest
from engine.errors import StorageUnreachable
from engine.image.second_look import damage_of
from engine.smb.login import SmbConnector
from engine.storage.sftp import storage as sftp_storage
from engine.storage.sftp.connect import SftpConnector
from engine.storage.smb import storage as smb_storage
from support.storage_factories import SharedServers

DATA = bytes(range(256)) * 8192
NAME = hashlib.sha256(DATA).hexdigest()


def flipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece[:7] + bytes([piece[7] ^ 1]) + piece[8:]


@pytest.mark.parametrize(
    "kind",
    ["sftp", "sftp_with_retries", "sftp_proftpd", "smb", "smb_with_retries"],
    ids=["openssh", "openssh with retries", "proftpd", "samba", "samba with retries"],
)
def test_a_connection_that_lies_makes_no_damage(
    kind: str, shared_servers: SharedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: List[object] = []
    read_opened, pull = sftp_storage.read_opened, smb_storage.pull

    def lying(read: Any) -> Any:
        def lie(connection: Any, *arguments: Any) -> Iterator[bytes]:
            first.append(connection)
            pieces = read(connection, *arguments)
            return flipped(pieces) if connection is first[0] else pieces

        return lie

    with shared_servers.storage(kind) as (dummy_root, opened):
        with opened() as storage:
            storage.put("file", [DATA])
            monkeypatch.setattr(sftp_storage, "read_opened", lying(read_opened))
            monkeypatch.setattr(smb_storage, "pull", lying(pull))
            assert damage_of(storage, "file", NAME) == ""
            assert len(set(map(id, first))) == 2
            assert storage.get("file") != DATA, "what is not looked at again stays on the first connection"
            assert damage_of(storage, "file", "0" * 64) != ""
            storage.put("other", [DATA])
            assert storage.stat("other").size_bytes == len(DATA)


def test_thousands_of_looks_at_one_file_take_one_connection(
    shared_servers: SharedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: List[object] = []
    connect = SftpConnector.connect_apart
    monkeypatch.setattr(SftpConnector, "connect_apart", lambda self: made.append(self) or connect(self))
    with shared_servers.storage("sftp") as (dummy_root, opened):
        with opened() as storage:
            storage.put("file", [DATA])
            for dummy in range(50):
                storage.look_anew("file")
                assert storage.get("file", 0, 100) == DATA[:100]
    assert len(made) == 1


@pytest.mark.parametrize(
    ("kind", "connector", "name"),
    [("sftp", SftpConnector, "connect_apart"), ("smb", SmbConnector, "connect")],
    ids=["openssh", "samba"],
)
def test_no_other_call_waits_for_a_second_connection_or_fails_with_it(
    kind: str, connector: Any, name: str, shared_servers: SharedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease has to be renewed although a server lets a second connection hang, or permits none."""
    with shared_servers.storage(kind) as (dummy_root, opened):
        with opened() as storage:
            storage.put("file", [DATA])
            found: List[int] = []

            def hanging(dummy_connector: object) -> None:
                other = threading.Thread(target=lambda: found.append(storage.stat("file").size_bytes), daemon=True)
                other.start()
                other.join(20)
                raise StorageUnreachable(storage=storage.description, reason="it permits one connection")

            storage.look_anew("file")
            monkeypatch.setattr(connector, name, hanging)
            assert storage.get("file") == DATA
            assert found == [len(DATA)]
