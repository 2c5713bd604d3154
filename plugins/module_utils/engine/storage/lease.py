# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One writer per device: a lease that is renewed by a heartbeat and aged by the observer's own clock.

No correctness rests on it: it keeps two runs from doing the same work. A lease that does not change for
``ttl_seconds`` is dead, and so is one whose process has ended on this machine.

A put that replaces the lease follows a look that showed it ours or dead, and is not repeated after an outage without
another look: another run may have taken over in the meantime.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from typing import Any, Callable, Dict, Optional

from ..errors import (
    EngineError,
    LeaseHeld,
    LeaseLost,
    StorageError,
    StorageExists,
    StorageNotFound,
    StoragePermissionDenied,
    StorageUnreachable,
)
from ..host.process import boot_id, pid_namespace, process_start
from .contract import Storage, check_is_file_or_absent
from .notices import NO_NOTICES, SILENT_SECONDS, Notices, Outage

LEASE_NAME = "lease.json"
_MAX_BYTES = 4096
_LOOKS = 4


class _TooLate(Exception):
    """So long after the last look another run may have the lease."""


class Lease:
    """Held from :meth:`acquire` to :meth:`release`.

    An account that may only create can neither renew nor take over a lease: then the run continues without one.
    """

    def __init__(
        self,
        storage: Storage,
        device: str,
        *,
        ttl_seconds: float = 90.0,
        heartbeat_seconds: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        notices: Notices = NO_NOTICES,
    ) -> None:
        self._storage = storage
        self._device = device
        self._path = "%s/%s" % (device, LEASE_NAME)
        self._ttl_seconds = ttl_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._sleep = sleep
        self._holder = secrets.token_hex(16)
        self._counter = 0
        self._last_beat = 0.0
        self._is_permitted = True
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None
        self._outage = Outage(notices, "another run")

    @property
    def holder(self) -> str:
        """The random id of this lease, also in its file."""
        return self._holder

    @property
    def is_permitted(self) -> bool:
        """Whether the account may replace the lease: without that it is not held, and other runs may be in progress."""
        return self._is_permitted

    def acquire(self, wait_seconds: float = 120.0, *, gives_way: bool = False) -> None:
        """Take the lease; waits for a foreign one to end or to die, and tells so.

        :param gives_way: do not wait for one whose holder is seen to live.
        :raises LeaseHeld: when it is alive after ``wait_seconds``.
        """
        try:
            self._take(wait_seconds, gives_way)
        except BaseException:
            self._outage.give_up()
            raise
        self._outage.over()

    def _take(self, wait_seconds: float, gives_way: bool) -> None:
        started = self._clock()
        seen: Optional[bytes] = None
        seen_since = looked = started
        tries_left = _LOOKS
        while True:
            content = self._read()
            if content is None:
                if self._create():
                    break
                check_is_file_or_absent(self._storage, self._path)
                if self._clock() - started > wait_seconds:
                    self._put_new()  # raises what stands in the way
                    break
                self._pause()
                continue
            now = self._clock()
            is_renewed = seen is not None and content != seen
            # While the storage was away or this machine slept, the holder could not be seen: that does not mean that it
            # is dead.
            if content != seen or now - looked > self._ttl_seconds / 2:
                seen, seen_since = content, now
            looked = now
            if self._is_dead(content) or now - seen_since > self._ttl_seconds:
                if self._read_again() != content:
                    continue  # it was read falsely, or its holder lives
                tries_left -= 1
                if self._beat_after_look(is_last=tries_left <= 0) and not self._is_permitted:
                    return
                if self._holder_of(self._read() or b"") == self._holder:
                    break
                continue
            if self._clock() - started > wait_seconds or (gives_way and is_renewed):
                raise LeaseHeld(
                    holder=self._describe(content), device=self._device, wait_seconds=int(self._ttl_seconds)
                )
            if now - started > SILENT_SECONDS:
                self._tell(content, wait_seconds)
            self._pause()
        self._thread = threading.Thread(target=self._run, name="lease heartbeat", daemon=True)
        self._thread.start()

    def _tell(self, content: bytes, wait_seconds: float) -> None:
        self._outage.tell(
            "Another run (%s) holds the lease on %s; waiting up to %d s for it to end or for its lease to expire."
            % (self._describe(content), self._device, wait_seconds)
        )

    def _pause(self) -> None:
        self._sleep(min(1.0, self._ttl_seconds / 10))

    def follow(self, device: str) -> None:
        """Continue in the directory ``device``, to which the holder has just moved that of the lease."""
        self._device = device
        self._path = "%s/%s" % (device, LEASE_NAME)

    def forgo(self) -> None:
        """Continue without a lease, as an account has to that could not give it back."""
        self._is_permitted = False

    def check(self) -> None:
        """Prove that the lease is ours; one that has grown old unnoticed is renewed.

        :raises LeaseLost: when another run took over.
        """
        for tries_left in range(_LOOKS - 1, -1, -1):
            if not self._is_permitted:
                return
            content = self._read()
            holder = self._holder_of(content or b"")
            if holder != self._holder:
                content = self._read_again()
                holder = self._holder_of(content or b"")
            if holder != self._holder:
                raise LeaseLost(device=self._device, holder=self._describe(content or b""))
            if self._clock() - self._last_beat <= self._ttl_seconds or self._beat_after_look(is_last=not tries_left):
                return

    def release(self) -> None:
        """Give the lease back; where deleting is not permitted the file says that it is free.

        Failures are not raised: an image may be committed, and a lease that is not renewed expires.
        """
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        try:
            self._give_back()
        except EngineError:
            return

    def _give_back(self) -> None:
        if self._holder_of(self._read() or b"") != self._holder:
            return
        try:
            self._storage.once.delete(self._path)
        except StoragePermissionDenied:
            self._storage.once.put(self._path, [self._content(released=True)], replace=True)

    def _run(self) -> None:
        while not self._stop.wait(self._heartbeat_seconds):
            try:
                if not self._is_ours(self._read()) and not self._is_ours(self._read_again()):
                    return  # taken over: check() will say so
                self._beat()
            except (EngineError, _TooLate):
                continue  # the storage is away; check() measures for how long
            if not self._is_permitted:
                return

    def _create(self) -> bool:
        try:
            self._put_new()
        except (StorageExists, StorageNotFound):
            return False  # taken, or a sweep took the half-written file
        return True

    def _put_new(self) -> None:
        begun = self._clock()
        self._storage.put(self._path, [self._content()])
        self._last_beat = begun

    def _beat_after_look(self, is_last: bool) -> bool:
        """Beat; false if it failed and the caller has to look again, because another run may have come first."""
        try:
            self._beat()
        except _TooLate:
            if is_last:
                reason = "the lease could not be renewed in time"
                raise StorageUnreachable(storage=self._storage.description, reason=reason) from None
            return False
        except StorageError as error:
            if is_last or not error.retry:
                raise
            self._pause()
            return False
        return True

    def _beat(self) -> None:
        """Replace what was looked at just now."""
        begun = self._clock()
        # No run takes over before the last beat is as old as a lease may become. After that the check made just before
        # must do.
        until = max(self._last_beat + self._ttl_seconds, begun + self._ttl_seconds / 2)
        self._counter += 1
        try:
            self._replace(until)
        except StorageNotFound:  # a sweep took the half-written file
            self._replace(until)
        except StoragePermissionDenied:
            self._is_permitted = False
        self._last_beat = begun

    def _replace(self, until: float) -> None:
        """:raises _TooLate: when connecting and waiting for others took until then; nothing was sent."""

        def deadline() -> None:
            if self._clock() > until:
                raise _TooLate

        self._storage.once.put(self._path, [self._content()], replace=True, deadline=deadline)

    def _content(self, released: bool = False) -> bytes:
        return json.dumps(
            {
                "format": "plantops.imaging lease",
                "holder": self._holder,
                "host": socket.gethostname(),
                "boot": boot_id(),
                "pid": os.getpid(),
                "pid_namespace": pid_namespace(),
                "process": process_start(os.getpid()),
                "counter": self._counter,
                "released": released,
            },
            sort_keys=True,
        ).encode("ascii")

    def _is_ours(self, content: Optional[bytes]) -> bool:
        return self._holder_of(content or b"") == self._holder

    def _read_again(self) -> Optional[bytes]:
        """Past the cache: one false read neither declares a holder dead nor a lease lost."""
        with contextlib.suppress(StorageNotFound):
            self._storage.forget_cache(self._path)
        return self._read()

    def _read(self) -> Optional[bytes]:
        try:
            return self._storage.get(self._path, 0, _MAX_BYTES)
        except StorageNotFound:
            return None

    @staticmethod
    def _parse(content: bytes) -> Dict[str, Any]:
        try:
            document = json.loads(content.decode("ascii"))
        except (ValueError, RecursionError):
            return {}  # not ours to understand: it ages like any foreign lease
        return document if isinstance(document, dict) else {}

    def _holder_of(self, content: bytes) -> str:
        holder = self._parse(content).get("holder")
        return holder if isinstance(holder, str) else ""

    def _describe(self, content: bytes) -> str:
        # Only what can't be nested is shown: a list as deep as it could be read may be too deep to be written.
        document = {name: value for name, value in self._parse(content).items() if isinstance(value, (str, int))}
        text = "process %s on %s" % (str(document.get("pid", "?"))[:10], str(document.get("host", "?"))[:64])
        return "".join(character if character.isprintable() else "?" for character in text)

    def _is_dead(self, content: bytes) -> bool:
        document = self._parse(content)
        if document.get("released") is True:
            return True
        boot, pid = document.get("boot"), document.get("pid")
        if not boot or boot != boot_id() or not isinstance(pid, int) or not 0 < pid < 1 << 31:
            return False
        if document.get("pid_namespace", pid_namespace()) != pid_namespace():
            return False  # a container on the same kernel: its numbers mean nothing here
        started = process_start(pid)
        return started is not None and document.get("process") != started
