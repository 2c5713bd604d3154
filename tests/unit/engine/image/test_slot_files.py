# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""More false key slots than are looked at shut nobody out: images name those that open."""

from __future__ import annotations

import pytest
from engine.errors import EngineError
from engine.image.access import Passwords
from engine.image.format import constants as fmt
from support.small_runs import DEVICE, SmallDisk, make_small, read_image, run_image
from support.storages import MemoryStorage


@pytest.mark.parametrize("floods_images", [False, True])
def test_slots_that_a_listing_does_not_show_open(monkeypatch: pytest.MonkeyPatch, floods_images: bool) -> None:
    make_small(monkeypatch)
    monkeypatch.setattr(fmt, "MAX_SLOTS_READ", 50)
    storage, disk = MemoryStorage(), SmallDisk(chunks=4)
    made = run_image(storage, disk, Passwords("the right one"))
    for folder in (fmt.KEYS, "%s/%s" % (made.image, fmt.KEYS))[: 2 if floods_images else 1]:
        for number in range(60):
            storage.files["%s/%s/%064x.json" % (DEVICE, folder, number)] = b""
    again = run_image(storage, disk, Passwords("the right one"))
    for image in (made.image, again.image, "latest"):
        assert read_image(storage, image, "the right one") == disk.expected()
    with pytest.raises(EngineError) as caught:
        run_image(storage, disk, Passwords("another"))
    assert caught.value.code.startswith("K1")
