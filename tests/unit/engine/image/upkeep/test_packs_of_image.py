# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packs an image needs is told by its roots where its SHA256SUMS is gone, and believed only where the manifest proves it."""

from __future__ import annotations

from typing import Optional

import pytest
from engine.image.format import constants as fmt
from engine.image.format.keys import MasterKey
from engine.image.reader import ImageReader
from engine.image.upkeep.packs_of_image import packs_of_roots, proved_packs_of
from support.plant import Plant
from support.small_runs import DEVICE, make_small


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def key_of(plant: Plant, image: str, password: str) -> Optional[MasterKey]:
    return ImageReader(plant.storage, DEVICE, image, password or None).key


def spoil(plant: Plant, image: str, *names: str) -> None:
    for name in names:
        plant.storage.files.pop("%s/%s/%s" % (DEVICE, image, name), None)


@pytest.mark.parametrize("password", ["", "a password for this test"], ids=["clear", "encrypted"])
def test_the_roots_tell_what_the_list_told(password: str) -> None:
    plant = Plant()
    image = plant.make(password=password)
    plant.make(password=password)
    needed, manifest, key = plant.packs_of(image), plant.directory.manifest(image), key_of(plant, image, password)
    assert needed
    assert set(packs_of_roots(plant.directory, manifest, key) or ()) == needed
    spoil(plant, image, fmt.SUMS_NAME)
    assert set(proved_packs_of(plant.directory, manifest, key) or ()) == needed


def test_an_index_that_is_gone_is_read_from_the_copies_and_without_them_nothing_is_told() -> None:
    plant = Plant()
    image = plant.make(password="")
    needed, manifest = plant.packs_of(image), plant.directory.manifest(image)
    spoil(plant, image, fmt.SUMS_NAME, fmt.index_name(0))
    assert set(proved_packs_of(plant.directory, manifest, None) or ()) == needed
    spoil(plant, image, fmt.COPIES_NAME)
    assert proved_packs_of(plant.directory, manifest, None) is None


def test_the_key_of_another_start_opens_no_root() -> None:
    plant = Plant()
    first = plant.make(password="the password before")
    second = plant.make(password="a password for this test", new_key=True)
    spoil(plant, first, fmt.SUMS_NAME)
    other = key_of(plant, second, "a password for this test")
    assert proved_packs_of(plant.directory, plant.directory.manifest(first), other) is None
    assert proved_packs_of(plant.directory, plant.directory.manifest(first), None) is None
