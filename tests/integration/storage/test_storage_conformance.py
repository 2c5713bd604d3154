# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every storage promises (engine/storage/contract.py), held by each of them over real servers."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest
from engine.entries import Entry, EntryKind
from engine.errors import (
    RunCancelled,
    StorageError,
    StorageExists,
    StorageFailed,
    StorageFileInTheWay,
    StorageNotFound,
    StoragePathInvalid,
)
from engine.storage.contract import PARTIAL_SUFFIX, READ_SIZE_BYTES, Storage
from engine.storage.limit import LimitedStorage
from support.storage_factories import FACTORIES, LONG_FACTORIES, Open, SharedServers

MIB = 1 << 20


KINDS = [*sorted(FACTORIES), *(pytest.param(name, marks=pytest.mark.long) for name in sorted(LONG_FACTORIES))]


@pytest.fixture(params=KINDS)
def served(request: Any, shared_servers: SharedServers) -> Iterator[Tuple[Path, Open]]:
    with shared_servers.storage(request.param) as served:
        yield served


@pytest.fixture
def opener(served: Tuple[Path, Open]) -> Open:
    return served[1]


@pytest.fixture
def storage(opener: Open) -> Storage:
    return opener()


def names(storage: Storage, path: str = "") -> List[str]:
    return sorted(entry.name for entry in storage.list(path))


def test_who_only_reads_leaves_no_trace(served: Tuple[Path, Open]) -> None:
    """Check mode, a verify and a restore with a mistyped device make no directory on a server."""
    root, opener = served

    def there() -> List[Path]:
        return sorted(root.glob("**"))

    with opener() as storage:
        before = there()
        assert storage.list("") == []
        assert not storage.exists("pc")
        assert not storage.exists("pc/image.json")
        for call in (storage.stat, storage.get, storage.list, storage.delete):
            with pytest.raises(StorageNotFound):
                call("pc")
        with pytest.raises(StorageNotFound):
            storage.rename("pc", "other")
        space = storage.space()
        assert space is None or 0 < space.free_bytes <= space.total_bytes
        assert there() == before
    with opener() as storage:
        storage.put("file", [b"content"])
    with opener() as storage:
        assert names(storage) == ["file"]
        assert storage.get("file") == b"content"


def test_a_directory_is_made_with_those_above_it(opener: Open) -> None:
    with opener() as storage:
        storage.make_directory("pc/packs")
        storage.put("pc/packs/one", [b"1"])
    with opener() as storage:
        assert names(storage, "pc/packs") == ["one"]


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
    for blocked in ("a/file", "a/file/below"):
        with pytest.raises(StorageFileInTheWay):
            storage.make_directory(blocked)
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


@pytest.mark.parametrize("served", sorted(set(FACTORIES) - {"directory", "memory"}), indirect=True)
def test_a_closed_storage_says_so(storage: Storage) -> None:
    storage.put("file", [b"x"])
    storage.close()
    with pytest.raises(StorageError):
        storage.list("")


def test_sizes_pieces_and_entries(storage: Storage, opener: Open) -> None:
    data = random.Random(4).randbytes(2 * MIB + 5)
    sent: List[int] = []
    assert LimitedStorage(storage, sent.append).put("file", [data[:7], b"", data[7:]]) == len(data)
    assert sum(sent) == len(data)
    assert max(sent) <= READ_SIZE_BYTES
    assert storage.put("empty", []) == 0
    storage.make_directory("folder/inside")
    other = opener()
    assert sorted(other.list("")) == [
        Entry("empty", EntryKind.FILE, 0),
        Entry("file", EntryKind.FILE, len(data)),
        Entry("folder", EntryKind.DIRECTORY, 0),
    ]
    assert other.stat("file") == Entry("file", EntryKind.FILE, len(data))
    assert other.stat("folder/inside") == Entry("inside", EntryKind.DIRECTORY, 0)
    assert (other.exists("folder"), other.exists("file"), other.exists("nothing")) == (True, True, False)
    assert other.list("folder/inside") == []
    assert other.get("empty") == b""
    assert other.get("file", len(data)) == b""
    other.forget_cache("file")
    assert other.get("file") == data
    space = other.space()
    assert space is None or 0 < space.free_bytes <= space.total_bytes


