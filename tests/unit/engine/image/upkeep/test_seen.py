# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has just seen its rollover does not ask for again."""

from __future__ import annotations

from typing import Callable, List, Optional, Tuple

import pytest
from engine.device.identity import claim_directory, read_identity
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.seen import Seen
from support.small_runs import DEVICE, SmallDisk, make_small, run_image
from support.storages import CountingStorage, HookedStorage, MemoryStorage

PASSWORD = "a password for this test"
FEW, MANY = 6, 30


def filled(images: int) -> Tuple[MemoryStorage, SmallDisk]:
    storage, disk = MemoryStorage(), SmallDisk()
    claim_directory(storage, DEVICE, read_identity(), adopt=False)
    for number in range(images):
        run_image(storage, disk, Passwords(password=PASSWORD))
        disk.write(number % disk.chunks)
    return storage, disk


def test_a_rollover_asks_for_nothing_that_its_run_has_just_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the packs are listed once more, nor the records of the images before read once more."""
    make_small(monkeypatch)
    storage, disk = filled(FEW)
    passwords = Passwords(password=PASSWORD)
    directory = DeviceDirectory(storage, DEVICE)
    for image in directory.image_names():
        directory.add_record(image, "verified", {"level": "quick", "ok": False, "problems": []})
    listed: List[str] = []
    made = run_image(HookedStorage(storage, listings_of_packs(listed)), disk, passwords)
    rooms = storage.list("%s/%s" % (DEVICE, fmt.PACKS))
    assert 2 * len(rooms) < len(listed) <= 3 * len(rooms)

    def after(seen: Optional[Seen]) -> Tuple[int, int]:
        packs: List[str] = []
        counting = CountingStorage(HookedStorage(storage, listings_of_packs(packs)))
        roll_over(counting, DEVICE, MANY, openable_key=made.key_id, key=made.key, seen=seen)
        return len(packs), counting.operations["read"]

    packs, reads = after(made.seen)
    packs_anew, reads_anew = after(None)
    assert packs == 0
    assert packs_anew == len(rooms)
    assert reads + FEW <= reads_anew


def listings_of_packs(listed: List[str]) -> Callable[[str, str, str], None]:
    def hook(moment: str, operation: str, path: str) -> None:
        if moment == "before" and operation == "list" and path.startswith("%s/%s/" % (DEVICE, fmt.PACKS)):
            listed.append(path)

    return hook
