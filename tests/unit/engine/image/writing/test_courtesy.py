# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""limit_read_rate auto on a simulated disk: fast when nobody else uses it, small and rare reads when somebody does."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest
from engine.disk.source import MemorySource
from engine.errors import RunCancelled
from engine.host.linux_activity import Activity
from engine.image.writing.courtesy import Courtesy
from engine.image.writing.rates import PacedSource

MB = 1_000_000
DISK_BYTES_PER_SECOND = 500 * MB


class Plant:
    """A clock and a disk; ``rate_of`` says what others read and write on it a second, at which time."""

    is_rotational = False

    def __init__(self, rate_of: Any) -> None:
        self.now = 0.0
        self.rate_of = rate_of
        self.looked = 0.0
        self.late = 0.0  # how much later than asked a pause and a read end: others have the processors
        self.left = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds <= 0.2, "cancel must be looked at"
        self.now += seconds + self.late

    def left_disk(self, seconds: float) -> None:
        self.left += seconds

    def others(self) -> Activity:
        seconds = self.now - self.looked
        self.looked = self.now
        return Activity(seconds, int(self.rate_of(self.now) * seconds))

    def courtesy(self, **more: Any) -> Courtesy:
        return Courtesy(self, clock=self.clock, sleep=self.sleep, **more)  # type: ignore[arg-type]

    def read(self, courtesy: Courtesy, seconds: float) -> Tuple[float, List[int]]:
        """Read for some seconds; return bytes a second and the sizes asked for."""
        started, total = self.now, 0
        sizes = []
        while self.now - started < seconds:
            size = courtesy.admit(1 << 20)
            took = size / DISK_BYTES_PER_SECOND + self.late
            self.now += took
            courtesy.after_read(size, took)
            total += size
            sizes.append(size)
        return total / (self.now - started), sizes


def test_a_quiet_disk_is_read_fast_after_seconds() -> None:
    plant = Plant(lambda now: 4000)  # the log of a system that idles
    courtesy = plant.courtesy()
    plant.read(courtesy, 4)
    rate, sizes = plant.read(courtesy, 5)
    assert rate > 0.9 * DISK_BYTES_PER_SECOND
    assert set(sizes) == {1 << 20}


def test_a_disk_in_use_is_read_at_the_floor_in_small_pieces() -> None:
    plant = Plant(lambda now: 40_000)  # ten small writes a second
    courtesy = plant.courtesy()
    plant.read(courtesy, 2)
    rate, sizes = plant.read(courtesy, 20)
    assert 7.5 * MB < rate < 8.5 * MB
    assert max(sizes) == 128 << 10


@pytest.mark.parametrize(("floor", "least"), [(1e6, 0.9e6), (2e6, 1.9e6), (4e6, 3.8e6)])
def test_the_floor_holds_where_pauses_and_reads_end_late(floor: float, least: float) -> None:
    """Others use the disk and the processors: at the pace of small pieces each waits for its turn."""
    plant = Plant(lambda now: 600_000)
    plant.late = 0.2
    courtesy = plant.courtesy(floor_bytes_per_second=floor)
    plant.read(courtesy, 5)
    rate, sizes = plant.read(courtesy, 60)
    assert rate > least
    assert max(sizes) <= 1 << 20
    assert all(size % (128 << 10) == 0 for size in sizes), "a raw disk is read in whole sectors"


def test_without_a_floor_late_pauses_make_it_crawl() -> None:
    plant = Plant(lambda now: 600_000)
    plant.late = 0.2
    courtesy = plant.courtesy(floor_bytes_per_second=0)
    plant.read(courtesy, 5)
    assert plant.read(courtesy, 60)[0] < 0.8 * MB


def test_a_floor_above_the_pace_is_the_pace() -> None:
    plant = Plant(lambda now: 600_000)
    courtesy = plant.courtesy(floor_bytes_per_second=20e6)
    plant.read(courtesy, 5)
    assert 19 * MB < plant.read(courtesy, 20)[0] < 21 * MB


def test_the_floor_gives_no_burst_after_an_idle_hour_or_a_fast_one() -> None:
    plant = Plant(lambda now: 600_000 if now > 100 else 0)
    courtesy = plant.courtesy()
    plant.read(courtesy, 100)
    plant.read(courtesy, 1)  # others are noticed
    assert plant.read(courtesy, 2)[0] < 8.5 * MB, "what was read fast is no debt of the floor"
    plant.now += 3600
    started = plant.now
    assert plant.read(courtesy, 4)[0] < 8.5 * MB
    assert plant.now - started < 5


