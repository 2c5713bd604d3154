# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a storage promises, held by a share of Samba in several shapes."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest
from engine.entries import EntryKind
from engine.errors import EngineError
from engine.storage.contract import Storage
from engine.storage.limit import LimitedStorage
from support.storage_factories import Open, SharedServers

MIB = 1 << 20


@pytest.fixture(params=["smb", "smb_encrypted", "smb_2", "smb_odd_path"])
def served(request: Any, shared_servers: SharedServers) -> Iterator[Tuple[Path, Open]]:
    with shared_servers.storage(request.param) as served:
        yield served


@pytest.fixture
def root(served: Tuple[Path, Open]) -> Path:
    """Where the share keeps the storage."""
    return served[0]


@pytest.fixture
def opener(served: Tuple[Path, Open]) -> Open:
    return served[1]


@pytest.fixture
def storage(opener: Open) -> Storage:
    return opener()


def test_what_is_put_is_on_the_disk_bit_for_bit(storage: Storage, opener: Open, root: Path) -> None:
    data = random.Random(1).randbytes(3 * MIB + 17)
    gated: List[int] = []
    assert LimitedStorage(storage, gated.append).put("file", [data[:5], b"", data[5:]]) == len(data)
    assert sum(gated) == len(data)
    assert max(gated) <= MIB
    assert os.listdir(root) == ["file"]
    assert (root / "file").read_bytes() == data
    assert opener().get("file") == data
    space, disk = storage.space(), os.statvfs(root)
    assert space is not None
    assert space.total_bytes == disk.f_blocks * disk.f_frsize
    assert 0 < space.free_bytes <= space.total_bytes


def test_names_in_another_case_are_the_same_file(storage: Storage) -> None:
    storage.make_directory("Line 3")
    storage.put("Line 3/File", [b"x"])
    assert storage.get("LINE 3/fiLE") == b"x"
    assert storage.exists("line 3")


def test_long_paths_and_names_beyond_ascii(storage: Storage) -> None:
    path = "/".join(["Prüfstand 日本 %d" % number + "x" * 60 for number in range(10)])
    assert len(path) > 700
    storage.make_directory(path)
    storage.put(path + "/Datei", [b"x"])
    assert storage.get(path + "/Datei") == b"x"
    storage.rename(path + "/Datei", "oben")
    assert [entry.name for entry in storage.list(path)] == []


def test_long_listings(storage: Storage) -> None:
    names = {"%05d-%s" % (number, "n" * 90) for number in range(700)}  # more than fits into one answer

    def work(mine: List[str]) -> None:
        for name in mine:
            storage.make_directory(name)

    ordered = sorted(names)
    threads = [threading.Thread(target=work, args=(ordered[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = storage.list("")
    assert {entry.name for entry in entries} == names
    assert {entry.kind for entry in entries} == {EntryKind.DIRECTORY}


def test_links_do_not_lead_out_of_the_share(storage: Storage, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    storage.put("file", [b"x"])
    os.symlink(outside, root / "link")
    os.symlink(outside / "secret", root / "leads-out")
    for call in (
        lambda: storage.get("link/secret"),
        lambda: storage.get("leads-out"),
        lambda: storage.put("link/new", [b"x"]),
        lambda: storage.delete("link/secret"),
        lambda: storage.make_directory("link/new"),
        lambda: storage.rename("file", "link/new"),
    ):
        with pytest.raises(EngineError):
            call()
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


def test_special_files_do_not_hold_the_reader(storage: Storage, root: Path) -> None:
    storage.put("file", [b"x"])
    os.mkfifo(root / "pipe")
    assert storage.get("pipe") == b""  # Samba shows it as an empty file
