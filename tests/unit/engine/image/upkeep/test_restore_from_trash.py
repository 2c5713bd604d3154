# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollover moves a pack to the trash and, when it sees that it is needed, back: whoever reads meanwhile must not miss it."""

from __future__ import annotations

from typing import Dict

import pytest
from engine.errors import ChunkMissing
from engine.image.device_directory import DeviceDirectory
from engine.image.upkeep.restore_from_trash import restore_from_trash
from engine.image.upkeep.verify import verify_image
from engine.storage.contract import Storage
from support.small_runs import DEVICE, SmallDisk, make_small, read_image, run_image
from support.storages import HookedStorage, MemoryStorage

_TRASH = DEVICE + "/trash"


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> MemoryStorage:
    make_small(monkeypatch)
    storage = MemoryStorage()
    run_image(storage, SmallDisk())
    return storage


def moving(storage: MemoryStorage, back_after: int) -> Storage:
    """Each pack goes to the trash before it is read first, and back before the ``back_after``-th listing of the trash."""
    directory = DeviceDirectory(storage, DEVICE)
    packs = dict.fromkeys(directory.packs(), "in use")
    listings: Dict[str, int] = dict.fromkeys(packs, 0)

    def move(moment: str, operation: str, path: str) -> None:
        pack = path.rpartition("/")[2]
        if moment != "before":
            return
        if operation == "read" and packs.get(pack) == "in use" and "/packs/" in path:
            directory.move_to_trash(pack, 1)
            packs[pack] = "in the trash"
        elif operation == "list" and path == _TRASH:
            for moved in [name for name, place in packs.items() if place == "in the trash"]:
                listings[moved] += 1
                if listings[moved] == back_after:
                    restore_from_trash(directory, {moved})  # unless the verify did already
                    packs[moved] = "back"

    return HookedStorage(storage, move)


@pytest.mark.parametrize("back_after", [1, 2, 1000])
@pytest.mark.parametrize("level", ["quick", "storage", "full"])
def test_verify_misses_no_pack_that_moves(stored: MemoryStorage, level: str, back_after: int) -> None:
    (image,) = DeviceDirectory(stored, DEVICE).image_names()
    report = verify_image(moving(stored, back_after), DEVICE, image, level)
    assert report.ok, report.problems


@pytest.mark.parametrize("back_after", [1, 2, 1000])
def test_reading_misses_no_pack_that_moves(stored: MemoryStorage, back_after: int) -> None:
    (image,) = DeviceDirectory(stored, DEVICE).image_names()
    assert read_image(moving(stored, back_after), image) == SmallDisk().expected()


def test_a_pack_that_is_gone_is_missed(stored: MemoryStorage) -> None:
    directory = DeviceDirectory(stored, DEVICE)
    (image,) = directory.image_names()
    gone = next(iter(directory.packs()))
    stored.delete("%s/packs/%s/%s" % (DEVICE, gone[:2], gone))
    for level in ("quick", "storage", "full"):
        report = verify_image(stored, DEVICE, image, level)
        assert "The pack %s is missing." % gone in report.problems
    with pytest.raises(ChunkMissing):
        read_image(stored, image)
