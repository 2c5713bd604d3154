# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How old something in the trash is: by the clock of who rolls over and by that of the storage, whatever other clocks say."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.image.device_directory import DeviceDirectory
from engine.storage.local.storage import DirectoryStorage
from support import imaging
from support.plant import DAY, NOW, Plant
from support.small_runs import make_small


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def test_what_a_clock_put_there_that_was_years_ahead_does_not_stay_for_years() -> None:
    plant = Plant(2)
    gone = plant.packs_of(plant.names[0])
    plant.roll(1, NOW + 3650 * DAY)
    plant.make()
    assert plant.roll(2, NOW).purged_packs == []
    assert plant.trashed() == gone
    assert plant.roll(2, NOW + DAY - 1).purged_packs == []
    assert set(plant.roll(2, NOW + DAY).purged_packs) == gone


def test_the_trash_of_a_device_is_aged_by_the_controllers_clock(tmp_path: Path) -> None:
    """With a dead battery each start of a device is in 2009: nothing would ever be a day old."""
    drive, storage = tmp_path / "drive", tmp_path / "storage"
    for number in range(2):
        drive.write_bytes(bytes([number + 1]) * (1 << 20))
        imaging.image(storage, drive, keep=1, controller_seconds=NOW)
    stamps = {entry.since_seconds - NOW for entry in DeviceDirectory(DirectoryStorage(str(storage)), "pc").trash()}
    assert stamps
    assert max(stamps) < 600
