# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages for tests: one in memory, one that calls a hook around every operation, one that counts."""

from __future__ import annotations

import itertools
import threading
from typing import Callable, Dict, Iterable, Iterator, List, Optional, TypeVar

from engine.entries import Entry, EntryKind, Space
from engine.errors import StorageExists, StorageFailed, StorageFileInTheWay, StorageNotFound
from engine.names import check_path
from engine.storage.contract import PARTIAL_SUFFIX, READ_SIZE_BYTES, Deadline, Storage

Hook = Callable[[str, str, str], None]
_Result = TypeVar("_Result")


class Killed(BaseException):
    """What a kill looks like from inside: nothing cleans up after it."""


class MemoryStorage(Storage):
    """The contract over dictionaries; an independent second implementation for the conformance suite."""

    description = "memory"

    def __init__(self) -> None:
        self.files: Dict[str, bytes] = {}
        self.directories = {""}
        self._numbers = itertools.count()
        self._lock = threading.RLock()

    def copy(self) -> MemoryStorage:
        """Another storage that holds the same."""
        other = MemoryStorage()
        other.files, other.directories = dict(self.files), set(self.directories)
        return other

    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        self._need_parent(path)
        with self._lock:
            if path in self.directories or (path in self.files and not replace):
                raise StorageExists(path=path, storage=self.description)
        partial = "%s.%d%s" % (path, next(self._numbers), PARTIAL_SUFFIX)
        parts = []
        self.files[partial] = b""
        try:
            for piece in data:
                for start in range(0, len(piece), READ_SIZE_BYTES):
                    part = bytes(piece[start : start + READ_SIZE_BYTES])
                    if deadline is not None:
                        deadline()
                    parts.append(part)
            if replace and deadline is not None:
                deadline()
            return self._publish(partial, path, b"".join(parts), replace)
        except Killed:
            raise  # and what was written stays
        except BaseException:
            self.files.pop(partial, None)
            raise

    def _publish(self, partial: str, path: str, content: bytes, replace: bool) -> int:
        with self._lock:
            self._need_parent(path)
            if partial not in self.files:
                raise StorageNotFound(path=path, storage=self.description)
            if path in self.directories or (path in self.files and not replace):
                raise StorageExists(path=path, storage=self.description)
            del self.files[partial]
            self.files[path] = content
            return len(content)

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        check_path(path)
        if path not in self.files:
            raise StorageNotFound(path=path, storage=self.description)
        data = self.files[path][offset_bytes:]
        if length_bytes is not None:
            data = data[:length_bytes]
        for start in range(0, len(data), READ_SIZE_BYTES):
            yield data[start : start + READ_SIZE_BYTES]

    def list(self, path: str) -> List[Entry]:
        check_path(path)
        if path not in self.directories:
            raise StorageNotFound(path=path, storage=self.description)
        # One look at each name: storages of tests hold thousands, and are listed thousands of times.
        last = len(path) if path else -1
        with self._lock:
            files = [(name, len(data)) for name, data in self.files.items() if name.rfind("/") == last]
            folders = [name for name in self.directories if name.rfind("/") == last and name]
        inside = [Entry(_last(name), EntryKind.FILE, size) for name, size in files if _parent(name) == path]
        return inside + [Entry(_last(name), EntryKind.DIRECTORY, 0) for name in folders if _parent(name) == path]

    def stat(self, path: str) -> Entry:
        check_path(path)
        if path in self.files:
            return Entry(_last(path), EntryKind.FILE, len(self.files[path]))
        if path in self.directories:
            return Entry(_last(path), EntryKind.DIRECTORY, 0)
        raise StorageNotFound(path=path, storage=self.description)

    def rename(self, source: str, destination: str) -> None:
        check_path(source)
        self._need_parent(destination)
        with self._lock:
            if destination in self.files or destination in self.directories:
                raise StorageExists(path=destination, storage=self.description)
            if source in self.files:
                self.files[destination] = self.files.pop(source)
            elif source in self.directories:
                self._move_directory(source, destination)
            else:
                raise StorageNotFound(path=source, storage=self.description)

    def _move_directory(self, source: str, destination: str) -> None:
        def moved(name: str) -> str:
            return destination + name[len(source) :] if name == source or name.startswith(source + "/") else name

        self.directories = {moved(name) for name in self.directories}
        self.files = {moved(name): data for name, data in self.files.items()}

    def delete(self, path: str) -> None:
        check_path(path)
        with self._lock:
            if self.files.pop(path, None) is None:
                raise StorageNotFound(path=path, storage=self.description)

    def make_directory(self, path: str, *, exclusive: bool = False) -> None:
        check_path(path)
        with self._lock:
            if exclusive:
                self._need_parent(path)
                if path in self.directories:
                    raise StorageExists(path=path, storage=self.description)
            while path:
                if path in self.files:
                    raise StorageFileInTheWay(path=path, storage=self.description)
                self.directories.add(path)
                path = _parent(path)

    def remove_directory(self, path: str) -> None:
        if self.list(path):
            raise StorageFailed(storage=self.description, operation="removing", path=path, reason="it is not empty")
        self.directories.remove(path)

    def space(self) -> Optional[Space]:
        return None

    def close(self) -> None:
        """Nothing is held open."""

    def _need_parent(self, path: str) -> None:
        check_path(path)
        if _parent(path) not in self.directories:
            raise StorageNotFound(path=path, storage=self.description)


