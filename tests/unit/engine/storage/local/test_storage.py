# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails at the end of a call: a close that tells an error, a place taken by what is not a file."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Callable, Dict

import pytest
from engine.device.identity import MachineIdentity, claim_directory
from engine.errors import StorageFailed, StorageFull, StorageNameTaken, StorageNotFound
from engine.storage.lease import Lease
from engine.storage.local.storage import DirectoryStorage


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    made = DirectoryStorage(str(tmp_path / "storage"))
    made.make_directory("pc")
    made.put("pc/file", [b"some bytes"])
    return made


@pytest.mark.parametrize(("number", "expected"), [(errno.EIO, StorageFailed), (errno.ENOSPC, StorageFull)])
@pytest.mark.parametrize("operation", ["read", "forget_cache", "put", "list"])
def test_a_close_that_fails_is_an_error_of_the_catalogue(
    operation: str, number: int, expected: type, storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = os.close

    def failing(descriptor: int) -> None:
        close(descriptor)
        raise OSError(number, os.strerror(number))

    calls: Dict[str, Callable[[], object]] = {
        "read": lambda: storage.get("pc/file"),
        "forget_cache": lambda: storage.forget_cache("pc/file"),
        "put": lambda: storage.put("pc/other", [b"x"]),
        "list": lambda: storage.list("pc"),
    }
    monkeypatch.setattr(os, "close", failing)
    with pytest.raises((expected, StorageFailed)):
        calls[operation]()
    monkeypatch.undo()
    assert storage.get("pc/file") == b"some bytes"
    assert {entry.name for entry in storage.list("pc")} <= {"file", "other"}


def test_a_reader_that_stops_early_hears_nothing_of_a_close_that_fails(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = storage.read("pc/file")
    assert next(pieces) == b"some bytes"
    close = os.close

    def failing(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(os, "close", failing)
    pieces.close()  # type: ignore[attr-defined]
    monkeypatch.undo()  # pytest removes the files of the test with it


MAKERS: Dict[str, Callable[[Path], object]] = {
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "loop": lambda path: path.symlink_to(path),
    "socket": lambda path: socket.socket(socket.AF_UNIX).bind(str(path)),
}


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_what_is_no_file_is_no_lease_and_no_identity(
    kind: str, storage: DirectoryStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "storage" / "pc")  # the path of a socket is short
    for name in ("lease.json", "device-id.json"):
        MAKERS[kind](Path(name))
        with pytest.raises(StorageNotFound):
            storage.get("pc/" + name)
    before = sorted(Path().iterdir())
    with pytest.raises(StorageNameTaken):
        Lease(storage, "pc").acquire(wait_seconds=60)
    with pytest.raises(StorageNameTaken):
        claim_directory(storage, "pc", MachineIdentity("1-2", "3"), adopt=False)
    assert sorted(Path().iterdir()) == before
