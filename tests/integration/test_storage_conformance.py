# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every storage promises (engine/storage/contract.py), held by each of them over real servers."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any, Iterator, List

import pytest
from engine.errors import (
    StorageError,
    StorageExists,
    StorageFailed,
    StorageNotFound,
    StoragePathInvalid,
)
from engine.storage.contract import PARTIAL_SUFFIX, Storage
from support.storage_factories import FACTORIES, Open

MIB = 1 << 20


@pytest.fixture(params=sorted(FACTORIES))
def opener(request: Any, tmp_path: Path) -> Iterator[Open]:
    with FACTORIES[request.param](tmp_path) as opener:
        yield opener


@pytest.fixture
def storage(opener: Open) -> Storage:
    return opener()


def names(storage: Storage, path: str = "") -> List[str]:
    return sorted(entry.name for entry in storage.list(path))


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 10), (MIB - 3, 7), (2 * MIB, None), (3 * MIB + 10, 100), (5 * MIB, 10), (7, 0)]
)
def test_ranges(storage: Storage, offset: int, length: Any) -> None:
    data = random.Random(2).randbytes(3 * MIB + 17)
    storage.put("file", [data])
    end = None if length is None else offset + length
    pieces = list(storage.read("file", offset, length))
    assert b"".join(pieces) == data[offset:end]
    assert all(0 < len(piece) <= MIB for piece in pieces)


def test_a_reader_may_stop_and_several_may_be_open_in_one_thread(storage: Storage) -> None:
    data = random.Random(3).randbytes(9 * MIB)
    storage.put("file", [data])
    readers = [storage.read("file", number) for number in range(12)]
    for number, reader in enumerate(readers):
        assert next(iter(reader))[:9] == data[number : number + 9]
        assert storage.get("file", 5, 3) == data[5:8]
    del readers, reader
    assert storage.get("file") == data


def test_threads_share_one_storage(storage: Storage) -> None:
    wrong: List[str] = []

    def work(number: int) -> None:
        data = random.Random(number).randbytes(MIB // 2 + number)
        for turn in range(4):
            name = "file-%d-%d" % (number, turn)
            storage.put(name, [data])
            if storage.get(name) != data or storage.get(name, 7, 70) != data[7:77]:
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(names(storage)) == 24


def test_existing_files_are_replaced_only_when_asked(storage: Storage) -> None:
    storage.put("file", [b"one"])
    with pytest.raises(StorageExists):
        storage.put("file", [b"two"])
    assert storage.get("file") == b"one"
    storage.put("file", [b"three"], replace=True)
    assert storage.get("file") == b"three"
    storage.put("new", [b"four"], replace=True)
    assert names(storage) == ["file", "new"]


def test_a_put_that_fails_leaves_nothing_under_the_name(storage: Storage, opener: Open) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * MIB
        seen.extend(names(opener()))
        raise KeyboardInterrupt

    seen: List[str] = []
    with pytest.raises(KeyboardInterrupt):
        storage.put("file", pieces())
    assert [name.endswith(PARTIAL_SUFFIX) for name in seen] == [True]
    assert names(storage) == []
    assert not storage.exists("file")


def test_what_is_not_there(storage: Storage) -> None:
    storage.put("file", [b"x"])
    calls = [
        lambda: storage.get("nothing"),
        lambda: storage.get("file/below"),
        lambda: storage.get(""),
        lambda: storage.put("nothing/file", [b"x"]),
        lambda: storage.list("nothing"),
        lambda: storage.list("file"),
        lambda: storage.stat("nothing/below"),
        lambda: storage.delete("nothing"),
        lambda: storage.remove_directory("nothing"),
        lambda: storage.rename("nothing", "else"),
        lambda: storage.rename("file", "nothing/file"),
        lambda: storage.make_directory("nothing/below", exclusive=True),
    ]
    for call in calls:
        with pytest.raises(StorageNotFound):
            call()


def test_directories(storage: Storage) -> None:
    storage.make_directory("a/b/c")
    storage.make_directory("a/b/c")
    storage.make_directory("d", exclusive=True)
    for taken in ("d", "a"):
        with pytest.raises(StorageExists):
            storage.make_directory(taken, exclusive=True)
    storage.put("a/file", [b"x"])
    with pytest.raises(StorageExists):
        storage.make_directory("a/file")
    with pytest.raises(StorageFailed):
        storage.remove_directory("a/b")
    storage.rename("a/b", "moved")
    assert names(storage) == ["a", "d", "moved"]
    storage.remove_directory("moved/c")
    storage.remove_directory("moved")
    with pytest.raises(StorageExists):
        storage.rename("a/file", "d")
    storage.delete("a/file")
    assert names(storage, "a") == []


def test_one_of_many_gets_an_exclusive_directory(opener: Open) -> None:
    won: List[int] = []

    def work(number: int) -> None:
        try:
            storages[number].make_directory("one", exclusive=True)
            won.append(number)
        except StorageExists:
            return

    storages = [opener() for dummy in range(5)]
    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_paths_that_leave_the_root_are_refused(storage: Storage) -> None:
    for path in ("../x", "a/../b", "/etc/passwd", "a//b", "a\0b", "con", "a\\b", "x" * 2000):
        for call in (storage.get, storage.stat, storage.list, storage.delete, storage.make_directory):
            with pytest.raises(StoragePathInvalid):
                call(path)


@pytest.mark.parametrize("opener", sorted(set(FACTORIES) - {"directory", "memory"}), indirect=True)
def test_a_closed_storage_says_so(storage: Storage) -> None:
    storage.put("file", [b"x"])
    storage.close()
    with pytest.raises(StorageError):
        storage.list("")
