# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that lose what was written to them: the restore says so, and the target does not boot until it is right."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest
from engine.errors import RestoreReadBackDiffers
from engine.restore.resize.wishes import Wishes
from engine.restore.restore import restore
from engine.restore.target import Target
from engine.storage.local.storage import DirectoryStorage
from support.restoring import MARK, flip_byte, image_two, same_in_use
from support.small_runs import CHUNK, DEVICE, make_small
from support.storages import HookedStorage


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture
def storage(memory_path: Path) -> DirectoryStorage:
    return DirectoryStorage(str(memory_path / "storage"))


def losing(target: Path, lose: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch, before: int = 1) -> None:
    """When everything is written and the cache is emptied to read it back, the disk has lost something.

    :param before: how often it is emptied before that: for writing, and for the comparison with data that is there.
    """
    forget = Target.forget_cache
    calls = [0]

    def forgetting(self: Target) -> None:
        calls[0] += 1
        if calls[0] == before + 1:
            lose(target)
        forget(self)

    monkeypatch.setattr(Target, "forget_cache", forgetting)


@pytest.mark.parametrize("place", [512, CHUNK, 40 * CHUNK + 7, 64 * CHUNK, 160 * CHUNK - 1])
def test_a_byte_that_is_lost_is_found_before_the_target_boots(
    place: int, storage: DirectoryStorage, memory_path: Path
) -> None:
    made = image_two(storage)
    target = memory_path / "target"
    target.write_bytes(bytes(160 * CHUNK))
    work = partial(restore, storage, DEVICE, made.image, {"disk0": str(target)})
    with pytest.MonkeyPatch.context() as patch:
        losing(target, lambda path: flip_byte(path, place), patch)
        with pytest.raises(RestoreReadBackDiffers) as caught:
            work()
    assert caught.value.code == "R172"
    assert 0 <= place - int(str(caught.value.fields["offset_bytes"])) < 64 * CHUNK
    assert target.read_bytes().startswith(MARK)
    work()
    same_in_use(made.disks[0], target.read_bytes())


def test_stale_marks_that_come_back_are_found(storage: DirectoryStorage, memory_path: Path) -> None:
    """A disk that answers with its former content where zeros were written."""
    made = image_two(storage)
    target = memory_path / "target"
    target.write_bytes(b"RAID" * (200 * CHUNK // 4))
    last = 200 * CHUNK - 4096
    with pytest.MonkeyPatch.context() as patch:
        losing(target, lambda path: flip_byte(path, last), patch, before=2)
        with pytest.raises(RestoreReadBackDiffers):
            restore(storage, DEVICE, made.image, {"disk0": str(target)}, overwrite=True)
    assert target.read_bytes().startswith(MARK)


@pytest.mark.parametrize("free_space", ["zero", "keep"])
def test_zeroed_free_space_that_comes_back_is_found(
    free_space: str, storage: DirectoryStorage, memory_path: Path
) -> None:
    """The wish was that nothing of the former content is left; what is kept may be anything."""
    made = image_two(storage)
    target = memory_path / "target"
    target.write_bytes(b"RAID" * (200 * CHUNK // 4))
    place = 100 * CHUNK + 5
    assert 100 not in made.disks[0].used
    work = partial(restore, storage, DEVICE, made.image, {"disk0": str(target)}, overwrite=True)
    seen: List[Tuple[str, int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        losing(target, lambda path: flip_byte(path, place), patch, before=2)
        tell = partial(work, wishes=Wishes(free_space=free_space), progress=lambda *told: seen.append(told))
        if free_space == "keep":
            tell()
            return
        with pytest.raises(RestoreReadBackDiffers) as caught:
            tell()
    assert 0 <= place - int(str(caught.value.fields["offset_bytes"])) < 1 << 20
    assert target.read_bytes().startswith(MARK)
    seen.clear()
    work(wishes=Wishes(free_space=free_space), progress=lambda *told: seen.append(told))
    same_in_use(made.disks[0], target.read_bytes())
    assert target.read_bytes()[90 * CHUNK + CHUNK : 144 * CHUNK].count(0) == 53 * CHUNK
    places = [done for phase, done, total in seen if phase == "reading back" and done <= total]
    assert places == sorted(places)
    assert places[-1] == 160 * CHUNK


def test_without_reading_back_it_is_not_noticed(
    storage: DirectoryStorage, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the setting turns off, so that the tests above prove something."""
    made = image_two(storage)
    target = memory_path / "target"
    target.write_bytes(bytes(160 * CHUNK))
    calls = []
    forget = Target.forget_cache
    monkeypatch.setattr(Target, "forget_cache", lambda self: (calls.append(1), forget(self))[1])
    restore(storage, DEVICE, made.image, {"disk0": str(target)}, reads_back=False)
    without = len(calls)
    restore(storage, DEVICE, made.image, {"disk1": str(memory_path / "other")}, reads_back=True)
    assert (without, len(calls) - without) == (1, 3)


def test_reading_back_fetches_no_data(storage: DirectoryStorage, memory_path: Path) -> None:
    made = image_two(storage)
    counts: Dict[bool, int] = {}

    def count(moment: str, operation: str, path: str) -> None:
        counts[is_read_back] += (moment, operation) == ("before", "read") and "/packs/" in path

    for is_read_back in (False, True):
        counts[is_read_back] = 0
        targets = {"disk%d" % number: str(memory_path / ("%s%d" % (is_read_back, number))) for number in range(2)}
        restore(HookedStorage(storage, count), DEVICE, made.image, targets, reads_back=is_read_back)
    segments = (160 + 40) // 8
    chunks = sum(len(disk.used) for disk in made.disks)
    assert counts[True] - counts[False] <= segments + 4 < chunks // 2, counts