def test_a_run_that_is_cancelled_leaves_nothing(storage: Storage) -> None:
    def cancel(dummy_size_bytes: int) -> None:
        if len(asked) == 2:
            raise RunCancelled
        asked.append(dummy_size_bytes)

    asked: List[int] = []
    with pytest.raises(RunCancelled):
        LimitedStorage(storage, cancel).put("file", [b"x" * 3 * MIB])
    storage.put("old", [b"old"])
    with pytest.raises(RunCancelled):
        LimitedStorage(storage, cancel).put("old", [b"x" * 3 * MIB], replace=True)
    assert names(storage) == ["old"]
    assert storage.get("old") == b"old"
    assert storage.put("file", [b"again"]) == 5


class _TooLate(Exception):
    """Of this test."""


@pytest.mark.parametrize("call", [0, 2, 3], ids=["before the first piece", "before the last", "before it is published"])
def test_what_comes_too_late_replaces_nothing(call: int, storage: Storage) -> None:
    """Of three pieces the deadline is asked before each, and once more before they take the place of what was there."""
    asked: List[int] = []

    def deadline() -> None:
        if len(asked) == call:
            raise _TooLate
        asked.append(0)

    storage.put("old", [b"old"])
    with pytest.raises(_TooLate):
        storage.put("old", [b"x" * MIB] * 3, replace=True, deadline=deadline)
    assert names(storage) == ["old"]
    assert storage.get("old") == b"old"


# Some of these answers may be tried again by the contract, so that a storage with retries takes seconds for each.
@pytest.mark.parametrize("served", [name for name in sorted(FACTORIES) if "retries" not in name], indirect=True)
def test_a_name_of_another_kind_is_taken(storage: Storage) -> None:
    storage.make_directory("folder/inside")
    storage.put("file", [b"x"])
    for taken in ("file", "folder"):
        with pytest.raises(StorageExists):
            storage.make_directory(taken, exclusive=True)
        with pytest.raises(StorageExists):
            storage.put(taken, [b"y"])
    for call in (
        lambda: storage.put("folder", [b"y"], replace=True),
        lambda: storage.delete("folder"),
        lambda: storage.delete("folder/inside"),
        lambda: storage.remove_directory("file"),
    ):
        with pytest.raises(StorageError):
            call()
    assert names(storage) == ["file", "folder"]
    assert names(storage, "folder") == ["inside"]
    assert storage.get("file") == b"x"


def test_what_is_renamed_keeps_what_is_in_it(storage: Storage) -> None:
    storage.make_directory("a/b")
    storage.make_directory("a/bc")
    storage.put("a/b/file", [b"x"])
    storage.put("other", [b"y"])
    storage.rename("a/b", "c")
    assert storage.get("c/file") == b"x"
    assert names(storage, "a") == ["bc"]
    storage.rename("c/file", "a/bc/moved")
    assert storage.get("a/bc/moved") == b"x"
    for taken in ("a/bc/moved", "a", "c"):
        with pytest.raises(StorageExists):
            storage.rename("other", taken)
        if taken != "a":
            with pytest.raises(StorageExists):
                storage.rename("a", taken)
    assert storage.get("a/bc/moved") == b"x"
    assert storage.get("other") == b"y"


def test_a_reader_sees_the_old_file_or_the_new_one(storage: Storage, opener: Open) -> None:
    contents = [bytes([number]) * (MIB // 4) for number in range(6)]
    storage.put("file", [contents[0]])
    done = threading.Event()
    torn: List[int] = []
    seen: List[bytes] = []

    def read(other: Storage) -> None:
        while not done.is_set():
            try:
                data = other.get("file")
            except StorageNotFound:
                torn.append(-1)
                continue
            seen.append(data[:1])
            if data not in contents:
                torn.append(len(data))

    reader = threading.Thread(target=read, args=(opener(),))
    reader.start()
    try:
        for turn in range(12):
            storage.put("file", [contents[turn % 6]], replace=True)
    finally:
        done.set()
        reader.join()
    assert torn == []
    assert seen


def test_of_writers_that_race_for_a_name_each_file_is_whole(opener: Open) -> None:
    """Who finds the name taken is told so; what is there is all of one writer's and of no other's."""
    won: List[int] = []

    def work(number: int) -> None:
        try:
            storages[number].put("file", [bytes([number]) * MIB])
            won.append(number)
        except StorageExists:
            return

    storages = [opener() for dummy in range(4)]
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won
    data = storages[0].get("file")
    assert data in [bytes([number]) * MIB for number in won]
    # What the others had begun may still be on its way out: it counts for nothing, whoever looks.
    assert [name for name in names(storages[0]) if not name.endswith(PARTIAL_SUFFIX)] == ["file"]
