# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage that keeps to the I/O limit: what passes it, how large, and when a run that was cancelled ends."""

from __future__ import annotations

from typing import Iterable, List, Optional, Type

import pytest
from engine.errors import RunCancelled, StorageUnreachable
from engine.storage.contract import READ_SIZE_BYTES, Deadline, Storage
from engine.storage.limit import LimitedStorage
from engine.storage.retry import RetryingStorage
from support.storages import MemoryStorage


def test_each_piece_passes_before_it_is_sent_and_nothing_else_does() -> None:
    inner = MemoryStorage()
    passed: List[int] = []
    limited = LimitedStorage(inner, passed.append)
    data = [b"a" * (2 * READ_SIZE_BYTES + 5), b"", b"bc"]
    assert limited.put("file", data) == sum(map(len, data))
    assert passed == [READ_SIZE_BYTES, READ_SIZE_BYTES, 5, 2]
    assert inner.get("file") == b"".join(data) == limited.get("file")
    limited.rename("file", "other")
    assert [entry.name for entry in limited.list("")] == ["other"]
    assert sum(passed) == sum(map(len, data))


def test_what_is_fetched_counts_where_that_is_wanted() -> None:
    inner = MemoryStorage()
    passed: List[int] = []
    inner.put("file", [b"x" * 70000])
    assert LimitedStorage(inner, passed.append).get("file") == b"x" * 70000
    assert passed == []
    assert LimitedStorage(inner, passed.append, fetches=True).once.get("file") == b"x" * 70000
    assert sum(passed) == 70000


class Flaky(MemoryStorage):
    """Fails once in the middle of what it is sent."""

    failures = 1

    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        if self.failures:
            self.failures -= 1
            next(iter(data))
            raise StorageUnreachable(storage=self.description, reason="of a test")
        return super().put(path, data, replace=replace, deadline=deadline)


def test_what_is_sent_again_passes_again() -> None:
    inner = Flaky()
    passed: List[int] = []
    retrying = RetryingStorage(inner, 60, sleep=lambda seconds: None)
    assert LimitedStorage(retrying, passed.append).put("file", [b"ab", b"c"]) == 3
    assert passed == [2, 2, 1]
    inner.failures = 1
    with pytest.raises(StorageUnreachable):  # what can be walked once is not tried again
        LimitedStorage(retrying, passed.append).put("other", iter([b"ab", b"c"]))


@pytest.mark.parametrize("pieces", [0, 1, 2, 3])
def test_a_run_that_is_cancelled_sends_no_more_and_replaces_nothing(pieces: int) -> None:
    """With three pieces sent it is cancelled before the new file takes the place of the old one."""
    inner = MemoryStorage()
    passed: List[int] = []
    inner.put("file", [b"old"])
    limited = LimitedStorage(inner, passed.append, lambda: len(passed) >= pieces)
    with pytest.raises(RunCancelled):
        limited.put("file", [b"a", b"b", b"c"], replace=True)
    assert len(passed) == pieces
    assert inner.get("file") == b"old"


def test_a_wait_ends_with_the_run() -> None:
    waited: List[int] = []
    limited = LimitedStorage(MemoryStorage(), waited.append, lambda: bool(waited))
    limited.wait(5)
    with pytest.raises(RunCancelled):
        limited.wait(5)
    assert waited == [5]


@pytest.mark.parametrize("around", [LimitedStorage, RetryingStorage])
def test_what_stands_around_a_storage_passes_every_call_on(around: Type[Storage]) -> None:
    same_for_all = {"get", "exists"}
    calls = {name for name, what in vars(Storage).items() if callable(what) and not name.startswith("_")}
    assert calls - same_for_all - vars(around).keys() == set()
