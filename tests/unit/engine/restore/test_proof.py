# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a restore proves its image, and that a target never becomes bootable by an image that is not whole."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, List

import pytest
from engine.errors import EngineError
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.reader import ImageReader
from engine.restore import proof as proofs
from engine.restore import restore as restoring
from engine.restore.plan import PlannedDisk, plan
from engine.restore.proof import choose, prove_ahead, warnings
from engine.restore.restore import restore
from engine.restore.target import MARKER_BYTES
from engine.restore.ways import AUTO, FIRST, WHILE_WRITING
from engine.storage.contract import PARALLEL_ROUND_TRIPS
from engine.storage.local.storage import DirectoryStorage
from support.imaging import PASSWORD
from support.refusing import check_sentence
from support.restoring import MARK, Made, damageable, flip_byte, image_two, refused, same_in_use
from support.small_runs import CHUNK, DEVICE, SmallDisk, make_small, run_image
from support.storages import CountingStorage


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture
def line(memory_path: Path) -> DirectoryStorage:
    """A storage whose calls count as round trips, as those of a server do."""
    storage = DirectoryStorage(str(memory_path / "storage"))
    storage.parallel_calls = PARALLEL_ROUND_TRIPS
    return storage


@pytest.fixture
def made(line: DirectoryStorage) -> Made:
    return image_two(line)


def planned_on(line: DirectoryStorage, made: Made, target: Path, overwrite: bool = False) -> List[PlannedDisk]:
    return plan(ImageReader(line, DEVICE, made.image, None), {"disk0": str(target)}, overwrite)


def without_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the damage lie where the sample did not look."""
    monkeypatch.setattr(proofs, "_LEAST_SAMPLED", 0)
    monkeypatch.setattr(proofs, "_SAMPLED_SHARE", 1 << 30)


def test_the_way_is_chosen_by_storage_and_targets(line: DirectoryStorage, made: Made, memory_path: Path) -> None:
    blank, used = memory_path / "blank", memory_path / "used"
    used.write_bytes(b"someone's data" + bytes(len(made.disks[0].data)))
    to_blank, to_used = planned_on(line, made, blank), planned_on(line, made, used, overwrite=True)
    assert choose(AUTO, line, to_blank, False).way == WHILE_WRITING
    assert choose(AUTO, line, to_used, False).way == FIRST  # what is on it must not be lost to a damaged image
    assert choose(AUTO, line, to_blank, True).way == FIRST
    assert [choose(way, line, to_used, False).way for way in (FIRST, WHILE_WRITING)] == [FIRST, WHILE_WRITING]
    line.parallel_calls = 1
    assert [choose(way, line, to_blank, False).way for way in (AUTO, FIRST, WHILE_WRITING)] == [FIRST] * 3


def test_who_overwrites_data_while_the_image_is_proved_is_warned(
    line: DirectoryStorage, made: Made, memory_path: Path
) -> None:
    target = memory_path / "used"
    target.write_bytes(b"someone's data" + bytes(len(made.disks[0].data)))
    planned = planned_on(line, made, target, overwrite=True)
    assert [len(warnings(choose(way, line, planned, False), planned)) for way in (FIRST, WHILE_WRITING)] == [0, 1]


def test_the_image_is_fetched_once(line: DirectoryStorage, made: Made, memory_path: Path) -> None:
    fetched = {}
    packs_bytes = sum(DeviceDirectory(line, DEVICE).packs().values())
    targets = {"disk%d" % number: str(memory_path / ("disk%d" % number)) for number in (0, 1)}
    for way in (FIRST, WHILE_WRITING):
        counting = CountingStorage(line)
        counting.parallel_calls = PARALLEL_ROUND_TRIPS
        done = restore(counting, DEVICE, made.image, targets, proof=way)
        assert [Path(disk.target).read_bytes() for disk in done] == [disk.expected() for disk in made.disks]
        fetched[way] = counting.fetched_bytes
        for path in targets.values():
            Path(path).unlink()
    assert fetched[FIRST] > 1.8 * packs_bytes
    # The sample, a few sectors and the index come on top of it.
    assert fetched[WHILE_WRITING] < 1.0 * packs_bytes + 2 * 5 * CHUNK + 16 * CHUNK


@pytest.mark.parametrize("code", ["I101", "I103"])
def test_damage_found_while_writing_leaves_nothing_bootable(
    code: str, line: DirectoryStorage, made: Made, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flipped bit, or a pack that goes after the first look: in each pack that the disk needs."""
    without_sample(monkeypatch)
    target = memory_path / "target"
    targets = {"disk0": str(target)}
    size = len(made.disks[0].data)
    before = b"\xee" * (size + 7 * CHUNK)
    needed = ImageReader(line, DEVICE, made.image, None).disk(0).root.packs
    places = [one for one in damageable(line, made, fmt.KIND_CHUNK) if one[0].name in needed]
    assert len(places) > 5
    for path, position in places:
        whole = path.read_bytes()

        def damage(*given: Any, path: Path = path, position: int = position) -> None:
            prove_ahead(*given)
            if code == "I101":
                flip_byte(path, position)
            else:
                path.unlink()

        monkeypatch.setattr(restoring, "prove_ahead", damage)
        target.write_bytes(before)
        with pytest.raises(EngineError) as caught:
            restore(line, DEVICE, made.image, targets, overwrite=True, proof=WHILE_WRITING)
        assert caught.value.code == code
        check_sentence(caught.value)
        assert str(target) in str(caught.value)
        data = target.read_bytes()
        assert data != before
        assert data.startswith(MARK)
        # No table at either end of the disk and no start of a volume of the image; of the old table both ends are cleared.
        boots = [(MARKER_BYTES, 2 * CHUNK), (32 * CHUNK, 33 * CHUNK), (64 * CHUNK, 65 * CHUNK), (size - CHUNK, size)]
        assert all(set(data[start:end]) <= {0, 0xEE} for start, end in boots)
        assert not any(data[MARKER_BYTES : 34 * MARKER_BYTES] + data[-33 * MARKER_BYTES :])
        path.write_bytes(whole)
    monkeypatch.setattr(restoring, "prove_ahead", prove_ahead)
    restore(line, DEVICE, made.image, targets, overwrite=True, proof=WHILE_WRITING)
    same_in_use(made.disks[0], target.read_bytes())
    assert target.read_bytes()[:CHUNK] == made.disks[0].expected()[:CHUNK]


