# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores of some partitions of an image of the whole disk, and of a disk onto another one of the same image."""

from __future__ import annotations

import contextlib
import random
import subprocess
from functools import partial
from pathlib import Path
from typing import Iterator, List

import pytest
from engine.disk.filesystems.contract import VolumeState
from engine.disk.used import plan_disk
from engine.errors import RestoreWriteFailed
from engine.image.format.contents import DiskContents
from engine.image.reader import ImageReader
from engine.image.writing.writer import DiskInput, ImageOrder, write_image
from engine.restore.document import plan_document
from engine.restore.resize.wishes import Wishes
from engine.restore.restore import plan, restore, sentences
from engine.restore.target import Target
from engine.storage.local.storage import DirectoryStorage
from support.filled import MIB
from support.random_tables import TableDisk, gpt_disk, image_of, mbr_disk, noise
from support.restoring import MARK, refused
from support.small_runs import DEVICE, make_small

SIZE = 3 * MIB
NOON = "2026-11-23_20-00-00"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture
def storage(memory_path: Path) -> DirectoryStorage:
    return DirectoryStorage(str(memory_path / "storage"))


def table_disk(seed: int) -> TableDisk:
    """A disk of two partitions or more."""
    chance = random.Random(seed)
    while True:
        disk = chance.choice([mbr_disk, gpt_disk])(chance, chance.choice([512, 4096]), SIZE)
        if len(disk.spans) > 1:
            return disk


def numbers_of(disk: TableDisk) -> List[int]:
    return [number for number, dummy in disk.spans]


def only(*numbers: int) -> Wishes:
    return Wishes(only=tuple("disk0p%d" % number for number in numbers))


def lived_on(disk: TableDisk, seed: int) -> bytearray:
    """The same disk with other content in every partition."""
    chance = random.Random(seed)
    now = bytearray(disk.data)
    for number in numbers_of(disk):
        place = disk.range_of(number)
        now[place] = noise(chance, place.stop - place.start)
    return now


def with_parts(below: bytes, disk: TableDisk, numbers: List[int]) -> bytes:
    expected = bytearray(below)
    for number in numbers:
        expected[disk.range_of(number)] = disk.data[disk.range_of(number)]
    return bytes(expected)


def test_no_byte_outside_the_selected_partitions_changes(storage: DirectoryStorage, memory_path: Path) -> None:
    target = memory_path / "target"
    for seed in range(30):
        disk, device = table_disk(seed), "%s-%d" % (DEVICE, seed)
        image = image_of(storage, device, disk, numbers_of(disk), NOON)
        chosen = random.Random(seed).sample(numbers_of(disk), random.Random(seed).randrange(1, len(disk.spans)))
        now = lived_on(disk, seed)
        target.write_bytes(now)
        restore(storage, device, image, {"disk0": str(target)}, overwrite=True, wishes=only(*chosen))
        assert target.read_bytes() == with_parts(now, disk, chosen), seed


def test_onto_a_new_disk_the_table_comes_too_and_the_others_stay_blank(
    storage: DirectoryStorage, memory_path: Path
) -> None:
    disk = table_disk(3)
    image = image_of(storage, DEVICE, disk, numbers_of(disk), NOON)
    first, *others = numbers_of(disk)
    target = memory_path / "target"
    target.write_bytes(bytes(SIZE))
    reader = ImageReader(storage, DEVICE, image, None)
    planned = plan(reader, {"disk0": str(target)}, overwrite=False, wishes=only(first))
    actions = {one["number"]: one["action"] for one in plan_document(planned, image)["disks"][0]["partitions"]}
    assert actions == {first: "kept", **dict.fromkeys(others, "left unchanged")}
    assert "not selected" in sentences(planned, image)[0]
    restore(storage, DEVICE, image, {"disk0": str(target)}, wishes=only(first))
    assert target.read_bytes() == with_parts(with_blank(disk), disk, [first]), (
        "the table and the first partition, and zeros"
    )
    for number in others:  # and one by one the disk gets whole
        restore(storage, DEVICE, image, {"disk0": str(target)}, overwrite=True, wishes=only(number))
    assert target.read_bytes() == disk.data


