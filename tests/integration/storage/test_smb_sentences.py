# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said when a share fails in its own way: one plain sentence with its code, from a real Samba."""

from __future__ import annotations

import os
import socket
import struct
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from engine.errors import (
    StorageError,
    StorageFull,
    StoragePathTooLong,
    StorageProtectionRefused,
    StorageQuotaReached,
    StorageUnreachable,
)
from engine.storage.smb.storage import SmbStorage
from support.proxy import accepted
from support.refusing import check_sentence
from support.samba_server import PASSWORD, disk_with_quota, samba

MIB = 1 << 20
_SIGNED = 8


def sentence(error: StorageError) -> str:
    check_sentence(error, [PASSWORD])
    return str(error)


def test_a_quota_is_told_from_a_full_disk(tmp_path: Path) -> None:
    with disk_with_quota(tmp_path / "disk", 16 * MIB) as disk, samba(tmp_path / "server", root=disk) as server:
        with SmbStorage(server.settings) as storage:
            storage.put("first", [os.urandom(8 * MIB)])
            with pytest.raises(StorageFull) as caught:
                storage.put("second", [os.urandom(MIB) for dummy in range(20)])
            assert caught.value.code == StorageQuotaReached.code, str(caught.value)
            assert "PLANT\\backup" in sentence(caught.value)
            assert storage.stat("first").size_bytes == 8 * MIB


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    with samba(tmp_path) as server, SmbStorage(server.settings) as storage:
        name = "ß" * 200  # 400 bytes, where Linux has room for 255
        for call in (lambda: storage.put(name, [b"x"]), lambda: storage.make_directory("a/" + name)):
            with pytest.raises(StoragePathTooLong) as caught:
                call()
            assert name in sentence(caught.value)


class Tampering:
    """Stands between client and server and takes the signatures off what the server says."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.changed = 0
        self.is_active = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        for client in accepted(self._listener):
            server = socket.create_connection(("127.0.0.1", self._target))
            for source, destination, changes in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._forward, args=(source, destination, changes), daemon=True).start()

    def _forward(self, source: socket.socket, destination: socket.socket, changes: bool) -> None:
        try:
            with source.makefile("rb") as packets:
                while True:
                    head = packets.read(4)
                    if len(head) < 4:
                        break
                    body = bytearray(packets.read(struct.unpack(">I", head)[0]))
                    if changes and self.is_active:
                        self._take_off(body)
                    destination.sendall(head + bytes(body))
        except OSError:
            return
        finally:
            destination.close()

    def _take_off(self, body: bytearray) -> None:
        """[MS-SMB2 2.2.1.2]: flags at 16, the signature at 48."""
        flags = struct.unpack_from("<I", body, 16)[0]
        if body[:4] == b"\xfeSMB" and flags & _SIGNED:
            struct.pack_into("<I", body, 16, flags & ~_SIGNED)
            body[48:64] = bytes(16)
            self.changed += 1

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def tampered(tmp_path: Path) -> Iterator[List[Any]]:
    with samba(tmp_path, options={"smb encrypt": "off"}) as server:
        between = Tampering(server.port)
        yield [between, {**server.settings, "port": between.port}]
        between.close()


def test_answers_without_a_signature_are_refused(tampered: List[Any]) -> None:
    between, settings = tampered
    with SmbStorage(settings) as storage:
        storage.put("file", [b"x"])
        between.is_active = True
        with pytest.raises(StorageProtectionRefused) as caught:
            storage.get("file")
        assert between.changed
        assert "signature" in sentence(caught.value)
        assert not caught.value.retry


def test_a_login_whose_answer_lost_its_signature_is_refused(tampered: List[Any]) -> None:
    between, settings = tampered
    between.is_active = True
    with pytest.raises((StorageProtectionRefused, StorageUnreachable)) as caught, SmbStorage(settings) as storage:
        storage.list("")
    assert between.changed
    assert caught.value.code == StorageProtectionRefused.code, sentence(caught.value)


@pytest.mark.parametrize("below", ["server", "share"])
def test_encryption_that_smb_2_does_not_have(tmp_path: Path, below: str) -> None:
    demanded = {"smb encrypt": "required"}
    options: Dict[str, str] = {"server max protocol": "SMB2_10", **(demanded if below == "server" else {})}
    with samba(tmp_path, options=options, share_options=demanded if below == "share" else {}) as server:
        with pytest.raises(StorageError) as caught, SmbStorage(server.settings) as storage:
            storage.list("")
        assert caught.value.code == StorageProtectionRefused.code, str(caught.value)
        assert "encryption" in sentence(caught.value)
