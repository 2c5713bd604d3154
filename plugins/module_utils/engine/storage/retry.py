# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage around another one that repeats what may be repeated, until a total time is over."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from typing import Callable, Iterable, Iterator, List, NoReturn, Optional, TypeVar

from ..entries import Entry, Space
from ..errors import (
    StorageError,
    StorageExists,
    StorageFailed,
    StorageNotFound,
    StorageServerNotFound,
    StorageUnreachable,
)
from ..stall import headway_bytes
from .contract import Deadline, ServerKey, Storage
from .notices import NO_NOTICES, SILENT_SECONDS, Notices, Outage
from .pause import pause

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 30.0
_REST_SECONDS = 60.0
# Before a storage has answered even once a mistyped name is likelier than a server that restarts.
_FIRST_CONTACT_SECONDS = 120.0
# A server that answers, but with a failure, is asked a few times; one that does not answer, until the time is over.
_TRIES_AFTER_ANSWERS = 4

Answer = TypeVar("Answer")


class RetryingStorage(Storage):
    """Repeats calls that failed with ``error.retry``, waiting longer and longer, with jitter.

    It gives up when one call has been tried for ``limit_seconds``, or when nothing at all got through for as long:
    several threads then give up together. The error is the last one. A storage that never answered is given up after
    two minutes at the latest. A read that makes headway restarts the count; a few bytes after each failure do not.

    A repeated call may meet its own earlier success, whose answer was lost: a ``put`` then reads back and compares, a
    ``delete`` finds nothing to delete, a ``rename`` finds its work done. All three succeed.

    ``put`` repeats only data that can be walked again (a list, a tuple, an object whose ``__iter__`` restarts). An
    iterator can't be: its first failure is raised and the caller decides. The engine gives lists. An exclusive
    ``make_directory`` that met its own success raises ``StorageExists``: the owner of the directory is unknown.
    """

    def __init__(
        self,
        inner: Storage,
        limit_seconds: float,
        cancelled: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        notices: Notices = NO_NOTICES,
    ) -> None:
        self.inner = inner
        self.description = inner.description
        self.parallel_calls = inner.parallel_calls
        self._limit_seconds = limit_seconds
        self._cancelled = cancelled
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._down_since: Optional[float] = None
        self._is_closed = False
        self._has_answered = False
        self._given_up: Optional[StorageError] = None
        self._given_up_at = 0.0
        self._outage = Outage(notices, "the storage")

    @property
    def once(self) -> Storage:
        return self.inner

    @property
    def server_key(self) -> Optional[ServerKey]:  # type: ignore[override]
        return self.inner.server_key

    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        patience = _Patience(self)
        while True:
            try:
                return self._succeeded(self.inner.put(path, data, replace=replace, deadline=deadline))
            except StorageExists:
                if patience.failures and not replace:
                    size_bytes = self._stored(path, data)
                    if size_bytes is not None:
                        return size_bytes
                raise
            except StorageError as error:
                if iter(data) is data:
                    raise
                patience.bear(error)

    def _stored(self, path: str, data: Iterable[bytes]) -> Optional[int]:
        """Return the size of ``data`` if ``path`` holds just that, else None."""
        ours, theirs = hashlib.sha256(), hashlib.sha256()
        size_bytes = 0
        for piece in data:
            ours.update(piece)
            size_bytes += len(piece)
        for piece in self.read(path, 0, size_bytes + 1):
            theirs.update(piece)
        return size_bytes if ours.digest() == theirs.digest() else None

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        patience = _Patience(self)
        done = since_failure = 0
        while True:
            left = None if length_bytes is None else length_bytes - done
            try:
                for piece in self.inner.read(path, offset_bytes + done, left):
                    # No exception may occur between counting a piece and yielding it: the piece would be skipped.
                    self.answered()
                    done += len(piece)
                    since_failure += len(piece)
                    if since_failure >= headway_bytes():
                        patience.renew()
                    yield piece
                return
            except StorageError as error:
                since_failure = 0
                patience.bear(error)

    def list(self, path: str) -> List[Entry]:
        return self._repeat(lambda: self.inner.list(path))

    def list_some(self, path: str, wanted: Callable[[str], bool], most: Optional[int] = None) -> List[Entry]:
        return self._repeat(lambda: self.inner.list_some(path, wanted, most))

    def stat(self, path: str) -> Entry:
        return self._repeat(lambda: self.inner.stat(path))

    def rename(self, source: str, destination: str) -> None:
        patience = _Patience(self)
        while True:
            try:
                return self._succeeded(self.inner.rename(source, destination))
            except (StorageExists, StorageNotFound):
                if patience.failures and not self.exists(source) and self.exists(destination):
                    return None
                raise
            except StorageError as error:
                patience.bear(error)

    def delete(self, path: str) -> None:
        patience = _Patience(self)
        while True:
            try:
                return self._succeeded(self.inner.delete(path))
            except StorageNotFound:
                if patience.failures:
                    return None
                raise
            except StorageError as error:
                patience.bear(error)

    def make_directory(self, path: str, *, exclusive: bool = False) -> None:
        self._repeat(lambda: self.inner.make_directory(path, exclusive=exclusive))

    def remove_directory(self, path: str) -> None:
        patience = _Patience(self)
        while True:
            try:
                return self._succeeded(self.inner.remove_directory(path))
            except StorageFailed:
                raise  # it is not empty, and waiting does not empty it
            except StorageNotFound:
                if patience.failures:
                    return None
                raise
            except StorageError as error:
                patience.bear(error)

    def space(self) -> Optional[Space]:
        return self._repeat(self.inner.space)

    def modified_seconds(self, path: str) -> Optional[float]:
        return self._repeat(lambda: self.inner.modified_seconds(path))

    def forget_cache(self, path: str) -> None:
        self._repeat(lambda: self.inner.forget_cache(path))

    def look_anew(self, path: str) -> None:
        self._repeat(lambda: self.inner.look_anew(path))

    def close(self) -> None:
        self._is_closed = True
        self._outage.give_up()
        self.inner.close()

    def _repeat(self, call: Callable[[], Answer]) -> Answer:
        patience = _Patience(self)
        while True:
            try:
                return self._succeeded(call())
            except StorageError as error:
                patience.bear(error)

    def _succeeded(self, answer: Answer) -> Answer:
        self.answered()
        return answer

    def answered(self) -> None:
        """The server has said something, if only that it knows no such name."""
        with self._lock:
            self._down_since = None
            self._has_answered = True
            self._given_up = None
        self._outage.over()

    def begin(self) -> None:
        """A call begins. Until the server has answered once, it may be an address where nothing ever does."""
        self.check()
        if not self._has_answered:
            self._outage.expect_answer(
                "The storage %s is not responding; retrying for up to %d s."
                % (self.description, self._patience_seconds)
            )

    @property
    def has_answered(self) -> bool:
        return self._has_answered

    @property
    def _patience_seconds(self) -> float:
        return self._limit_seconds if self._has_answered else min(self._limit_seconds, _FIRST_CONTACT_SECONDS)

    def wait(self, error: StorageError, since: float, seconds: float, is_few: bool) -> None:
        """Wait before the next try; raise ``error`` when the time is over."""
        now = self._clock()
        with self._lock:
            self._down_since = now if self._down_since is None else self._down_since
            started = min(self._down_since, since)
        if self._is_closed or now + seconds - started > self._patience_seconds:
            if isinstance(error, (StorageServerNotFound, StorageUnreachable)):
                self._given_up, self._given_up_at = error, self._clock()
            self.give_up(error)
        if now + seconds - started > SILENT_SECONDS:
            how = "a few times" if is_few else "for up to %d s" % self._patience_seconds
            self._outage.tell("%s Retrying %s." % (error, how))
        pause(seconds, self._sleep, self._cancelled)

    def give_up(self, error: StorageError) -> NoReturn:
        """Raise ``error``: nothing is waited for any more."""
        self._outage.give_up()
        raise error

    def check(self) -> None:
        """:raises StorageUnreachable: when it was given up a moment ago."""
        error = self._given_up
        if error is not None and self._clock() - self._given_up_at < _REST_SECONDS:
            raise type(error)(**error.fields)

    def now(self) -> float:
        return self._clock()


class _Patience:
    """The failures of one call so far."""

    def __init__(self, storage: RetryingStorage) -> None:
        storage.begin()
        self._storage = storage
        self._began = storage.now()
        self.renew()

    def renew(self) -> None:
        """Restart the count: the call makes headway."""
        self._since = 0.0
        self.failures = 0
        self._answers = 0

    def bear(self, error: StorageError) -> None:
        """Wait for the next try, or raise ``error`` when there is to be none."""
        if not error.retry:
            if isinstance(error, (StorageNotFound, StorageExists)):
                self._storage.answered()
            self._storage.give_up(error)
        if not self.failures:
            # A server that takes the connection and stays silent spends the time that the caller set, too.
            self._since = self._storage.now() if self._storage.has_answered else self._began
        self.failures += 1
        # Until a first answer has come, an unknown host name is more likely mistyped than missing for a moment.
        is_unknown = isinstance(error, StorageServerNotFound) and not self._storage.has_answered
        is_few = error.is_answer or is_unknown
        self._answers += is_few
        if self._answers >= _TRIES_AFTER_ANSWERS:
            self._storage.give_up(error)
        longest = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2.0 ** min(self.failures, 10))
        self._storage.wait(error, self._since, longest * random.uniform(0.5, 1.0), is_few)
