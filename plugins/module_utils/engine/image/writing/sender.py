# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends finished packs in separate threads, and reads back and hashes the written files."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import Callable, Dict, Optional, Sequence, Union

from ...errors import EngineError, RunCancelled, StorageExists, StorageNotFound, StorageReadBackDiffers
from ...storage.contract import Storage
from ..format import constants as fmt
from ..format.packs import FinishedPack, fingerprint

_TRIES = 5
_SENDERS = 6
_SENDERS_BYTES = 48 << 20  # of packs in progress at most; two of the largest at least


class PackSender:
    """A bounded queue (one pack waits while others are sent) in front of a storage. The first failure ends it.

    Where a call is a round trip, some packs are sent while others are read back; else one at a time is as fast.
    """

    def __init__(
        self,
        storage: Storage,
        device: str,
        sleep: Callable[[float], None],
        stored: Callable[[FinishedPack], None],
        pack_bytes: int,
    ) -> None:
        """``pack_bytes``: how large packs become. ``stored`` is called with each pack that is stored and proved; the
        sender no longer needs its parts."""
        self._storage = storage
        self._device = device
        self._sleep = sleep
        self._stored = stored
        self._queue: queue.Queue[Optional[FinishedPack]] = queue.Queue(maxsize=1)
        self._failure: Optional[BaseException] = None
        self._directories: Dict[str, bool] = {}
        self.sent: Dict[str, int] = {}
        self.sent_bytes = 0  # known at each moment of a run that may have a hundred thousand packs
        self._lock = threading.Lock()
        count = max(2, min(_SENDERS, _SENDERS_BYTES // pack_bytes)) if storage.parallel_calls > 1 else 1
        self._threads = [threading.Thread(target=self._run, name="pack sender", daemon=True) for dummy in range(count)]
        for thread in self._threads:
            thread.start()

    def send(self, pack: FinishedPack) -> None:
        """Hand over a pack; waits while the queue is full. Raises what went wrong with an earlier one."""
        while True:
            self.check()
            try:
                self._queue.put(pack, timeout=0.2)
                return
            except queue.Full:
                continue

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Wait until everything is stored and read back; raise what went wrong."""
        while any(thread.is_alive() for thread in self._threads):
            try:
                self._queue.put(None, timeout=0.2)
                break
            except queue.Full:
                continue
        for thread in self._threads:
            thread.join()
        self.check()

    def abandon(self) -> None:
        """End after the pack that is being sent, without raising."""
        self._failure = self._failure or RunCancelled()
        with contextlib.suppress(queue.Full):  # a full queue wakes it as well
            self._queue.put_nowait(None)
        for thread in self._threads:
            thread.join(timeout=60)

    def _run(self) -> None:
        try:
            while self._failure is None:
                try:
                    pack = self._queue.get(timeout=0.2)
                except queue.Empty:
                    continue
                if pack is None:
                    self._end_next()
                    return
                self._store(pack)
        except BaseException as error:  # handed to the thread that asks; nothing is lost
            self._failure = error

    def _end_next(self) -> None:
        """Pass the order to stop on to the next thread; a pack that fills the queue instead is no longer needed."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)

    def _store(self, pack: FinishedPack) -> None:
        path = fmt.pack_path(self._device, pack.name)
        directory = path.rsplit("/", 1)[0]
        if directory not in self._directories:
            self._storage.make_directory(directory)
            self._directories[directory] = True
        store_pack(self._storage, path, pack.parts, pack.fingerprint, self._sleep)
        with self._lock:
            self.sent[pack.name] = pack.size_bytes
            self.sent_bytes += pack.size_bytes
        self._stored(pack)


def store_pack(
    storage: Storage,
    path: str,
    parts: Sequence[Union[bytes, memoryview]],
    wanted: bytes,
    sleep: Callable[[float], None],
) -> None:
    """Like :func:`store_verified`; a sweep on another host may take a file that is half written, then it goes again."""
    for dummy in range(_TRIES - 1):
        try:
            return store_verified(storage, path, parts, wanted, sleep)
        except StorageNotFound:
            storage.make_directory(path.rpartition("/")[0])
    return store_verified(storage, path, parts, wanted, sleep)


def store_verified(
    storage: Storage,
    path: str,
    parts: Sequence[Union[bytes, memoryview]],
    wanted: bytes,
    sleep: Callable[[float], None],
    *,
    replace: bool = True,
) -> None:
    """Store ``parts`` as ``path`` and prove it by reading back; retries what the contract says may be retried.

    :param wanted: the fingerprint of the parts, from when they were made: memory may fail while they wait.
    :param replace: whether other bytes of this name give way, which is right where the name is that of the content.
    :raises StorageExists: when other bytes have the name and ``replace`` is false.
    """
    bound_bytes = sum(len(part) for part in parts) + 1  # a hostile server may have no end to send
    for attempt in range(_TRIES):
        try:
            try:
                storage.put(path, parts)
            except StorageExists:
                # Named by its content: a run that was killed stored the same bytes, or a part went wrong before.
                if _holds(storage, path, wanted, bound_bytes):
                    return
                if not replace:
                    raise
                storage.put(path, parts, replace=True)
            storage.forget_cache(path)
            if not _holds(storage, path, wanted, bound_bytes):
                raise StorageReadBackDiffers(path=path, storage=storage.description)
            return
        except EngineError as error:
            if not getattr(error, "retry", False) or attempt == _TRIES - 1:
                raise
            sleep(min(60.0, 0.5 * 4**attempt))


def _holds(storage: Storage, path: str, wanted: bytes, bound_bytes: int) -> bool:
    """Whether ``path`` holds what was to be stored; one false read does not say that it does not."""
    if fingerprint(storage.read(path, 0, bound_bytes)) == wanted:
        return True
    storage.forget_cache(path)
    return fingerprint(storage.read(path, 0, bound_bytes)) == wanted
