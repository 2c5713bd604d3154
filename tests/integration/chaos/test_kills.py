# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL before and after every storage operation and fsync: no image is harmed, none half-made is listed.

The next run finishes, and sends no chunk that is stored already.
"""

from __future__ import annotations

import functools
import random
import shutil
import time
from pathlib import Path
from typing import Dict, Optional

import pytest
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.verify import verify_image
from engine.storage.contract import Storage
from engine.storage.local.storage import DirectoryStorage
from support.killing import run_and_kill, run_and_kill_after
from support.small_runs import DEVICE, SmallDisk, chunk_places, make_small, read_image, run_image

PASSWORD = "a password for this test"
SECRET = Passwords(password=PASSWORD)
DAY = 24 * 3600


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def check_images(storage: Storage, expected: Dict[str, bytes]) -> None:
    """Every listed image verifies and reads back; every expected one is listed."""
    directory = DeviceDirectory(storage, DEVICE)
    unreadable: dict = {}
    names = [manifest.image for manifest in directory.images(unreadable)]
    assert unreadable == {}
    for name in expected:
        assert name in names
    for name in names:
        report = verify_image(storage, DEVICE, name, "full", password=PASSWORD, record=False)
        assert report.ok, (name, report.problems)
        if name in expected:
            assert read_image(storage, name, PASSWORD) == expected[name]


def check_nothing_twice(storage: Storage) -> None:
    twice = {chunk.hex()[:8]: packs for chunk, packs in chunk_places(storage).items() if len(packs) > 1}
    assert twice == {}


def first_image(root: Path) -> tuple:
    storage = DirectoryStorage(str(root))
    disk = SmallDisk()
    result = run_image(storage, disk, SECRET)
    return storage, disk, {result.image: disk.expected()}


def kill_a_run(
    base: Path, work_in: Path, disk: SmallDisk, expected: Dict[str, bytes], moment: Optional[int]
) -> Optional[int]:
    """Copy the storage, run an image there, kill it at ``moment``, check, run again, check."""
    if work_in.exists():
        shutil.rmtree(work_in)
    shutil.copytree(base, work_in)
    storage = DirectoryStorage(str(work_in))
    count = run_and_kill(storage, lambda hooked: run_image(hooked, disk, SECRET), moment)
    check_images(storage, expected)
    if count is not None:
        return count
    before = set(DeviceDirectory(storage, DEVICE).packs())
    again = run_image(storage, disk, SECRET)
    assert set(again.new_packs).isdisjoint(before)
    check_images(storage, dict(expected, **{again.image: disk.expected()}))
    check_nothing_twice(storage)
    return None


@pytest.mark.parametrize("which", [pytest.param("first", marks=pytest.mark.long), "second"])
def test_kill_at_every_moment_of_a_run(which: str, memory_path: Path) -> None:
    base = memory_path / "base"
    base.mkdir()
    if which == "first":
        disk, expected = SmallDisk(), {}
    else:
        dummy_storage, disk, expected = first_image(base)
        disk.write(1, 17, 18, 30)
    work = memory_path / "work"
    count = kill_a_run(base, work, disk, expected, None)
    assert count is not None
    assert count > 100
    # Threads make the number of moments vary by a few from run to run: the last ones may not come.
    for moment in range(1, count + 1):
        finished = kill_a_run(base, work, disk, expected, moment)
        assert finished is None or moment > count - 20, moment


def images_with_changes(root: Path, number: int) -> tuple:
    storage, disk, expected = first_image(root)
    for round_number in range(1, number):
        disk.write(*range(round_number * 5, round_number * 5 + 6))
        result = run_image(storage, disk, SECRET)
        expected[result.image] = disk.expected()
    return storage, disk, expected


def newest_key(storage: Storage) -> str:
    return DeviceDirectory(storage, DEVICE).images()[-1].key_id


def test_kill_at_every_moment_of_a_rollover(memory_path: Path) -> None:
    base = memory_path / "base"
    base.mkdir()
    storage, disk, expected = images_with_changes(base, 4)
    key = newest_key(storage)
    roll_over(storage, DEVICE, 3, openable_key=key, now=lambda: time.time() - 2 * DAY)  # leaves something to purge
    disk.write(2)
    result = run_image(storage, disk, SECRET)
    expected[result.image] = disk.expected()
    kept = dict(list(expected.items())[-1:])

    def sweep(hooked: Storage) -> None:
        roll_over(hooked, DEVICE, 1, openable_key=key)

    moment: Optional[int] = None
    count = 0
    while moment is None or moment <= count:
        work = memory_path / "work"
        if work.exists():
            shutil.rmtree(work)
        shutil.copytree(base, work)
        storage = DirectoryStorage(str(work))
        finished = run_and_kill(storage, sweep, moment)
        check_images(storage, kept)
        if moment is None:
            assert finished is not None
            count, moment = finished, 0
        else:
            sweep(storage)
        check_images(storage, kept)
        assert [manifest.image for manifest in DeviceDirectory(storage, DEVICE).images()] == list(kept)
        if moment % 5 == 0:
            again = run_image(storage, disk, SECRET)
            assert again.stored_bytes < 10_000, "everything is stored already"
            check_images(storage, dict(kept, **{again.image: disk.expected()}))
            check_nothing_twice(storage)
        moment += 1
    assert count > 40


@pytest.mark.long
def test_kill_at_500_random_moments(memory_path: Path) -> None:
    """A storage that lives through 500 killed runs and rollovers, with a finished run after each tenth."""
    chance = random.Random(20261123)
    root = memory_path / "storage"
    root.mkdir()
    storage, disk, expected = first_image(root)
    key = newest_key(storage)
    kills = 0
    while kills < 500:
        disk.write(*(chance.randrange(disk.chunks) for dummy in range(chance.randrange(1, 6))))

        def work(hooked: Storage) -> None:
            run_image(hooked, disk, SECRET)
            roll_over(hooked, DEVICE, 3, openable_key=key)

        if kills % 2:  # at a moment that nobody chose, in the middle of a write as well
            kills += run_and_kill_after(functools.partial(work, storage), chance.uniform(0, 0.25))
        elif run_and_kill(storage, work, chance.randrange(1, 500)) is None:
            kills += 1
        names = [manifest.image for manifest in DeviceDirectory(storage, DEVICE).images()]
        for name in names:
            expected.setdefault(name, disk.expected())  # a run that was killed after its commit
        expected = {name: data for name, data in expected.items() if name in names}
        check_images(storage, expected)
        if kills % 10 == 0:
            result = run_image(storage, disk, SECRET)
            expected[result.image] = disk.expected()
            roll_over(storage, DEVICE, 3, openable_key=key)
            check_images(storage, {result.image: disk.expected()})
