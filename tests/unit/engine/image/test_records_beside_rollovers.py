# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records go with their image: whoever reads or adds one in the moment of a rollover fails not because of it; and a pin
that comes while a rollover is at work counts."""

from __future__ import annotations

import contextlib
from typing import Callable

import pytest
from engine.errors import ImageNotFound, StorageNotFound
from engine.image.access import Passwords
from engine.image.upkeep.rollover import pin, roll_over
from engine.image.upkeep.verify import verify_image
from support.plant import DAY, NOW, Plant
from support.small_runs import DEVICE, make_small, run_image
from support.storages import HookedStorage


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def at_every_moment(made: Plant, do: Callable[[Plant, HookedStorage], None], rival: Callable) -> int:
    """Do something again and again, with ``rival`` one call later each time; return how many calls it has."""
    moment, finished = 0, False
    while not finished:
        plant = made.copy()
        moment += 1
        left = moment

        def step(*dummy: object, plant: Plant = plant) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                rival(plant)

        do(plant, HookedStorage(plant.storage, step))
        finished = left > 0
    return moment


def with_records() -> Plant:
    plant = Plant(3)
    for name in plant.names:
        plant.directory.add_record(name, "verified", {"ok": True})
        plant.directory.add_record(name, "verified", {"ok": False})
    return plant


def test_a_rollover_beside_another() -> None:
    def roll(plant: Plant, storage: HookedStorage) -> None:
        roll_over(storage, DEVICE, 1, openable_key="", now=lambda: NOW + DAY)
        assert plant.listed() == plant.names[-1:]
        assert [entry.name for entry in plant.storage.list("%s/records" % DEVICE)] == plant.names[-1:]

    assert at_every_moment(with_records(), roll, lambda plant: plant.roll(1, NOW + DAY)) > 50


def test_a_rollover_beside_who_adds_a_record() -> None:
    """The record is lost with its image or stays until the next rollover, which takes it away."""

    def roll(plant: Plant, storage: HookedStorage) -> None:
        roll_over(storage, DEVICE, 1, openable_key="", now=lambda: NOW + DAY)
        assert plant.listed() == plant.names[-1:]
        plant.roll(1, NOW + DAY)
        assert [entry.name for entry in plant.storage.list("%s/records" % DEVICE)] == plant.names[-1:]

    def add(plant: Plant) -> None:  # as a verify does that began before
        plant.directory.add_record(plant.names[0], "verified", {"ok": True, "late": True})

    assert at_every_moment(with_records(), roll, add) > 50


def test_who_adds_a_record_beside_a_rollover_is_told_what_is_gone() -> None:
    told = 0

    def add(plant: Plant, storage: HookedStorage) -> None:
        nonlocal told
        try:
            pin(storage, DEVICE, plant.names[0], True)
        except (ImageNotFound, StorageNotFound):
            told += 1

    at_every_moment(with_records(), add, lambda plant: plant.roll(1))
    assert told > 0


def test_a_run_that_heals_beside_a_rollover_has_made_its_image() -> None:
    """From its commit on nothing that a rollover deletes may end the run: the old image was the one it made whole."""

    def damaged() -> Plant:
        plant = Plant(1)
        pack = min(plant.packs_of(plant.names[0]))
        path = "%s/packs/%s/%s" % (DEVICE, pack[:2], pack)
        data = plant.storage.files[path]
        plant.storage.files[path] = data[:100] + bytes([data[100] ^ 1]) + data[101:]
        assert not verify_image(plant.storage, DEVICE, plant.names[0], "storage").ok
        return plant

    def image(plant: Plant, storage: HookedStorage) -> None:
        result = run_image(storage, plant.disk, Passwords())
        assert plant.directory.newest().image == result.image
        assert verify_image(plant.storage, DEVICE, result.image, "full", record=False).ok

    assert at_every_moment(damaged(), image, lambda plant: plant.roll(1)) > 100


def test_a_verify_beside_a_rollover_ends_with_a_report() -> None:
    def verify(plant: Plant, storage: HookedStorage) -> None:
        with contextlib.suppress(ImageNotFound):
            verify_image(storage, DEVICE, plant.names[0], "quick")

    assert at_every_moment(with_records(), verify, lambda plant: plant.roll(1)) > 10


def test_a_pin_that_comes_while_a_rollover_is_at_work_counts() -> None:
    """It came after the look at all records, and before its image's turn."""
    plant = with_records()
    pinned = []

    def hook(moment: str, operation: str, path: str) -> None:
        if (moment, operation) == ("before", "delete") and not pinned:
            pinned.append(plant.names[0] if plant.names[0] not in path else plant.names[1])
            pin(plant.storage, DEVICE, pinned[0], True)

    report = roll_over(HookedStorage(plant.storage, hook), DEVICE, 1, openable_key="", now=lambda: NOW)
    assert pinned[0] in plant.listed()
    assert report.spared == {pinned[0]: "it is pinned"}
    assert len(report.deleted) == 1
    plant.check(*plant.listed())


def test_a_pin_counts_after_a_record_was_damaged() -> None:
    plant = Plant(2)
    name = plant.names[0]
    pin(plant.storage, DEVICE, name, True)
    (path,) = [one for one in plant.storage.files if "/pinned-" in one]
    pin(plant.storage, DEVICE, name, False)
    plant.storage.files[path] = b"{"
    pin(plant.storage, DEVICE, name, True)
    assert plant.roll(1).spared == {name: "it is pinned"}
    pin(plant.storage, DEVICE, name, False)
    assert plant.roll(1).deleted == [name]