class HookedStorage(Storage):
    """Calls ``hook(moment, operation, path)`` before and after every operation and in the middle of every put.

    The hook may raise an error of the catalogue, or kill the process.
    """

    def __init__(self, inner: Storage, hook: Hook) -> None:
        self.inner = inner
        self.hook = hook
        self.description = inner.description
        self.parallel_calls = inner.parallel_calls

    def _around(self, operation: str, path: str, call: Callable[[], _Result]) -> _Result:
        self.hook("before", operation, path)
        result = call()
        self.hook("after", operation, path)
        return result

    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        def pieces() -> Iterator[bytes]:
            for piece in data:
                half = len(piece) // 2
                yield piece[:half]
                self.hook("during", "put", path)
                yield piece[half:]

        return self._around("put", path, lambda: self.inner.put(path, pieces(), replace=replace, deadline=deadline))

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        self.hook("before", "read", path)
        yield from self.inner.read(path, offset_bytes, length_bytes)

    def list(self, path: str) -> List[Entry]:
        return self._around("list", path, lambda: self.inner.list(path))

    def stat(self, path: str) -> Entry:
        return self._around("stat", path, lambda: self.inner.stat(path))

    def rename(self, source: str, destination: str) -> None:
        self._around("rename", source, lambda: self.inner.rename(source, destination))

    def delete(self, path: str) -> None:
        self._around("delete", path, lambda: self.inner.delete(path))

    def make_directory(self, path: str, *, exclusive: bool = False) -> None:
        self._around("make_directory", path, lambda: self.inner.make_directory(path, exclusive=exclusive))

    def remove_directory(self, path: str) -> None:
        self._around("remove_directory", path, lambda: self.inner.remove_directory(path))

    def space(self) -> Optional[Space]:
        return self.inner.space()

    def forget_cache(self, path: str) -> None:
        self.inner.forget_cache(path)

    def close(self) -> None:
        self.inner.close()


class CountingStorage(HookedStorage):
    """Counts round trips by operation, and the bytes that were sent and fetched."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner, self._count)
        self.operations: Dict[str, int] = {}
        self.sent_bytes = 0
        self.fetched_bytes = 0

    def _count(self, moment: str, operation: str, dummy_path: str) -> None:
        if moment == "before":
            self.operations[operation] = self.operations.get(operation, 0) + 1

    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        size_bytes = super().put(path, data, replace=replace, deadline=deadline)
        self.sent_bytes += size_bytes
        return size_bytes

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        for piece in super().read(path, offset_bytes, length_bytes):
            self.fetched_bytes += len(piece)
            yield piece


def is_partial(path: str) -> bool:
    return path.endswith(PARTIAL_SUFFIX)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _last(path: str) -> str:
    return path.rpartition("/")[2]
