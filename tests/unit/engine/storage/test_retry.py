# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is repeated, what never is, and what a repeated call makes of its own earlier success."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Optional

import pytest
from engine.errors import (
    EngineError,
    RunCancelled,
    StorageExists,
    StorageFailed,
    StorageFull,
    StorageNotFound,
    StorageUnreachable,
)
from engine.storage.retry import RetryingStorage
from support.storages import HookedStorage, MemoryStorage

AWAY = StorageUnreachable(storage="s", reason="away")
FAILED = StorageFailed(storage="s", operation="o", path="p", reason="r")
FULL = StorageFull(storage="s", path="p")


class Troubled:
    """A storage that fails at given moments, and its clock, which only its waits move."""

    def __init__(self, limit_seconds: float = 1000.0, cancelled: Callable[[], bool] = lambda: False) -> None:
        self.memory = MemoryStorage()
        self.plan: List[Any] = []
        self.waits: List[float] = []
        self.now = 0.0
        inner = HookedStorage(self.memory, self._hook)
        self.storage = RetryingStorage(inner, limit_seconds, cancelled, self._sleep, lambda: self.now)

    def fail(self, moment: str, error: EngineError, times: int = 1) -> None:
        self.plan += [(moment, error)] * times

    def _hook(self, moment: str, dummy_operation: str, dummy_path: str) -> None:
        if self.plan and self.plan[0][0] == moment:
            raise self.plan.pop(0)[1]

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waits.append(seconds)


@pytest.mark.parametrize("moment", ["before", "during", "after"])
@pytest.mark.parametrize("replace", [False, True])
def test_a_put_is_repeated_and_finds_its_own_success(moment: str, replace: bool) -> None:
    troubled = Troubled()
    troubled.fail(moment, AWAY, 2 if moment != "after" else 1)
    assert troubled.storage.put("file", [b"ab", b"cd"], replace=replace) == 4
    assert troubled.memory.files == {"file": b"abcd"}
    assert troubled.plan == []


def test_a_rivals_file_is_not_taken_for_ones_own() -> None:
    troubled = Troubled()
    troubled.fail("before", AWAY)
    troubled.memory.files["file"] = b"abcX"
    with pytest.raises(StorageExists):
        troubled.storage.put("file", [b"ab", b"cd"])
    troubled.memory.files["file"] = b"abcd"
    with pytest.raises(StorageExists):  # without a failure before, the same bytes are another's as well
        troubled.storage.put("file", [b"ab", b"cd"])


def test_data_that_can_not_be_walked_again_is_not_repeated() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"ab"
        yield b"cd"

    troubled = Troubled()
    troubled.fail("during", AWAY)
    with pytest.raises(StorageUnreachable):
        troubled.storage.put("file", pieces())
    assert troubled.memory.files == {}
    assert troubled.waits == []


def test_lost_answers_of_delete_and_rename() -> None:
    troubled = Troubled()
    troubled.memory.files.update({"a": b"1", "b": b"2"})
    troubled.fail("after", AWAY)
    troubled.storage.delete("a")
    troubled.fail("after", AWAY)
    troubled.storage.rename("b", "c")
    troubled.storage.make_directory("d")
    troubled.fail("after", AWAY)
    troubled.storage.remove_directory("d")
    assert troubled.memory.files == {"c": b"2"}
    assert troubled.memory.directories == {""}
    for call in (lambda: troubled.storage.delete("a"), lambda: troubled.storage.rename("b", "e")):
        with pytest.raises(StorageNotFound):
            call()


def test_a_read_goes_on_where_it_was() -> None:
    data = bytes(range(256)) * 20_000
    troubled = Troubled()
    troubled.memory.files["file"] = data
    reader = troubled.storage.read("file", 5, len(data) - 10)
    parts = [next(iter(reader))]
    troubled.fail("before", AWAY, 3)
    parts += list(reader)
    assert b"".join(parts) == data[5:-5]


@pytest.mark.parametrize("error", [FULL, StorageNotFound(storage="s", path="p"), StorageExists(storage="s", path="p")])
def test_answers_are_not_repeated(error: EngineError) -> None:
    troubled = Troubled()
    troubled.fail("before", error)
    with pytest.raises(type(error)):
        troubled.storage.list("")
    assert troubled.waits == []


def test_a_server_that_answers_with_failures_is_asked_a_few_times() -> None:
    troubled = Troubled()
    troubled.fail("before", FAILED, 3)
    assert troubled.storage.list("") == []
    troubled.fail("before", FAILED, 4)
    with pytest.raises(StorageFailed):
        troubled.storage.list("")
    troubled.storage.make_directory("d/e")
    troubled.waits.clear()
    with pytest.raises(StorageFailed):
        troubled.storage.remove_directory("d")
    assert troubled.waits == []


def test_waits_grow_and_end_with_the_limit() -> None:
    troubled = Troubled(600.0)
    troubled.storage.list("")
    troubled.fail("before", AWAY, 10_000)
    with pytest.raises(StorageUnreachable):
        troubled.storage.list("")
    assert 500 < troubled.now <= 600
    with pytest.raises(StorageUnreachable):  # nothing got through for so long: the next call does not start over
        troubled.storage.stat("x")
    assert troubled.now <= 600
    troubled.plan.clear()
    with pytest.raises(StorageUnreachable):  # a run that ends does not try each of its last words
        troubled.storage.list("")
    troubled.now += 60.0
    troubled.storage.list("")
    troubled.fail("before", AWAY, 5)
    assert troubled.storage.list("") == []


