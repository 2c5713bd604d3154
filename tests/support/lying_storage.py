# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage with faults: honest ones, that are told, and lies, that are not. Every one is drawn by chance and counted."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Callable, Iterable, Iterator, List, Optional, TypeVar
from typing import Counter as Counted

from engine.entries import Entry, EntryKind, Space
from engine.errors import StorageError, StorageFailed, StorageFull, StorageUnreachable
from engine.storage.contract import Deadline, Storage
from support.storages import Killed

Answer = TypeVar("Answer")


class Faults:
    """Draws faults with the chance ``rate`` a call, at most ``most`` of them; ``kills`` ends the run at one of its calls."""

    def __init__(self, seed: int, rate: float, *, kill_at: int = 0, most: int = 1 << 30) -> None:
        self._chance = random.Random(seed)
        self._rate, self._most, self._left = rate, most, kill_at
        self._lock = threading.Lock()
        self.counts: Counted[str] = Counter()

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def step(self) -> None:
        """:raises Killed: when this call is the last one; every later call of the same run is refused as well."""
        with self._lock:
            self._left -= 1
            if self._left == 0 or (self._left < 0 and self.counts["killed"]):
                self.counts["killed"] = 1
                raise Killed

    def draw(self, *kinds: str) -> str:
        """One of ``kinds``, or "" for a call that goes well."""
        with self._lock:
            if self._chance.random() >= self._rate or self.total >= self._most:
                return ""
            kind = self._chance.choice(kinds)
            self.counts[kind] += 1
            return kind

    def below(self, count: int) -> int:
        with self._lock:
            return self._chance.randrange(max(1, count))


class LyingStorage(Storage):
    """``inner`` with ``faults``; what they did to the bytes is what a medium, a line or a server does without telling."""

    def __init__(self, inner: Storage, faults: Faults) -> None:
        self.inner = inner
        self.faults = faults
        self.description = inner.description
        self.parallel_calls = inner.parallel_calls

    def _fails(self, operation: str, path: str) -> StorageError:
        errors: List[StorageError] = [
            StorageFailed(storage=self.description, operation=operation, path=path, reason="an error of the medium"),
            StorageUnreachable(storage=self.description, reason="the line was cut"),
        ]
        return errors[self.faults.below(2)]

    def _call(self, operation: str, path: str, call: Callable[[], Answer]) -> Answer:
        """An honest failure before the call, or one after it has done its work."""
        self.faults.step()
        kind = self.faults.draw("failed before", "failed after")
        if kind == "failed before":
            raise self._fails(operation, path)
        answer = call()
        if kind:
            raise self._fails(operation, path)
        return answer

    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        pieces = [bytes(piece) for piece in data]
        kind = self.faults.draw("full", "written flipped", "written short", "write dropped", "written in another order")
        if kind == "full":
            raise StorageFull(storage=self.description, path=path)
        size_bytes = sum(len(piece) for piece in pieces)
        if kind == "write dropped":
            return size_bytes
        if kind == "written flipped":
            pieces = [_flipped(b"".join(pieces), self.faults)]
        elif kind == "written short":
            pieces = [b"".join(pieces)[: self.faults.below(size_bytes)]]
        elif kind == "written in another order":
            whole = b"".join(pieces)
            cut = self.faults.below(size_bytes)
            pieces = [whole[cut:], whole[:cut]]
        self._call("writing", path, lambda: self.inner.put(path, pieces, replace=replace, deadline=deadline))
        return size_bytes

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        pieces = self._call("reading", path, lambda: list(self.inner.read(path, offset_bytes, length_bytes)))
        for piece in pieces:
            kind = self.faults.draw("read flipped", "read short", "read cut")
            if kind == "read flipped":
                yield _flipped(piece, self.faults)
            elif kind == "read short":
                yield piece[: self.faults.below(len(piece))]
                return
            elif kind == "read cut":
                raise self._fails("reading", path)
            else:
                yield piece

    def list(self, path: str) -> List[Entry]:
        entries = self._call("listing", path, lambda: self.inner.list(path))
        kind = self.faults.draw("name missed", "size lied", "nothing listed")
        if kind == "nothing listed":
            return []
        if kind and entries:
            chosen = self.faults.below(len(entries))
            entry = entries.pop(chosen)
            if kind == "size lied" and entry.kind is EntryKind.FILE:
                entries.append(entry._replace(size_bytes=self.faults.below(entry.size_bytes + 1)))
        return entries

    def stat(self, path: str) -> Entry:
        entry = self._call("looking at", path, lambda: self.inner.stat(path))
        if entry.kind is EntryKind.FILE and self.faults.draw("size lied"):
            return entry._replace(size_bytes=self.faults.below(entry.size_bytes + 1))
        return entry

    def rename(self, source: str, destination: str) -> None:
        if not self.faults.draw("renaming dropped"):
            self._call("renaming", source, lambda: self.inner.rename(source, destination))

    def delete(self, path: str) -> None:
        if not self.faults.draw("deleting dropped"):
            self._call("deleting", path, lambda: self.inner.delete(path))

    def make_directory(self, path: str, *, exclusive: bool = False) -> None:
        self._call("making the directory", path, lambda: self.inner.make_directory(path, exclusive=exclusive))

    def remove_directory(self, path: str) -> None:
        self._call("removing the directory", path, lambda: self.inner.remove_directory(path))

    def space(self) -> Optional[Space]:
        return self.inner.space()

    def modified_seconds(self, path: str) -> Optional[float]:
        return self._call("looking at", path, lambda: self.inner.modified_seconds(path))

    def forget_cache(self, path: str) -> None:
        self._call("reading", path, lambda: self.inner.forget_cache(path))

    def close(self) -> None:
        """The inner one belongs to whoever made it."""


def _flipped(data: bytes, faults: Faults) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    changed[faults.below(len(data))] ^= 1 << faults.below(8)
    return bytes(changed)