def test_it_tells_how_long_the_disk_was_left_to_others() -> None:
    plant = Plant(lambda now: 600_000)
    courtesy = plant.courtesy(left_disk=plant.left_disk)
    plant.read(courtesy, 20)
    assert 17 < plant.left < 20
    quiet = Plant(lambda now: 0)
    courtesy = quiet.courtesy(left_disk=quiet.left_disk)
    quiet.read(courtesy, 20)
    assert quiet.left == 0


def test_pauses_that_end_late_are_no_time_that_the_disk_was_left() -> None:
    plant = Plant(lambda now: 600_000)
    plant.late = 0.2
    courtesy = plant.courtesy(left_disk=plant.left_disk)
    plant.read(courtesy, 60)
    assert plant.left < 15, "most of it was a wait for the processor"


def test_a_rotating_disk_gets_fewer_seeks() -> None:
    plant = Plant(lambda now: 40_000)
    plant.is_rotational = True
    courtesy = plant.courtesy()
    plant.read(courtesy, 2)
    dummy_rate, sizes = plant.read(courtesy, 10)
    assert set(sizes) == {512 << 10}
    assert len(sizes) < 10 * 17


def test_a_line_of_log_now_and_then_is_nobody() -> None:
    """What a system that idles does: some pages of its journal, all at once."""
    plant = Plant(lambda now: 64_000 if now % 3 < 0.5 else 0)
    courtesy = plant.courtesy()
    plant.read(courtesy, 3)
    assert plant.read(courtesy, 30)[0] > 0.9 * DISK_BYTES_PER_SECOND


def test_ten_small_writes_a_second_are_somebody() -> None:
    plant = Plant(lambda now: 40_960)
    courtesy = plant.courtesy()
    plant.read(courtesy, 2)
    assert plant.read(courtesy, 30)[0] < 8.5 * MB


def test_others_who_come_are_noticed_within_a_second_and_trusted_slowly() -> None:
    plant = Plant(lambda now: 600_000 if 20 <= now < 30 else 0)
    courtesy = plant.courtesy()
    plant.read(courtesy, 20)
    assert courtesy.is_free
    plant.read(courtesy, 1)
    assert not courtesy.is_free
    assert plant.read(courtesy, 9)[0] < 9 * MB
    assert plant.read(courtesy, 2.5)[0] < 9 * MB, "they may come back"
    plant.read(courtesy, 6)
    assert courtesy.is_free


def test_what_others_do_in_bursts_keeps_it_low() -> None:
    plant = Plant(lambda now: 600_000 if now % 2 < 0.6 else 0)
    courtesy = plant.courtesy()
    plant.read(courtesy, 2)
    assert plant.read(courtesy, 30)[0] < 9 * MB


def test_a_rest_is_cut_short_by_a_cancel() -> None:
    plant = Plant(lambda now: 600_000)
    courtesy = plant.courtesy(cancelled=lambda: plant.now > 5)
    with pytest.raises(RunCancelled):
        plant.read(courtesy, 100)
    assert plant.now < 5.5


def test_without_counters_slow_reads_of_our_own_tell() -> None:
    plant = Plant(lambda now: 0)
    courtesy = Courtesy(None, clock=plant.clock, sleep=plant.sleep)
    slow = {True: 8.0, False: 1.0}

    def read(seconds: float, busy: bool) -> float:
        started, total = plant.now, 0
        while plant.now - started < seconds:
            size = courtesy.admit(1 << 20)
            took = (size + 131072) / DISK_BYTES_PER_SECOND * slow[busy]
            plant.now += took
            courtesy.after_read(size, took)
            total += size
        return total / (plant.now - started)

    read(5, False)
    assert courtesy.is_free
    read(1, True)
    assert read(10, True) < 9 * MB
    read(10, False)
    assert courtesy.is_free


class Noting(MemorySource):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads: List[Tuple[int, int]] = []
        self.small: List[bool] = []

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self.reads.append((offset_bytes, length_bytes))
        return super().read(offset_bytes, length_bytes)

    def expect_small_reads(self, small: bool) -> None:
        self.small.append(small)


def test_a_paced_source_cuts_reads_and_stops_the_read_ahead() -> None:
    data = bytes(range(256)) * 4096 + b"tail"
    plant = Plant(lambda now: 600_000)
    source = Noting(data)
    paced = PacedSource(source, courtesy=plant.courtesy())
    plant.now += 1
    assert paced.read(0, len(data)) == data
    assert paced.read(5, 0) == b""
    assert source.reads[:2] == [(0, 128 << 10), (128 << 10, 128 << 10)]
    assert source.small == [True]
    plant.rate_of = lambda now: 0
    for dummy in range(100):
        plant.now += 0.1
        paced.read(0, 10)
    assert source.small == [True, False]
    source.reads.clear()
    assert paced.read(0, 1 << 20) == data[: 1 << 20]
    assert source.reads == [(0, 1 << 20)]
