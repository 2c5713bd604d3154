# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The least rate: what drips is a time-out, what is slow is not, and what the caller does in between is not counted."""

from __future__ import annotations

from typing import Callable, List

import pytest
from engine import stall as pace_module
from engine.stall import LEAST_BYTES_PER_SECOND, Line, Pace, TooSlow
from engine.storage.sftp import transfer as sftp_transfer
from engine.storage.smb import transfer as smb_transfer


class Clock:
    """Time that passes only where it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(pace_module.time, "monotonic", lambda: self.now)

    def takes(self, seconds: float) -> Callable[[], float]:
        def call() -> float:
            self.now += seconds
            return seconds

        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def moved(pace: Pace, call: Callable[[], float], count: int, times: int) -> float:
    """Move so much so often, and return how long it took in all."""
    seconds = 0.0
    for dummy in range(times):
        seconds += pace.waited(call)
        pace.moved(count)
    return seconds


def test_a_byte_just_in_time_each_time_is_a_time_out(clock: Clock) -> None:
    started = clock.now
    with pytest.raises(TooSlow, match="1024 bytes a second"):
        moved(Pace(Line()), clock.takes(59.0), 1, 1000)
    assert clock.now - started < 400


def test_a_line_that_slows_down_to_a_drip(clock: Clock) -> None:
    pace = Pace(Line())
    moved(pace, clock.takes(1.0), 10_000, 1000)
    started = clock.now
    with pytest.raises(TooSlow):
        moved(pace, clock.takes(10.0), 100, 1000)
    assert clock.now - started < 700


@pytest.mark.parametrize(("seconds", "count"), [(26.0, 255 << 10), (105.0, 1 << 20), (1.0, 10_000)])
def test_ten_kilobytes_a_second_pass(clock: Clock, seconds: float, count: int) -> None:
    """A piece of SFTP, one of SMB, and small ones."""
    assert moved(Pace(Line()), clock.takes(seconds), count, 500) == 500 * seconds


def test_a_pause_of_the_line_passes(clock: Clock) -> None:
    pace = Pace(Line())
    for dummy in range(20):
        moved(pace, clock.takes(1.0), 10_000, 100)
        moved(pace, clock.takes(200.0), 10_000, 1)


def test_what_the_caller_does_in_between_is_not_counted(clock: Clock) -> None:
    pace = Pace(Line())
    for dummy in range(100):
        clock.now += 3600
        pace.waited(clock.takes(0.001))
        pace.moved(1)


def test_a_transfer_that_waits_for_the_bytes_of_another_is_not_too_slow(clock: Clock) -> None:
    line = Line()
    waiting: List[Pace] = [Pace(line), Pace(line)]
    for dummy in range(100):
        line.moved(60 * 2 * LEAST_BYTES_PER_SECOND)
        for pace in waiting:
            pace.waited(clock.takes(60.0))
            pace.moved(1)


class SlowLine:
    """A server behind a line of 2 kB/s for each of the files under way. It answers when all that went out has arrived."""

    write_piece_bytes = 255 << 10
    max_write_bytes = 1 << 20

    def __init__(self, clock: Clock) -> None:
        self.line = Line()
        self.clock = clock
        self.sizes: List[int] = []

    def goes_out(self, length: int) -> int:
        self.clock.now += length / 2000
        self.sizes.append(length)
        return len(self.sizes) - 1

    # as a session of SFTP
    def request(self, dummy_kind: int, dummy_head: bytes, data: bytes) -> int:
        return self.goes_out(len(data))

    def wait(self, request: int) -> int:
        return request

    def abandon(self, requests: List[int]) -> None:
        assert requests == []

    # as a link of SMB
    def send_write(self, dummy_handle: object, data: bytes, dummy_offset: int) -> int:
        return self.goes_out(len(data))

    def written(self, request: int) -> int:
        return self.sizes[request]

    def answer(self, dummy_request: int) -> None:
        raise AssertionError("every answer was taken")

    def lose(self, reason: str) -> Exception:
        return AssertionError(reason)


def test_a_window_that_takes_minutes_to_fill_is_no_drip(clock: Clock) -> None:
    """Six packs go out at once, over a line of 12 kB/s: the first answer comes after half an hour."""
    data = [bytes(1 << 20)] * 8
    session = SlowLine(clock)
    began = clock.now
    sent_bytes = sftp_transfer.send(session, b"handle", data, None, lambda reply: None, list)  # type: ignore[arg-type]
    assert sent_bytes == 8 << 20
    assert clock.now - began > 4000
    link = SlowLine(clock)
    assert smb_transfer.push(link, "handle", data, None) == 8 << 20  # type: ignore[arg-type]
