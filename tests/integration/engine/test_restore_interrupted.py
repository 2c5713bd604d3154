# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore that was killed at any moment is recognised, goes on, and gives the disk that it would have given."""

from __future__ import annotations

import errno
import random
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Optional

import pytest
from engine.errors import RestoreWriteFailed
from engine.image.format import constants as fmt
from engine.image.reader import ImageReader
from engine.restore.restore import plan, restore, sentences
from engine.restore.target import MARKER_BYTES, Target, marker
from engine.storage.contract import Storage
from engine.storage.local.storage import DirectoryStorage
from support.filled import MIB, run
from support.killing import run_and_kill
from support.refusing import check_sentence, failing
from support.restoring import MARK, Made, damageable, flip_byte, image_two, partitioned, refused
from support.small_runs import DEVICE, make_small, run_image
from support.storages import HookedStorage


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture
def storage(memory_path: Path) -> DirectoryStorage:
    return DirectoryStorage(str(memory_path / "storage"))


def killed_at(storage: Storage, image: str, targets: Dict[str, str], moment: Optional[int]) -> Optional[int]:
    """Restore in a child that is killed at a moment: around storage operations, syncs, and writes to the targets."""

    def work(hooked: HookedStorage) -> None:
        write = Target.write_pieces

        def watched(target: Target, offset_bytes: int, pieces: List[bytes]) -> None:
            for data in pieces:
                # The kernel does not tear a sector of 512 bytes apart; anything larger it may.
                half = len(data) // 2 if len(data) > MARKER_BYTES else len(data)
                hooked.hook("before", "write", target.path)
                write(target, offset_bytes, [data[:half]])
                hooked.hook("during", "write", target.path)
                write(target, offset_bytes + half, [data[half:]])
                offset_bytes += len(data)

        Target.write_pieces = watched
        restore(hooked, DEVICE, image, targets)

    return run_and_kill(storage, work, moment)


def state(path: Path, expected: bytes) -> str:
    if not path.exists():
        return "absent"
    data = path.read_bytes()
    if data == expected:
        return "finished"
    if data.startswith(MARK):
        return "marked"
    assert not any(data), "neither blank nor marked"
    return "blank"


def finish(storage: Storage, made: Made, other: str, targets: Dict[str, str], states: List[str]) -> int:
    """Run the restore to its end; return how many bytes were there already."""
    paths = [Path(path) for path in targets.values()]
    if "marked" in states:
        refused("R102", partial(restore, storage, DEVICE, other, targets), *paths)
    planned = plan(ImageReader(storage, DEVICE, made.image, None), targets, False)
    assert len(sentences(planned, made.image)) == len(states)
    assert [disk.resumes for disk in planned] == [one == "marked" for one in states]
    # Killed between the first sectors of two disks, or at the very end: what holds its image already needs no yes.
    assert [disk.is_done for disk in planned] == [one == "finished" for one in states]
    return sum(disk.kept_bytes for disk in restore(storage, DEVICE, made.image, targets))


def test_killed_at_random_moments_then_run_to_the_end(storage: DirectoryStorage, memory_path: Path) -> None:
    made, later = image_two(storage), image_two(storage, "2026-11-24_20-00-00")
    expected = [disk.expected() for disk in made.disks]
    chance = random.Random(10)
    paths = [memory_path / ("target%d" % number) for number in (0, 1)]
    targets = {"disk%d" % number: str(path) for number, path in enumerate(paths)}
    count = killed_at(storage, made.image, targets, None)
    assert count is not None
    assert count > 200
    seen = []
    for moment in [*chance.sample(range(1, count - 12), 36), *range(count - 12, count + 1)]:
        for path in paths:
            path.unlink()
        for kill in [moment, chance.randrange(1, count)][: chance.randrange(1, 3)]:  # perhaps once more on the way
            killed_at(storage, made.image, targets, kill)
            states = [state(path, data) for path, data in zip(paths, expected)]
            if "finished" in states:
                break
        kept = finish(storage, made, later.image, targets, states)
        assert [path.read_bytes() for path in paths] == expected, moment
        seen += [*states, "kept" if kept else "nothing kept"]
    assert {"absent", "marked", "finished", "kept"} <= set(seen)
    assert seen.count("kept") > 10


