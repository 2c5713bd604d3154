# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unproved manifests take a bounded amount of memory, large ones can't push small ones out, and proved ones always count."""

from __future__ import annotations

from typing import Dict

import pytest
from engine.errors import EngineError, ManifestsTooMany
from engine.image import manifest_budget
from engine.image.format import constants as fmt
from engine.image.format.contents import DiskContents, VolumeEntry
from engine.image.format.manifest import PackChanges, encode
from engine.image.manifest_budget import ManifestBudget, bare, held_bytes
from engine.image.reader import ImageReader
from support.plant import Plant
from support.small_runs import DEVICE, make_small

PASSWORD = "a password for this test"


def test_proved_images_count_however_many_large_manifests_lie_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    monkeypatch.setattr(manifest_budget, "_LARGE_BYTES", 1)
    monkeypatch.setattr(ManifestBudget.__init__, "__defaults__", (300_000, 0))
    plant = Plant()
    proved = [plant.make(password=PASSWORD) for dummy in range(2)]
    key = ImageReader(plant.storage, DEVICE, proved[-1], PASSWORD).key
    disk = plant.directory.manifest(proved[0]).disks[0]
    volumes = [VolumeEntry(1, "%036d" % number, 1) for number in range(256)]
    full = plant.directory.manifest(proved[0])._replace(
        key_id="", slots=[], changes=None, disks=[disk._replace(contents=DiskContents("", "", volumes))]
    )
    assert 80_000 < held_bytes(full) < 150_000
    for number in range(5):
        image = "2020-01-01_00-00-0%d" % number
        plant.storage.make_directory("%s/%s" % (DEVICE, image))
        data = encode(full._replace(image=image), None)
        plant.storage.put("%s/%s/%s" % (DEVICE, image, fmt.MANIFEST_NAME), [data])
    unreadable: Dict[str, EngineError] = {}
    found = [one.image for one in plant.directory.images(unreadable, key)]
    assert set(proved) <= set(found)
    assert len(found) + len(unreadable) == 7
    assert {type(error) for error in unreadable.values()} == {ManifestsTooMany}
    assert 2 <= len(unreadable) <= 3


def test_small_manifests_have_room_of_their_own() -> None:
    plant = Plant(images=1)
    small = plant.directory.manifest(plant.names[0])
    budget = ManifestBudget(most_large=0, most_small=2 * held_bytes(small))
    assert [budget.take(small) for dummy in range(3)] == [True, True, False]


def test_large_images_of_ours_count_without_their_list_of_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device without a password whose runs change many packs each, and of which many images are kept."""
    make_small(monkeypatch)
    plant = Plant()
    name = plant.make()
    full = plant.directory.manifest(name)
    for number in range(12):
        image = "2020-01-01_00-00-%02d" % number
        changes = PackChanges(name, ["%064x" % pack for pack in range(512)], [])
        plant.storage.make_directory("%s/%s" % (DEVICE, image))
        data = encode(full._replace(image=image, changes=changes), None)
        plant.storage.put("%s/%s/%s" % (DEVICE, image, fmt.MANIFEST_NAME), [data])
    monkeypatch.setattr(ManifestBudget.__init__, "__defaults__", (200_000, 1 << 20))
    unreadable: Dict[str, EngineError] = {}
    found = plant.directory.images(unreadable)
    assert not unreadable
    assert len(found) == 13
    held = [one for one in found if one.changes is not None]
    assert 2 <= len(held) <= 3
    assert sum(map(held_bytes, found)) < 300_000
    again = {one.image: bare(one) for one in reversed(plant.directory.images({}))}
    assert all(bare(one) == again[one.image] for one in found)
