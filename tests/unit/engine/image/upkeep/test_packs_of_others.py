# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs that may belong to images of another key stay; those that our key proves to be its own may go."""

from __future__ import annotations

from typing import Union

import pytest
from engine.image.format import constants as fmt
from engine.image.reader import ImageReader
from engine.image.upkeep.keeping import Policy
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.rollover_report import RolloverReport
from support.plant import DAY, NOW, Plant
from support.small_runs import DEVICE, make_small

OLD, NEW = "the password before", "a password for this test"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def roll(plant: Plant, keep: Union[int, Policy], now: float = NOW) -> RolloverReport:
    key = ImageReader(plant.storage, DEVICE, plant.names[-1], NEW).key
    assert key is not None
    return roll_over(plant.storage, DEVICE, keep, openable_key=key.key_id, key=key, now=lambda: now)


def test_the_last_image_of_an_earlier_key_keeps_its_packs_without_its_list() -> None:
    plant = Plant()
    last = plant.make(password=OLD)
    needed = plant.packs_of(last)
    for dummy in range(3):
        plant.make(password=NEW, new_key=True)
    del plant.storage.files["%s/%s/%s" % (DEVICE, last, fmt.SUMS_NAME)]
    for day in range(3):
        roll(plant, 1, NOW + 2 * day * DAY)
        plant.make(password=NEW)
    assert last in plant.listed()
    assert needed <= set(plant.directory.packs())


def spoil(plant: Plant, image: str, *names: str) -> None:
    for name in names:
        plant.storage.files["%s/%s/%s" % (DEVICE, image, name)] = b"{"
    plant.storage.files.pop("%s/%s/%s" % (DEVICE, image, fmt.COPIES_NAME), None)


def test_a_false_image_of_another_key_does_not_keep_our_packs() -> None:
    plant = Plant()
    false = plant.make(password=OLD)
    for dummy in range(4):
        plant.make(password=NEW, new_key=True)
    spoil(plant, false, fmt.SUMS_NAME)
    gone = plant.packs_of(plant.names[1]) - plant.packs_of(plant.names[-1])
    report = roll(plant, 1)
    assert gone
    assert gone <= set(report.trashed_packs)
    assert any(false in text for text in report.warnings)
