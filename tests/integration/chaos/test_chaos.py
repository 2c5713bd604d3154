# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to a server in the middle of a run: success, or one clear error; earlier images whole; the next run
succeeds and sends nothing twice; nothing is left behind for ever.

``CHAOS_SEED`` and ``CHAOS_RUNS`` choose the cases; each prints its seed, and which fault comes with it is decided by the
first one.
"""

from __future__ import annotations

import functools
import os
import random
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from engine.errors import StorageFailed, StorageUnreachable
from support.chaos import Chaos, Moments, Runs, make_quick
from support.chaos_servers import ChaosServer, chaos_server

KINDS = ("sftp", "smb")
OPERATIONS = 400  # that a run and its rollover take, roughly
SEED = int(os.environ.get("CHAOS_SEED", "20261124"))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    make_quick(monkeypatch)
    return Runs(monkeypatch)


@pytest.fixture(params=KINDS)
def server(request: Any, tmp_path: Path) -> Iterator[ChaosServer]:
    with chaos_server(request.param, tmp_path) as server:
        yield server


# -- what happens -----------------------------------------------------------------------------------------------------


def later(seconds: float, work: Callable[[], None]) -> None:
    thread = threading.Timer(seconds, work)
    thread.daemon = True
    thread.start()
    AT_WORK.append(thread)


AT_WORK: List[threading.Timer] = []


def killed(chaos: Chaos) -> None:
    """The server dies and does not come back while the run lasts."""
    chaos.server.kill()


def restarted(chaos: Chaos) -> None:
    chaos.server.kill()
    chaos.limit_seconds = 20.0
    later(chaos.chance.uniform(0.1, 1.0), chaos.server.start)


def line_cut(chaos: Chaos) -> None:
    chaos.server.proxy.cut()


def line_cut_and_mended(chaos: Chaos) -> None:
    chaos.server.proxy.cut()
    later(chaos.chance.uniform(0.1, 1.0), chaos.server.proxy.mend)


def line_cut_and_mended_at_once(chaos: Chaos) -> None:
    chaos.server.proxy.cut()
    chaos.server.proxy.mend()


def line_cut_in_the_middle(chaos: Chaos) -> None:
    chaos.server.proxy.cut_after(chaos.chance.randrange(200_000))


def line_silent(chaos: Chaos) -> None:
    chaos.server.proxy.silence()


def disk_full(chaos: Chaos) -> None:
    chaos.server.fill(chaos.chance.choice([0, 20_000, 200_000, 400_000]))


def disk_full_then_freed(chaos: Chaos) -> None:
    chaos.server.fill(chaos.chance.choice([0, 100_000]))
    later(chaos.chance.uniform(0.02, 0.5), chaos.server.free)


def read_only(chaos: Chaos) -> None:
    # Not here and now: the run may be in the middle of a file, and waits for us.
    later(0.0, functools.partial(chaos.server.protect, True))


def password_changed(chaos: Chaos) -> None:
    chaos.server.change_password()
    if chaos.chance.random() < 0.7:
        chaos.server.end_sessions()


def session_expired(chaos: Chaos) -> None:
    chaos.server.expire_sessions()


def sessions_killed(chaos: Chaos) -> None:
    chaos.server.end_sessions()


def server_clock_jumps(chaos: Chaos) -> None:
    chaos.server.date_files(chaos.below, chaos.chance.choice([0.0, 1.2e9, 4e9]))


def our_clock_jumps(chaos: Chaos) -> None:
    chaos.now += chaos.chance.choice([-400, -2, 2, 400]) * 24 * 3600.0


FAULTS: Dict[str, Callable[[Chaos], None]] = {
    fault.__name__: fault
    for fault in (
        killed,
        restarted,
        line_cut,
        line_cut_and_mended,
        line_cut_in_the_middle,
        line_silent,
        disk_full,
        disk_full_then_freed,
        read_only,
        password_changed,
        session_expired,
        sessions_killed,
        server_clock_jumps,
        our_clock_jumps,
    )
}
MUST_SUCCEED = {"restarted", "line_cut_and_mended", "line_cut_in_the_middle", "session_expired", "sessions_killed"}
MUST_SUCCEED |= {"server_clock_jumps", "our_clock_jumps"}
BRIDGED_SECONDS = 20.0


def run_case(server: ChaosServer, runs: Runs, fault: str, seed: int) -> str:
    """Three images, then ``fault`` at a moment of the fourth run and its rollover; then what must hold."""
    started = time.monotonic()
    limit_seconds = BRIDGED_SECONDS if fault in MUST_SUCCEED else 1.5
    chaos = Chaos(server, seed, runs, limit_seconds)
    chaos.prepare()
    moments = Moments(chaos.chance.randrange(1, OPERATIONS), lambda: FAULTS[fault](chaos))
    print("%s %s seed %d at operation %d" % (server.kind, fault, seed, moments.at), flush=True)
    chaos.fail(moments, chaos.image_and_roll_over)
    while AT_WORK:
        AT_WORK.pop().join()
    if fault in MUST_SUCCEED:
        assert (chaos.error, chaos.warning) == (None, None)
    chaos.check()
    failed = chaos.error or chaos.warning
    end = "success" if failed is None else "%s %s" % (failed.code, failed)
    print("  %s; %.1f s, %d operations" % (end, time.monotonic() - started, moments.count), flush=True)
    return end


def cases(kind: str, count: int) -> List[Tuple[str, int]]:
    """Faults in a drawn order, each as often as the others; where few are run, the kinds share them."""
    names: List[str] = []
    chance = random.Random(SEED)
    while len(names) < count:
        drawn = chance.sample(sorted(FAULTS), len(FAULTS))
        half = KINDS.index(kind) * len(drawn) // len(KINDS)
        names += drawn[half:] + drawn[:half]
    return [(name, SEED + number) for number, name in enumerate(names[:count])]


def run_cases(server: ChaosServer, runs: Runs, count: int) -> None:
    failures: List[str] = []
    for fault, seed in cases(server.kind, int(os.environ.get("CHAOS_RUNS", str(count)))):
        try:
            run_case(server, runs, fault, seed)
        except Exception:
            print(traceback.format_exc(), flush=True)
            failures.append("%s with CHAOS_SEED=%d" % (fault, seed))
            server.recover()
    assert failures == []


@pytest.mark.parametrize("server", ["sftp", pytest.param("smb", marks=pytest.mark.long)], indirect=True)
def test_chaos(server: ChaosServer, runs: Runs) -> None:
    run_cases(server, runs, 6)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_chaos_at_length(server: ChaosServer, runs: Runs) -> None:
    run_cases(server, runs, 200)


@pytest.mark.long
def test_a_line_that_is_cut_for_half_a_minute(server: ChaosServer, runs: Runs) -> None:
    chaos = Chaos(server, SEED, runs, 120.0)
    chaos.prepare()

    def cut() -> None:
        server.proxy.cut()
        later(30.0, server.proxy.mend)

    started = time.monotonic()
    chaos.fail(Moments(200, cut), chaos.image_and_roll_over)
    assert (chaos.error, chaos.warning) == (None, None)
    assert 30 < time.monotonic() - started < 60
    chaos.check()


# -- a failure at each moment in turn ---------------------------------------------------------------------------------


def fail_once(dummy_chaos: Chaos) -> None:
    """Before an operation, or after it: then the answer is lost."""
    raise StorageUnreachable(storage="the server", reason="a fault of this test")


def fail_once_in_the_server(dummy_chaos: Chaos) -> None:
    raise StorageFailed(storage="the server", operation="work", path="this", reason="a fault of this test")


IN_TURN = {"unreachable": fail_once, "failed": fail_once_in_the_server, "line cut": line_cut_and_mended_at_once}


def run_in_turn(server: ChaosServer, runs: Runs, failure: str, first: int, step: int) -> None:
    """Fail at every ``step``-th moment of a run and its rollover from the moment ``first``."""
    base = Chaos(server, SEED, runs, BRIDGED_SECONDS)
    base.prepare(4)
    moment, last = first, first
    while moment <= last:
        chaos = base.copy(moment)
        moments = Moments(moment, functools.partial(IN_TURN[failure], chaos))
        chaos.fail(moments, chaos.image_and_roll_over)
        assert chaos.error is None, moment
        # A server that fails to remove a directory is not asked again; the next rollover removes it.
        assert chaos.warning is None or failure == "failed", moment
        chaos.check_next_run()
        chaos.remove()
        last = max(last, moments.count - 20)
        moment += step
    print("%s: %s at %d moments" % (server.kind, failure, 1 + (last - first) // step), flush=True)


@pytest.mark.parametrize("failure", sorted(IN_TURN))
def test_failures_at_some_moments(server: ChaosServer, runs: Runs, failure: str) -> None:
    run_in_turn(server, runs, failure, 1 + SEED % 200, 200)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("failure", sorted(IN_TURN))
def test_failures_at_every_moment(server: ChaosServer, runs: Runs, failure: str) -> None:
    run_in_turn(server, runs, failure, 1, int(os.environ.get("CHAOS_STEP", "1")))