def test_a_second_try_completes_what_damage_stopped(
    line: DirectoryStorage, made: Made, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a yes to overwrite, and what was restored before stays."""
    without_sample(monkeypatch)
    target = memory_path / "target"
    place = ImageReader(line, DEVICE, made.image, None).disk(0).segment(5).place_at(5)  # in the middle of a volume
    path = Path(line.description) / fmt.pack_path(DEVICE, place.pack)
    whole = flip_byte(path, place.offset + place.stored_bytes // 2)
    with pytest.raises(EngineError) as caught:
        restore(line, DEVICE, made.image, {"disk0": str(target)})
    assert caught.value.code == "I101"
    assert target.read_bytes().startswith(MARK)
    path.write_bytes(whole)
    (planned,) = planned_on(line, made, target)
    assert planned.resumes
    (done,) = restore(line, DEVICE, made.image, {"disk0": str(target)})
    assert target.read_bytes() == made.disks[0].expected()
    assert done.kept_bytes + done.written_bytes >= len(made.disks[0].used) * CHUNK


@pytest.mark.parametrize("kind", [fmt.KIND_SEGMENT, fmt.SUMS_NAME])
def test_a_damaged_index_is_found_before_the_first_byte(
    kind: object, line: DirectoryStorage, memory_path: Path
) -> None:
    disk = SmallDisk(chunks=40)
    image = run_image(line, disk, Passwords(PASSWORD)).image
    target = memory_path / "target"
    target.write_bytes(b"x" * len(disk.data))
    found = 0
    for path, position in damageable(line, Made(image, [disk]), kind):
        whole = flip_byte(path, position)
        targets = {"disk0": str(target)}
        work = partial(restore, line, DEVICE, image, targets, password=PASSWORD, overwrite=True, proof=WHILE_WRITING)
        refused("I101", work, target)
        path.write_bytes(whole)
        found += 1
    assert found


@pytest.mark.parametrize("kind", [fmt.index_name(0), fmt.MANIFEST_NAME])
def test_of_a_damaged_root_or_manifest_the_second_copy_is_restored(
    kind: object, line: DirectoryStorage, made: Made, memory_path: Path
) -> None:
    """What is written is proved all the same."""
    target = memory_path / "target"
    for path, position in damageable(line, made, kind):
        whole = flip_byte(path, position)
        restore(line, DEVICE, made.image, {"disk0": str(target)}, proof=WHILE_WRITING)
        assert target.read_bytes() == made.disks[0].expected()
        target.unlink()
        path.write_bytes(whole)


@pytest.mark.parametrize("more_bytes", [-1, 1])
def test_a_pack_of_another_size_is_found_before_the_first_byte(
    more_bytes: int, line: DirectoryStorage, made: Made, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when another pack makes up for it, so that the sum is right."""
    without_sample(monkeypatch)
    folder = Path(line.description)
    packs = [folder / fmt.pack_path(DEVICE, name) for name in sorted(DeviceDirectory(line, DEVICE).packs())]
    for path, change in ((packs[0], more_bytes), (packs[1], -more_bytes)):
        data = path.read_bytes()
        path.write_bytes(data + b"x" if change > 0 else data[:-1])
    targets = {"disk%d" % number: str(memory_path / ("disk%d" % number)) for number in (0, 1)}
    work = partial(restore, line, DEVICE, made.image, targets, proof=WHILE_WRITING)
    refused("I101", work, *map(Path, targets.values()))


def test_the_sample_finds_what_is_damaged_everywhere(line: DirectoryStorage, made: Made, memory_path: Path) -> None:
    target = memory_path / "target"
    places = list(damageable(line, made, fmt.KIND_CHUNK))
    for path, position in places:
        flip_byte(path, position)
    reader = ImageReader(line, DEVICE, made.image, None)
    with pytest.raises(EngineError) as caught:
        prove_ahead(line, DEVICE, reader, planned_on(line, made, target))
    assert caught.value.code == "I101"
    refused("I101", partial(restore, line, DEVICE, made.image, {"disk0": str(target)}, proof=WHILE_WRITING), target)
