# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every run hashes a share of the older packs, so that each is read in turn."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Callable, Dict, List, Optional

import pytest
from engine.entries import Entry
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.packs import read_table
from engine.image.upkeep import scrub as scrub_module
from engine.image.upkeep.scrub import scrub
from engine.image.upkeep.sweep_time import SweepTime
from engine.image.upkeep.verify import verify_image
from engine.storage.local.storage import DirectoryStorage
from support.small_runs import DEVICE, SmallDisk, make_small, run_image

PASSWORD = "a password for this test"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position // 8] ^= 1 << position % 8
    path.write_bytes(data)


def damage(base: Path, storage: DirectoryStorage, kind: int) -> str:
    """Flip a bit inside a blob of ``kind`` in some pack; return the pack's name."""
    for name, size_bytes in sorted(DeviceDirectory(storage, DEVICE).packs().items()):
        for entry in read_table(storage, fmt.pack_path(DEVICE, name), size_bytes):
            if entry.kind == kind:
                flip(base / DEVICE / "packs" / name[:2] / name, (entry.offset + entry.stored_bytes // 2) * 8)
                return name
    raise AssertionError("no pack holds such a blob")


def test_every_run_hashes_a_share_of_the_older_packs(memory_path: Path) -> None:
    """Damage that nobody looked for is found by the runs themselves within a few of them, and healed."""
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    run_image(storage, disk, Passwords(password=PASSWORD))
    pack = damage(base, storage, fmt.KIND_CHUNK)
    for dummy in range(40):
        result = run_image(storage, disk, Passwords(password=PASSWORD))
        if pack in result.healed_packs:
            break
    else:
        pytest.fail("forty runs did not find the damaged pack")
    for manifest in DeviceDirectory(storage, DEVICE).images():
        assert verify_image(storage, DEVICE, manifest.image, "full", password=PASSWORD).ok


class ListedTrash(DirectoryStorage):
    """Counts the listings of the trash."""

    listings = 0

    def list_some(self, path: str, wanted: Callable[[str], bool], most: Optional[int] = None) -> List[Entry]:
        self.listings += path.endswith("/" + fmt.TRASH)
        return super().list_some(path, wanted, most)


def crowd(base: Path, count: int) -> Dict[str, int]:
    """Packs whose bytes do not match their names, and an intact copy of the first one in the trash."""
    names = sorted(hashlib.sha256(b"%d" % number).hexdigest() for number in range(count))
    contents = {hashlib.sha256(b"%d" % number).hexdigest(): b"%d" % number for number in range(count)}
    for name in names:
        (base / DEVICE / "packs" / name[:2]).mkdir(parents=True, exist_ok=True)
        (base / DEVICE / "packs" / name[:2] / name).write_bytes(b"x" * len(contents[name]))
    (base / DEVICE / "trash").mkdir()
    (base / DEVICE / "trash" / (names[0] + ".1.1700000000")).write_bytes(contents[names[0]])
    return {name: len(contents[name]) for name in names}


def test_a_crowd_of_damaged_packs_lists_the_trash_once(memory_path: Path) -> None:
    present = crowd(memory_path, 90)
    names = sorted(present)
    storage = ListedTrash(str(memory_path))
    share = 90 // scrub_module.RUNS_FOR_ALL
    assert scrub(DeviceDirectory(storage, DEVICE), present, turn=0) == names[1:share]
    assert storage.listings == 1
    assert sorted(present) == [names[0], *names[share:]]  # the first one came back from the trash
    assert (
        hashlib.sha256((memory_path / DEVICE / "packs" / names[0][:2] / names[0]).read_bytes()).hexdigest() == names[0]
    )
    assert len(list((memory_path / DEVICE / "trash").iterdir())) == share


def test_a_scrub_of_a_crowd_ends_in_time(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small foreign packs use no budget of bytes, so the clock ends their hashing; some are read on the slowest storage."""
    present = crowd(memory_path, 9000)
    monkeypatch.setattr(scrub_module, "SweepTime", lambda longest_seconds: SweepTime(longest_seconds=0.0))
    damaged = scrub(DeviceDirectory(DirectoryStorage(str(memory_path)), DEVICE), present, turn=1)
    assert len(damaged) == 256
    assert len(present) == 9000 - 256