def test_another_image_over_an_interrupted_one_starts_anew(storage: DirectoryStorage, memory_path: Path) -> None:
    disk = partitioned()
    first = run_image(storage, disk).image
    disk.write(0, 1, 33, 70, 159)
    second = run_image(storage, disk, timestamp="2026-11-24_20-00-00").image
    target = memory_path / "target"
    targets = {"disk0": str(target)}
    count = killed_at(storage, first, {"disk0": str(memory_path / "counted")}, None)
    assert count is not None
    assert killed_at(storage, first, targets, count - 12) is None
    assert target.read_bytes().startswith(MARK)
    assert first.encode("ascii") in target.read_bytes()[:MARKER_BYTES]
    error = refused("R102", partial(restore, storage, DEVICE, second, targets), target)
    assert str(target) in str(error)
    (done,) = restore(storage, DEVICE, second, targets, overwrite=True)
    assert done.kept_bytes == 0
    assert target.read_bytes() == disk.expected()
    refused("R102", partial(restore, storage, DEVICE, first, targets), target)  # a finished one is data like any other
    (again,) = restore(storage, DEVICE, second, targets)  # but for the same image
    assert again.written_bytes == 0
    assert target.read_bytes() == disk.expected()


def test_the_same_image_of_another_device_is_another_image() -> None:
    """Images of one play have one name, and the first of each device has the number 1."""
    one, other = (marker(device, "2026-11-23_20-00-00", 1, "disk0", "") for device in ("press-1", "press-2"))
    assert one != other
    assert len(marker("\u00e4" * 255, "2026-11-23_20-00-00", 10**12 - 1, "disk255", "f" * 64)) == MARKER_BYTES


def test_damage_that_comes_between_stops_the_second_half(storage: DirectoryStorage, memory_path: Path) -> None:
    """The image is verified again before a restore goes on: what is there stays marked, and nothing is written."""
    made = image_two(storage)
    targets = {"disk%d" % number: str(memory_path / ("target%d" % number)) for number in (0, 1)}
    count = killed_at(storage, made.image, {name: path + "-counted" for name, path in targets.items()}, None)
    assert count is not None
    assert killed_at(storage, made.image, targets, count - 60) is None
    path, position = next(damageable(storage, made, fmt.KIND_CHUNK))
    whole = flip_byte(path, position)
    refused("I101", partial(restore, storage, DEVICE, made.image, targets), *map(Path, targets.values()))
    path.write_bytes(whole)
    done = restore(storage, DEVICE, made.image, targets)
    assert sum(disk.kept_bytes for disk in done) > 0
    assert [Path(disk.target).read_bytes() for disk in done] == [disk.expected() for disk in made.disks]


@pytest.mark.root
def test_target_that_fills_up_goes_on_when_there_is_room(
    storage: DirectoryStorage, tmp_path: Path, need: Callable[..., None]
) -> None:
    need("mount", "umount")
    disk = partitioned()
    image = run_image(storage, disk).image
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=2m", "none", small)
    try:
        target = small / "target"
        restoring = partial(restore, storage, DEVICE, image, {"disk0": str(target)})
        with failing(RestoreWriteFailed, reason=errno.ENOSPC) as caught:
            restoring()
        assert caught.value.code == "R105"
        check_sentence(caught.value)
        assert target.read_bytes().startswith(MARK)
        run("mount", "-o", "remount,size=20m", small)
        (done,) = restoring()
        assert done.kept_bytes >= MIB
        assert target.read_bytes() == disk.expected()
    finally:
        run("umount", small)