def with_blank(disk: TableDisk) -> bytes:
    data = bytearray(disk.data)
    for number in numbers_of(disk):
        place = disk.range_of(number)
        data[place] = bytes(place.stop - place.start)
    return bytes(data)


def test_another_table_goes_by_an_explicit_yes_only(storage: DirectoryStorage, memory_path: Path) -> None:
    disk = table_disk(5)
    other = next(one for one in map(table_disk, range(6, 99)) if one.sector_bytes == disk.sector_bytes)
    image = image_of(storage, DEVICE, disk, numbers_of(disk), NOON)
    target = memory_path / "target"
    target.write_bytes(other.data)
    work = partial(restore, storage, DEVICE, image, {"disk0": str(target)}, overwrite=True)
    chosen = numbers_of(disk)[0]
    refused("R110", partial(work, wishes=only(chosen)), target)
    work(wishes=only(chosen), replace_table=[str(number) for number in numbers_of(other)])
    assert target.read_bytes()[disk.range_of(chosen)] == disk.data[disk.range_of(chosen)]


@pytest.mark.parametrize("named", ["disk0p99", "disk1p1", "C:", "", "disk0", "0"])
def test_a_partition_that_is_not_there_is_refused_with_those_that_are(
    named: str, storage: DirectoryStorage, memory_path: Path
) -> None:
    disk = table_disk(7)
    image = image_of(storage, DEVICE, disk, numbers_of(disk), NOON, disks=2)
    target = memory_path / "target"
    target.write_bytes(bytes(SIZE))
    error = refused(
        "R170",
        partial(restore, storage, DEVICE, image, {"disk0": str(target)}, wishes=Wishes(only=(named,))),
        target,
    )
    assert all("disk0p%d" % number in error.as_dict()["hint"] for number in numbers_of(disk))


def test_a_disk_with_a_target_and_no_selected_partition_is_refused(
    storage: DirectoryStorage, memory_path: Path
) -> None:
    disk = table_disk(8)
    image = image_of(storage, DEVICE, disk, numbers_of(disk), NOON, disks=2)
    targets = {"disk%d" % number: str(memory_path / ("target%d" % number)) for number in range(2)}
    work = partial(restore, storage, DEVICE, image, targets, wishes=only(numbers_of(disk)[0]))
    assert "disk1" in str(refused("R170", work, *map(Path, targets.values())))


def test_a_partition_that_the_image_lacks_can_not_be_selected(storage: DirectoryStorage, memory_path: Path) -> None:
    disk = table_disk(9)
    first, second = numbers_of(disk)[:2]
    image = image_of(storage, DEVICE, disk, [first], NOON)
    target = memory_path / "target"
    refused("R170", partial(restore, storage, DEVICE, image, {"disk0": str(target)}, wishes=only(second)), target)


@pytest.mark.parametrize("wishes", [{"grow": "last"}, {"shrink": True}, {"new_identity": True}])
def test_selected_partitions_are_not_resized_or_renewed(
    wishes: dict[str, object], storage: DirectoryStorage, memory_path: Path
) -> None:
    disk = table_disk(10)
    image = image_of(storage, DEVICE, disk, numbers_of(disk), NOON)
    target = memory_path / "target"
    target.write_bytes(bytes(SIZE + (MIB if "grow" in wishes else -MIB if "shrink" in wishes else 0)))
    both = Wishes(**wishes)._replace(only=("disk0p%d" % numbers_of(disk)[0],))  # type: ignore[arg-type]
    code = "R163" if "new_identity" in wishes else "R148"
    refused(code, partial(restore, storage, DEVICE, image, {"disk0": str(target)}, wishes=both), target)


