# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells of its progress: even within a segment, never back, each phase with its own rate."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from engine.image.writing.waiting import Waiting
from engine.restore.target import Target
from engine.verbs import run_status
from engine.verbs.dispatch import run_job
from engine.verbs.overdue import Pace
from engine.verbs.run_status import RunStatus
from support.imaging import job

MIB = 1 << 20


class Clock:
    """A second, or another step, passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.step = 1.0

    def monotonic(self) -> float:
        self.now += self.step
        return self.now

    def __getattr__(self, name: str) -> Any:
        import time

        return getattr(time, name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(run_status, "time", clock)
    return clock


def told(storage: Path, verb: str, **settings: Any) -> List[Dict[str, Any]]:
    events: List[Dict[str, Any]] = []
    run_job(job(storage, verb, **settings), events.append, lambda: False)
    return [event for event in events if event["event"] == "status"]


def disk_of(path: Path, seed: int, mib: int) -> Path:
    path.write_bytes(random.Random(seed).getrandbits(8 * MIB).to_bytes(MIB, "big") * mib)
    return path


def reading(events: List[Dict[str, Any]]) -> List[Tuple[int, int]]:
    return [(event["bytes_done"], event["bytes_in_use"]) for event in events if event["phase"] == "reading"]


@pytest.mark.usefixtures("clock")
def test_disks_smaller_than_a_segment_are_seen_to_move(tmp_path: Path) -> None:
    one, two = disk_of(tmp_path / "one", 1, 16), disk_of(tmp_path / "two", 2, 9)
    drives = [str(one), str(two)]
    steps = [0, 4, 8, 12, 16, 16, 20, 24, 25]  # each disk begins with a word of its own
    for dummy in ("new", "unchanged"):
        events = reading(told(tmp_path / "storage", "image", drives=drives, limit_read_rate=0))
        assert events == [(done * MIB, 25 * MIB) for done in steps]

    with open(one, "r+b") as disk:
        for place in range(0, 16, 3):
            disk.seek(place * MIB)
            disk.write(b"changed")
    events = reading(told(tmp_path / "storage", "image", drives=drives, limit_read_rate=0))
    assert events == [(done * MIB, 25 * MIB) for done in steps], "what is read a second time counts once"


def test_the_rate_of_a_phase_is_its_own(clock: Clock) -> None:
    events: List[Dict[str, Any]] = []
    status = RunStatus(events.append, lambda: False)
    clock.now += 100  # a plan is made
    status.progress("reading", 0, 1000)
    clock.now += 9
    status.progress("reading", 500, 1000)
    assert events[-1]["rate_bytes_per_second"] == 50
    assert events[-1]["remaining_seconds"] == 10
    clock.now += 9
    status.progress("reading", 1000, 1000)
    clock.now += 4
    status.progress("writing", 50, 1000)
    assert events[-1]["rate_bytes_per_second"] == 10, "5 s since the last word of the phase before"
    assert events[-1]["remaining_seconds"] == 95


def test_a_phase_is_told_at_once_and_a_wait_names_the_one_before() -> None:
    events: List[Dict[str, Any]] = []
    status = RunStatus(events.append, lambda: False)
    status.notices.waiting("the storage", "It is away.")
    assert (events[-1]["phase"], events[-1]["phase_before"]) == ("waiting for the storage", "working")
    for phase in ("comparing", "comparing", "writing", "writing"):
        status.progress(phase, 0, 1000)
    assert [event["phase"] for event in events if "bytes_done" in event] == ["comparing", "writing"]
    status.notices.waiting("the storage", "It is away.")
    assert events[-1]["phase_before"] == "writing"


def test_a_restore_says_that_it_writes_before_the_table_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = disk_of(tmp_path / "disk", 3, 4)
    told(tmp_path / "storage", "image", drives=[str(disk)], limit_read_rate=0)
    phases: List[str] = []
    write, seen = Target.write, []

    def watched(target: Target, offset_bytes: int, data: bytes) -> None:
        seen.append(phases[-1])
        write(target, offset_bytes, data)

    monkeypatch.setattr(Target, "write", watched)

    def heard(event: Dict[str, Any]) -> None:
        if event["event"] == "status":
            phases.append(event["phase"])

    target = tmp_path / "target"
    target.write_bytes(b"old!" * MIB)
    run_job(job(tmp_path / "storage", "restore", map={"disk0": str(target)}, overwrite=True), heard, lambda: False)
    assert seen[0] == "writing"
    assert set(seen) == {"writing", "reading back"}


@pytest.mark.usefixtures("clock")
def test_a_run_that_takes_longer_than_a_day_warns_once_and_its_result_says_so() -> None:
    events: List[Dict[str, Any]] = []
    status = RunStatus(events.append, lambda: False)
    status.watch(Pace(None, 2e6, 0.0))
    for number in range(200):
        status.progress("reading", number * 100_000, 1 << 40)
    warnings = [event["message"] for event in events if event["event"] == "warning"]
    assert warnings == status.late
    assert len(warnings) == 1
    assert status.late_after(90_000.0) == warnings


@pytest.mark.usefixtures("clock")
def test_a_forecast_that_was_wrong_is_not_in_the_result() -> None:
    status = RunStatus(lambda dummy_event: None, lambda: False)
    status.watch(Pace(None, 2e6, 0.0))
    for number in range(200):
        status.progress("reading", number * 100_000, 1 << 40)
    assert status.late
    assert status.late_after(3600.0) == []


@pytest.mark.usefixtures("clock")
def test_what_was_waited_before_the_reading_is_not_its_reason() -> None:
    """A preflight waited 1000 s for a processor; while it reads, nothing waits."""
    status = RunStatus(lambda dummy_event: None, lambda: False)
    status.waiting = Waiting(lambda: 1000.0)
    status.waiting.left_disk(1000.0)
    status.watch(Pace(None, 2e6, 0.0))
    for number in range(200):
        status.progress("reading", number * 100_000, 1 << 40)
    assert "storage_check" in status.late[0]


@pytest.mark.usefixtures("clock")
def test_a_run_that_ends_in_time_does_not_warn() -> None:
    events: List[Dict[str, Any]] = []
    status = RunStatus(events.append, lambda: False)
    status.watch(Pace(None, 2e6, 0.0))
    for number in range(200):
        status.progress("reading", number * 100 * MIB, 1 << 36)
    assert status.late == []
    assert not [event for event in events if event["event"] == "warning"]


def test_an_image_that_will_pass_its_window_says_so(clock: Clock, tmp_path: Path) -> None:
    clock.step = 100.0
    drives = [str(disk_of(tmp_path / "one", 1, 24))]
    heard: List[Dict[str, Any]] = []
    night = {"window": "22:00-05:00", "timestamp": "2026-11-30_04-59-00", "limit_read_rate": 0}
    run_job(job(tmp_path / "storage", "image", drives=drives, **night), heard.append, lambda: False)
    (warning,) = [event["message"] for event in heard if event["event"] == "warning"]
    assert "imaging_window (22:00-05:00)" in warning