def test_a_read_that_goes_on_loses_nothing_when_another_call_gives_up() -> None:
    """The calls of several threads give up together; one that makes headway is not concerned, and no piece is passed over."""
    troubled = Troubled(100.0)
    pieces = [bytes([number]) * 10 for number in range(4)]

    class Pieces(MemoryStorage):
        def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
            data = b"".join(super().read(path, offset_bytes, length_bytes))
            yield from (data[start : start + 10] for start in range(0, len(data), 10))

    storage = RetryingStorage(Pieces(), 100.0, sleep=troubled._sleep, clock=lambda: troubled.now)
    storage.inner.put("file", pieces)
    reading = storage.read("file")
    got = [next(reading)]
    for dummy in range(3):
        storage._given_up, storage._given_up_at = AWAY, troubled.now  # what a call of another thread leaves
        got.append(next(reading))
    assert got == pieces
    assert list(reading) == []
    assert storage.list("")[0].name == "file", "what is in reach is not given up"


class Dripping(MemoryStorage):
    """Gives ``given`` bytes each time it is asked, and is lost then."""

    def __init__(self, given: int, clock: Troubled) -> None:
        super().__init__()
        self.given = given
        self.clock = clock

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        for piece in super().read(path, offset_bytes, min(self.given, length_bytes or self.given)):
            yield from (piece[start : start + 1000] for start in range(0, len(piece), 1000))
        self.clock.now += 300.0
        raise AWAY


def test_a_few_bytes_after_each_failure_are_no_headway() -> None:
    """What drips ends as a time-out after minutes; it must not be asked again for ever."""
    troubled = Troubled()
    storage = RetryingStorage(Dripping(1000, troubled), 3600.0, sleep=troubled._sleep, clock=lambda: troubled.now)
    storage.inner.put("file", [bytes(10_000_000)])
    with pytest.raises(StorageUnreachable):
        storage.get("file", 0, 10_000_000)
    assert 3300 < troubled.now < 4500


def test_a_read_that_makes_headway_goes_on_however_often_it_fails() -> None:
    troubled = Troubled()
    storage = RetryingStorage(Dripping(400_000, troubled), 3600.0, sleep=troubled._sleep, clock=lambda: troubled.now)
    storage.inner.put("file", [bytes(10_000_000)])
    assert sum(map(len, islice_bytes(storage.read("file", 0, 10_000_000), 9_900_000))) >= 9_900_000
    assert troubled.now > 2 * 3600


def islice_bytes(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The pieces until there are so many bytes."""
    for piece in pieces:
        count -= len(piece)
        yield piece
        if count <= 0:
            return


def test_once_is_the_storage_that_repeats_nothing() -> None:
    troubled = Troubled()
    troubled.fail("before", AWAY)
    with pytest.raises(StorageUnreachable):
        troubled.storage.once.stat("file")
    assert troubled.waits == []
    assert troubled.memory.once is troubled.memory


def test_an_answer_is_an_answer_if_only_that_nothing_is_there() -> None:
    troubled = Troubled(3600.0)
    with pytest.raises(StorageNotFound):
        troubled.storage.stat("file")
    troubled.fail("before", AWAY, 10_000)
    with pytest.raises(StorageUnreachable):
        troubled.storage.list("")
    assert troubled.now > 3000


def test_a_cancelled_run_does_not_wait() -> None:
    cancelled = [False]
    troubled = Troubled(cancelled=lambda: cancelled[0])
    troubled.fail("before", AWAY, 100)
    cancelled[0] = True
    with pytest.raises(RunCancelled):
        troubled.storage.list("")
    assert troubled.waits == []


def test_a_closed_storage_is_not_waited_for() -> None:
    troubled = Troubled()
    troubled.storage.close()
    troubled.fail("before", AWAY, 100)
    with pytest.raises(StorageUnreachable):
        troubled.storage.list("")
    assert troubled.waits == []


def test_a_storage_that_never_answered_is_given_up_after_two_minutes() -> None:
    troubled = Troubled(3600.0)
    troubled.fail("before", AWAY, 10_000)
    with pytest.raises(StorageUnreachable):
        troubled.storage.list("")
    assert 60 < troubled.now <= 120


@pytest.mark.parametrize(("has_answered", "tries"), [(False, 1), (True, 2)])
def test_a_silent_first_contact_spends_the_limit(has_answered: bool, tries: int) -> None:
    """The wait for the answer of a server that was never heard counts; a lost answer of one that works is asked for again."""
    troubled = Troubled(3.0)
    if has_answered:
        troubled.storage.list("")
    calls: List[str] = []

    def silent(*dummy: object) -> None:
        calls.append("list")
        troubled.now += 30.0
        raise AWAY

    troubled.storage.inner = HookedStorage(troubled.memory, silent)
    with pytest.raises(StorageUnreachable):
        troubled.storage.list("")
    assert len(calls) == tries