def stopped_at(write: int, work: partial[object]) -> bool:
    """Run ``work``, whose write with this number fails; whether it came so far."""
    original, seen = Target.write_pieces, [0]

    def failing(target: Target, offset_bytes: int, pieces: List[bytes]) -> None:
        seen[0] += 1
        if seen[0] >= write:
            raise RestoreWriteFailed(target=target.path, offset_bytes=0, length_bytes=0, reason="killed")
        original(target, offset_bytes, pieces)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Target, "write_pieces", failing)
        try:
            work()
        except RestoreWriteFailed:
            return True
    return False


def test_a_restore_of_other_partitions_does_not_complete_an_interrupted_one(
    storage: DirectoryStorage, memory_path: Path
) -> None:
    """It would leave a disk that claims to be restored, and of which most was never written."""
    disk = table_disk(11)
    image = image_of(storage, DEVICE, disk, numbers_of(disk), NOON)
    target = memory_path / "target"
    target.write_bytes(bytes(SIZE))
    work = partial(restore, storage, DEVICE, image, {"disk0": str(target)})
    assert stopped_at(4, work)
    assert target.read_bytes().startswith(MARK)
    refused("R171", partial(work, wishes=only(numbers_of(disk)[0]), overwrite=True), target)
    work()
    assert target.read_bytes() == disk.data


def test_an_interrupted_restore_of_partitions_goes_on(storage: DirectoryStorage, memory_path: Path) -> None:
    disk = table_disk(12)
    chosen = numbers_of(disk)[-1]
    image = image_of(storage, DEVICE, disk, numbers_of(disk), NOON)
    target = memory_path / "target"
    now = lived_on(disk, 12)
    work = partial(restore, storage, DEVICE, image, {"disk0": str(target)}, wishes=only(chosen))
    for moment in range(1, 200):
        target.write_bytes(now)
        if not stopped_at(moment, partial(work, overwrite=True)):
            break
        work(overwrite=moment == 1)
        assert target.read_bytes() == with_parts(now, disk, [chosen]), moment
    assert moment > 3
    assert target.read_bytes() == with_parts(now, disk, [chosen])


@contextlib.contextmanager
def attached(file: Path, sector_bytes: int) -> Iterator[str]:
    command = ["losetup", "-f", "--show", "-b", str(sector_bytes), str(file)]
    loop = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield loop
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)


def test_the_target_that_is_the_images_other_disk_is_refused(storage: DirectoryStorage, memory_path: Path) -> None:
    """Names of disks change from start to start: the disk that is alive must not get what belongs onto the new one."""
    dead, alive = table_disk(13), table_disk(14)
    image = two_disks(storage, dead, alive)
    file = memory_path / "alive"
    file.write_bytes(alive.data)
    with attached(file, alive.sector_bytes) as loop:
        work = partial(restore, storage, DEVICE, image, {"disk0": loop}, overwrite=True)
        error = refused("R169", work, file)
        assert "disk1" in str(error)
        assert "disk0" in str(error)
        restore(storage, DEVICE, image, {"disk1": loop}, overwrite=True)
        assert file.read_bytes() == alive.data
        if dead.sector_bytes == alive.sector_bytes:
            work(replace_table=["disk1"])
            assert file.read_bytes() == dead.data


def two_disks(storage: DirectoryStorage, *disks: TableDisk) -> str:
    inputs, notes = [], {}
    for number, disk in enumerate(disks):
        layout = disk.layout()
        used = plan_disk(disk.source(), layout, lambda partition: VolumeState.OFFLINE, set(numbers_of(disk))).used
        name = "%s:%s" % (layout.scheme, layout.disk_id)
        inputs.append(DiskInput(disk.source(), used, name, DiskContents("", name, [])))
        volumes = [{"number": one, "selected": True} for one in numbers_of(disk)]
        notes["disk%d" % number] = {"layout": layout.as_dict(), "volumes": volumes}
    order = ImageOrder(DEVICE, NOON, inputs, created=NOON, device_information={"disks": notes})
    return write_image(storage, order).image
