# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage around another one that keeps what is sent to the I/O limit, and that ends when a run is cancelled.

A run has both: what must not wait, or is small (leases, documents), goes to the storage without the limit.
"""

from __future__ import annotations

from typing import Callable, Iterable, Iterator, List, Optional

from ..entries import Entry, Space
from ..errors import RunCancelled
from .contract import READ_SIZE_BYTES, Deadline, ServerKey, Storage

Limit = Callable[[int], None]  # waits until so many bytes may pass


def no_limit(dummy_size_bytes: int) -> None:
    """Let everything pass."""


class LimitedStorage(Storage):
    """Pieces of at most ``READ_SIZE_BYTES`` pass one by one before they are sent."""

    def __init__(
        self,
        inner: Storage,
        limit: Limit = no_limit,
        cancelled: Callable[[], bool] = lambda: False,
        *,
        fetches: bool = False,
    ) -> None:
        """:param fetches: whether what is fetched counts against the same limit, after it came."""
        self.inner = inner
        self.description = inner.description
        self.parallel_calls = inner.parallel_calls
        self._limit = limit
        self._cancelled = cancelled
        self._fetches = fetches

    def check(self) -> None:
        """:raises RunCancelled: when the run was cancelled."""
        if self._cancelled():
            raise RunCancelled()

    def wait(self, size_bytes: int) -> None:
        """Wait until ``size_bytes`` may pass.

        :raises RunCancelled: when the run was cancelled.
        """
        self.check()
        self._limit(size_bytes)

    @property
    def once(self) -> Storage:
        return LimitedStorage(self.inner.once, self._limit, self._cancelled, fetches=self._fetches)

    @property
    def server_key(self) -> Optional[ServerKey]:  # type: ignore[override]
        return self.inner.server_key

    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        # An iterator can be walked once: who repeats a put has to see that it is one.
        passing = self._passing(data) if iter(data) is data else _Passing(self, data)
        return self.inner.put(path, passing, replace=replace, deadline=deadline)

    def _passing(self, data: Iterable[bytes]) -> Iterator[bytes]:
        for piece in data:
            for start in range(0, len(piece), READ_SIZE_BYTES):
                part = piece if len(piece) <= READ_SIZE_BYTES else memoryview(piece)[start : start + READ_SIZE_BYTES]
                self.wait(len(part))
                yield part
        self.check()  # what it would replace stays

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        for piece in self.inner.read(path, offset_bytes, length_bytes):
            if self._fetches:
                self.wait(len(piece))
            yield piece

    def list(self, path: str) -> List[Entry]:
        return self.inner.list(path)

    def list_some(self, path: str, wanted: Callable[[str], bool], most: Optional[int] = None) -> List[Entry]:
        return self.inner.list_some(path, wanted, most)

    def stat(self, path: str) -> Entry:
        return self.inner.stat(path)

    def rename(self, source: str, destination: str) -> None:
        self.inner.rename(source, destination)

    def delete(self, path: str) -> None:
        self.inner.delete(path)

    def make_directory(self, path: str, *, exclusive: bool = False) -> None:
        self.inner.make_directory(path, exclusive=exclusive)

    def remove_directory(self, path: str) -> None:
        self.inner.remove_directory(path)

    def space(self) -> Optional[Space]:
        return self.inner.space()

    def modified_seconds(self, path: str) -> Optional[float]:
        return self.inner.modified_seconds(path)

    def forget_cache(self, path: str) -> None:
        self.inner.forget_cache(path)

    def look_anew(self, path: str) -> None:
        self.inner.look_anew(path)

    def close(self) -> None:
        self.inner.close()


class _Passing:
    """Data that passes the limit each time it is walked."""

    def __init__(self, storage: LimitedStorage, data: Iterable[bytes]) -> None:
        self._storage = storage
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        return self._storage._passing(self._data)
