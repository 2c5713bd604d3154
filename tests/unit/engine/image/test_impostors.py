# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that does not tell what it needs: damage of an image of ours costs no pack, a false one stops no sweep for ever."""

from __future__ import annotations

from typing import Union

import pytest
from engine.image import records
from engine.image.format import constants as fmt
from engine.image.reader import ImageReader
from engine.image.upkeep.keeping import Policy
from engine.image.upkeep.rollover import pin, roll_over
from engine.image.upkeep.rollover_report import RolloverReport
from support.plant import NOW, Plant
from support.small_runs import DEVICE, make_small

OLD, NEW = "the password before", "a password for this test"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def roll(plant: Plant, keep: Union[int, Policy], now: float = NOW) -> RolloverReport:
    key = ImageReader(plant.storage, DEVICE, plant.names[-1], NEW).key
    assert key is not None
    return roll_over(plant.storage, DEVICE, keep, openable_key=key.key_id, key=key, now=lambda: now)


def spoil(plant: Plant, image: str, *names: str) -> None:
    for name in names:
        plant.storage.files["%s/%s/%s" % (DEVICE, image, name)] = b"{"
    plant.storage.files.pop("%s/%s/%s" % (DEVICE, image, fmt.COPIES_NAME), None)


def test_a_wrong_clock_makes_no_image_false(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant()
    for dummy in range(3):
        plant.make(password=NEW)
    needed = plant.packs_of(plant.names[1])
    spoil(plant, plant.names[1], fmt.MANIFEST_NAME, fmt.SUMS_NAME)
    del plant.storage.files["%s/%s/%s" % (DEVICE, plant.names[0], fmt.MANIFEST_NAME)]  # else the numbers tell
    monkeypatch.setattr("time.time", lambda: 1_230_768_000.0)  # an empty battery
    assert needed <= set(plant.directory.packs())
    assert not roll(plant, 7, 1_230_768_000).trashed_packs
    assert needed <= set(plant.directory.packs())


def test_an_old_image_that_something_else_keeps_is_not_false() -> None:
    plant = Plant()
    for dummy in range(5):
        plant.make(password=NEW)
    old = plant.names[1]
    needed = plant.packs_of(old)
    pin(plant.storage, DEVICE, old, True)
    roll(plant, 2)
    assert needed <= set(plant.directory.packs())
    spoil(plant, old, fmt.MANIFEST_NAME, fmt.SUMS_NAME)
    assert not roll(plant, 2).trashed_packs
    records.unpin(plant.directory, old)
    assert needed <= set(roll(plant, 2).trashed_packs)


def test_an_image_of_another_job_is_not_false_because_it_is_old() -> None:
    plant = Plant()
    for job in ("monthly", "monthly", "daily", "daily", "daily"):
        plant.make_of(job, password=NEW)
    plant.directory.storage.delete("%s/%s/%s" % (DEVICE, plant.names[0], fmt.MANIFEST_NAME))  # a number is missing
    needed = plant.packs_of(plant.names[1])
    spoil(plant, plant.names[1], fmt.MANIFEST_NAME, fmt.SUMS_NAME)
    roll(plant, Policy({"daily": 2}, frozenset(["daily", "monthly"])))
    assert needed <= set(plant.directory.packs())
