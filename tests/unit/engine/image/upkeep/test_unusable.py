# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that can't be used: what they need stays, the rest is swept, and they go when somebody says so by name."""

from __future__ import annotations

import pytest
from engine.errors import ImageNotUnusable
from engine.image.format import constants as fmt
from support.plant import DAY, NOW, Plant
from support.small_runs import make_small


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.mark.parametrize("damage", ["manifest", "empty manifest", "sums", "no sums"])
def test_damaged_lists_are_made_whole_and_the_rest_is_swept(damage: str) -> None:
    """An image has its small files twice, and its list of packs follows from its indexes."""
    plant = Plant(3)
    name = fmt.SUMS_NAME if "sums" in damage else fmt.MANIFEST_NAME
    path = plant.directory.path(plant.names[1], name)
    original = plant.storage.get(path)
    if damage == "no sums":
        plant.storage.delete(path)
    else:
        plant.storage.put(path, [b"" if damage.startswith("empty") else b"{" + original], replace=True)
    gone = plant.packs_of(plant.names[0])
    report = plant.roll(2)
    assert report.deleted == plant.names[:1]
    assert set(report.trashed_packs) == gone
    plant.check(plant.names[2])
    if damage != "sums":
        assert plant.storage.get(path) == original
        plant.check(plant.names[1])


@pytest.mark.parametrize("damage", ["manifest", "empty manifest"])
def test_what_an_image_without_copies_needs_stays_and_the_rest_is_swept(damage: str) -> None:
    plant = Plant(4)
    path = plant.directory.path(plant.names[1], fmt.MANIFEST_NAME)
    original = plant.storage.get(path)
    plant.storage.put(path, [b"" if damage.startswith("empty") else b"{" + original], replace=True)
    plant.storage.delete(plant.directory.path(plant.names[1], fmt.COPIES_NAME))
    gone = plant.packs_of(plant.names[0])
    report = plant.roll(2)
    assert report.deleted == plant.names[:1]
    assert set(report.trashed_packs) == gone
    assert [text for text in report.warnings if plant.names[1] in text and "imaging_remove_damaged" in text]
    plant.make()
    assert set(plant.roll(3, NOW + DAY).purged_packs) == gone
    plant.storage.put(path, [original], replace=True)
    plant.check(*plant.names[1:])


def test_what_can_not_be_used_goes_when_somebody_says_so_by_name() -> None:
    plant = Plant(4)
    kept, damaged = plant.names[3], plant.names[1]
    path = plant.directory.path(damaged, fmt.MANIFEST_NAME)
    plant.storage.put(path, [b"{"], replace=True)
    for name in (fmt.COPIES_NAME, fmt.SUMS_NAME):
        plant.storage.delete(plant.directory.path(damaged, name))
    gone = plant.packs_of(plant.names[0])
    before = plant.directory.packs()
    assert plant.roll(3).trashed_packs == []
    assert plant.directory.packs() == before, "what it needs is not known"
    with pytest.raises(ImageNotUnusable):
        plant.roll(3, remove_damaged=[kept])
    dry = plant.roll(3, remove_damaged=[damaged], dry_run=True)
    assert dry.deleted == [damaged]
    assert plant.storage.exists(path)
    report = plant.roll(2, remove_damaged=[damaged])
    assert report.deleted == [plant.names[0], damaged]
    assert gone < set(report.trashed_packs)
    assert not plant.storage.exists(plant.directory.path(damaged))
    assert plant.roll(2, remove_damaged=[damaged]).deleted == [], "it is gone already"
    plant.check(*plant.names[2:])
