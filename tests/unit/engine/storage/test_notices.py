# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing waits in silence: a storage that is away and a lease of a dead run are told within ten seconds."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from typing import Any, Dict, List, Tuple

import pytest
from engine.entries import Entry
from engine.errors import LeaseHeld, StorageLoginCut, StorageLoginFailed, StorageServerNotFound, StorageUnreachable
from engine.storage import notices as notices_module
from engine.storage.lease import Lease
from engine.storage.notices import Notices
from engine.storage.retry import RetryingStorage
from support.paths import MODULE_UTILS
from support.storages import MemoryStorage


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Heard:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.told: List[Tuple[str, str, float]] = []
        self.over = 0
        self.notices = Notices(self._waiting, self._going_on)

    def _waiting(self, what: str, sentence: str) -> None:
        self.told.append((what, sentence, self._clock.now))

    def _going_on(self) -> None:
        self.over += 1


class Failing(MemoryStorage):
    """Fails until the clock says so much, each time with the same error."""

    def __init__(self, error: Exception, clock: Clock, until: float) -> None:
        super().__init__()
        self._error, self._clock, self._until = error, clock, until
        self.calls = 0

    def list(self, path: str) -> List[Entry]:
        self.calls += 1
        if self._clock.now < self._until:
            raise self._error
        return super().list(path)


def retrying(error: Exception, until: float, limit: float = 3600.0) -> Tuple[Failing, Heard, RetryingStorage]:
    clock = Clock()
    heard = Heard(clock)
    inner = Failing(error, clock, until)
    return inner, heard, RetryingStorage(inner, limit, sleep=clock.sleep, clock=clock, notices=heard.notices)


AWAY = StorageUnreachable(storage="it", reason="Connection refused")


def test_an_outage_is_told_once_and_its_end_too() -> None:
    dummy, heard, storage = retrying(AWAY, 60.0)
    storage.list("")
    assert [what for what, sentence, when in heard.told] == ["the storage"]
    assert heard.told[0][2] < 10
    assert "Connection refused" in heard.told[0][1]
    assert "120 s" in heard.told[0][1]
    assert heard.over == 1


def test_a_moment_is_not_worth_a_word() -> None:
    dummy, heard, storage = retrying(AWAY, 0.4)
    storage.list("")
    assert (heard.told, heard.over) == ([], 0)


def test_each_outage_is_told() -> None:
    inner, heard, storage = retrying(AWAY, 60.0)
    storage.list("")
    inner._until = inner._clock.now + 60
    storage.list("")
    assert len(heard.told) == heard.over == 2
    assert "3600 s" in heard.told[1][1], "a storage that has answered is waited for as long as the settings say"


def test_who_gives_up_says_why_and_not_that_it_goes_on() -> None:
    dummy, heard, storage = retrying(AWAY, 10000.0)
    with pytest.raises(StorageUnreachable):
        storage.list("")
    assert (len(heard.told), heard.over) == (1, 0)


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (StorageLoginFailed(storage="s", username="u", reason="r"), 1),
        (StorageLoginCut(storage="s", username="u", reason=""), 4),
        (StorageServerNotFound(server="s", storage="s", reason="r"), 4),
    ],
)
def test_what_repeating_can_not_mend_is_not_repeated_for_long(error: Exception, calls: int) -> None:
    inner, dummy, storage = retrying(error, 10000.0)
    with pytest.raises(type(error)):
        storage.list("")
    assert inner.calls == calls
    assert inner._clock.now < 15


def test_a_name_that_was_known_before_is_waited_for() -> None:
    inner, dummy, storage = retrying(StorageServerNotFound(server="s", storage="s", reason="r"), 0.0)
    storage.list("")
    inner._until = 300.0
    storage.list("")
    assert inner.calls > 4


def test_an_address_where_nothing_answers_is_told_while_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices_module, "_SILENT_CONNECT_SECONDS", 0.1)
    heard = Heard(Clock())

    class Slow(MemoryStorage):
        def list(self, path: str) -> List[Entry]:
            deadline = time.monotonic() + 10
            while not heard.told and time.monotonic() < deadline:
                time.sleep(0.01)
            return super().list(path)

    storage = RetryingStorage(Slow(), 3600.0, notices=heard.notices)
    storage.list("")
    storage.list("")
    assert len(heard.told) == heard.over == 1


# -- leases ------------------------------------------------------------------------------------------------------------


def test_a_dead_runs_lease_is_told() -> None:
    storage, clock = MemoryStorage(), Clock()
    storage.make_directory("pc")
    storage.put("pc/lease.json", [json.dumps({"holder": "x", "host": "line-7", "pid": 42}).encode()])
    heard = Heard(clock)
    lease = Lease(storage, "pc", clock=clock, sleep=clock.sleep, notices=heard.notices)
    lease.acquire(wait_seconds=135)
    try:
        assert [what for what, sentence, when in heard.told] == ["another run"]
        assert heard.told[0][2] < 10
        assert "process 42 on line-7" in heard.told[0][1]
        assert "135 s" in heard.told[0][1]
        assert heard.over == 1
        assert clock.now >= 90
    finally:
        lease.release()


def test_a_living_runs_lease_ends_with_its_error() -> None:
    storage, clock = MemoryStorage(), Clock()
    storage.make_directory("pc")
    heard = Heard(clock)

    def beat(seconds: float) -> None:
        clock.sleep(seconds)
        content = json.dumps({"holder": "x", "counter": clock.now}).encode()
        storage.put("pc/lease.json", [content], replace=True)

    storage.put("pc/lease.json", [b"{}"])
    with pytest.raises(LeaseHeld):
        Lease(storage, "pc", clock=clock, sleep=beat, notices=heard.notices).acquire(wait_seconds=20)
    assert (len(heard.told), heard.over) == (1, 0)


# -- over the command line ---------------------------------------------------------------------------------------------


def test_a_dead_address_is_told_in_events_within_ten_seconds() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        url = "sftp://127.0.0.1:%d/x" % port
        storage = {"url": url, "username": "u", "password": "p", "host_key": "accept-new", "time_limit_seconds": 8}
        job = {"verb": "check", "device": "pc", "storage": storage}
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.agent.command"],
            cwd=str(MODULE_UTILS),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
        events: List[Dict[str, Any]] = [dict(json.loads(line), at=time.monotonic() - began) for line in process.stdout]
        assert process.wait(30) == 1
        process.stdout.close()
    warned = [event for event in events if event["event"] == "warning"]
    assert len(warned) == 1
    assert "8 s" in warned[0]["message"]
    assert warned[0]["at"] < 10
    assert [event["phase"] for event in events if event["event"] == "status"] == ["waiting for the storage"]
    assert events[-1]["code"] == "S101"
