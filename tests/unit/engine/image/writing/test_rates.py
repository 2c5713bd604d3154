# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""imaging_limit_io_rate: what is sent takes the time that the limit says, within a twentieth, whatever else takes time."""

from __future__ import annotations

import pytest
from engine.errors import RunCancelled
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.writing.rates import TokenBucket
from support.small_runs import DEVICE, SmallDisk, make_small, run_image
from support.storages import MemoryStorage


class Clock:
    """Time that passes when somebody sleeps or works."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("rate_mb", [5, 20, 80])
@pytest.mark.parametrize("busy", [0.0, 0.5, 0.9], ids=["storage takes no time", "half of it", "nearly all of it"])
def test_what_is_sent_keeps_to_the_limit(rate_mb: int, busy: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream as the storages see it: each piece is announced, then takes ``busy`` of what it may take."""
    make_small(monkeypatch)
    clock = Clock()
    rate = rate_mb * 1e6
    bucket = TokenBucket(rate, clock=clock, sleep=clock.pass_seconds)
    moments = []

    def gate(size_bytes: int) -> None:
        bucket.take(size_bytes)
        moments.append((clock.now, size_bytes))
        clock.pass_seconds(busy * size_bytes / rate)

    storage = MemoryStorage()
    disk = SmallDisk(chunks=300)
    started = clock.now
    run_image(storage, disk, Passwords(), limit=gate)
    sent = sum(size for dummy, size in moments)
    assert sent == sum(DeviceDirectory(storage, DEVICE).packs().values())
    assert sent > 19_000_000
    assert 0.95 < sent / (clock.now - started) / rate < 1.05
    # Nor is a second of it much faster than the limit.
    for first, (begin, dummy) in enumerate(moments):
        burst = sum(size for moment, size in moments[first:] if moment < begin + 1)
        assert burst <= 1.6 * rate + fmt.CHUNK_BYTES


def test_no_limit_waits_for_nothing_and_a_cancel_ends_a_wait() -> None:
    clock = Clock()
    TokenBucket(0, clock=clock, sleep=clock.pass_seconds).take(1 << 40)
    assert clock.now == 1000.0
    with pytest.raises(RunCancelled):
        TokenBucket(1, clock=clock, sleep=clock.pass_seconds, cancelled=lambda: clock.now > 1005).take(1 << 40)
    assert clock.now < 1010
