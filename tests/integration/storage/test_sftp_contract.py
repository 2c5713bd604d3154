# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an SFTP storage promises, against OpenSSH and against a server without any extension."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest
from engine.entries import EntryKind
from engine.errors import (
    StorageNotFound,
    StoragePermissionDenied,
)
from engine.storage.contract import Storage
from engine.storage.limit import LimitedStorage
from support.storage_factories import Open, SharedServers

MIB = 1 << 20


@pytest.fixture(params=["sftp", "sftp_without_extensions", "sftp_proftpd", "sftp_proftpd_plain", "sftp_with_retries"])
def served(request: Any, shared_servers: SharedServers) -> Iterator[Tuple[Path, Open]]:
    with shared_servers.storage(request.param) as served:
        yield served


@pytest.fixture
def root(served: Tuple[Path, Open]) -> Path:
    """Where the server keeps the storage."""
    return served[0]


@pytest.fixture
def opener(served: Tuple[Path, Open]) -> Open:
    return served[1]


@pytest.fixture
def storage(opener: Open) -> Storage:
    return opener()


def names(storage: Storage, path: str = "") -> List[str]:
    return sorted(entry.name for entry in storage.list(path))


def test_what_is_put_is_there_for_others_bit_for_bit(storage: Storage, opener: Open, root: Path) -> None:
    data = random.Random(1).randbytes(3 * MIB + 17)
    storage.make_directory("pc/packs/ab")
    gated: List[int] = []
    assert LimitedStorage(storage, gated.append).put("pc/packs/ab/file", [data[:5], b"", data[5:]]) == len(data)
    assert sum(gated) == len(data)
    assert max(gated) <= MIB
    assert (root / "pc" / "packs" / "ab" / "file").read_bytes() == data
    other = opener()
    assert other.get("pc/packs/ab/file") == data
    assert other.stat("pc/packs/ab/file").size_bytes == len(data)
    assert names(other, "pc/packs/ab") == ["file"]
    storage.put("pc/empty", [])
    assert other.get("pc/empty") == b""
    assert other.stat("pc").kind is EntryKind.DIRECTORY


def test_links_are_never_followed(storage: Storage, root: Path, tmp_path: Path, request: Any) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    storage.make_directory("")
    os.symlink(outside, root / "link")
    os.symlink(outside / "secret", root / "file")
    assert {entry.kind for entry in storage.list("")} == {EntryKind.OTHER}
    if "proftpd" in request.node.callspec.id:
        # It resolves links in each path by itself, also where it is asked not to: only its listings tell of them.
        assert storage.stat("link").kind is EntryKind.DIRECTORY
        return
    for path in ("link", "file"):
        assert storage.stat(path).kind is EntryKind.OTHER
        with pytest.raises(StorageNotFound):
            storage.get(path)
    for call in (
        lambda: storage.get("link/secret"),
        lambda: storage.put("link/new", [b"x"]),
        lambda: storage.delete("link/secret"),
        lambda: storage.make_directory("link/new"),
        lambda: storage.rename("file", "link/new"),
    ):
        with pytest.raises(StoragePermissionDenied):
            call()
    storage.put("file", [b"ours"], replace=True)
    assert (outside / "secret").read_bytes() == b"secret"
    assert os.listdir(outside) == ["secret"]


def test_special_files_do_not_hold_the_reader(storage: Storage, root: Path) -> None:
    storage.make_directory("")
    os.mkfifo(root / "pipe")
    with pytest.raises(StorageNotFound):
        storage.get("pipe")


def test_names_beyond_ascii(storage: Storage, root: Path) -> None:
    storage.make_directory("Linie 3 Prüfstand/日本")
    storage.put("Linie 3 Prüfstand/日本/Datei", [b"x"])
    assert (root / "Linie 3 Prüfstand" / "日本" / "Datei").read_bytes() == b"x"
    assert names(storage) == ["Linie 3 Prüfstand"]
