# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The waits of a run for others: of each kind apart, together never longer than the run."""

from __future__ import annotations

from engine.image.writing.waiting import Waited, Waiting


class Machine:
    def __init__(self) -> None:
        self.now = 0.0
        self.looks = 0

    def clock(self) -> float:
        return self.now

    def processor(self) -> float:
        self.looks += 1
        return 3.25


def test_each_kind_is_counted_apart() -> None:
    machine = Machine()
    waiting = Waiting(machine.processor, machine.clock)
    waiting.left_disk(1.5)
    waiting.left_disk(0.5)
    assert waiting.so_far() == Waited(2.0, 3.25)
    assert waiting.so_far().fields(100.0) == {
        "waited_seconds": 5.2,
        "waited_disk_seconds": 2.0,
        "waited_processor_seconds": 3.2,
    }


def test_together_they_are_not_longer_than_the_run() -> None:
    assert Waited(8.0, 7.0).fields(10.0)["waited_seconds"] == 10.0
    assert set(Waited(18.0, 17.0).fields(10.0).values()) == {10.0}


def test_an_unknown_wait_is_null_and_not_zero() -> None:
    found = Waited(8.0, None).fields(10.0)
    assert found["waited_processor_seconds"] is None
    assert found["waited_seconds"] == 8.0


def test_the_kernel_is_asked_every_two_seconds_at_most() -> None:
    machine = Machine()
    waiting = Waiting(machine.processor, machine.clock)
    for dummy in range(1000):
        machine.now += 0.01
        waiting.look()
    assert 4 <= machine.looks <= 5


def test_the_system_of_this_machine_is_asked() -> None:
    waited = Waiting().so_far()
    assert waited.disk == 0
    assert waited.processor is None or 0 <= waited.processor < 60
