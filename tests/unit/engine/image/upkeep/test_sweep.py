# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 4: packs and directories leave in two steps, through the trash, and come back when they are needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.errors import StoragePermissionDenied
from engine.image.format import constants as fmt
from engine.image.reader import ImageReader
from engine.image.upkeep.rollover import pin, roll_over
from engine.image.upkeep.verify import verify_image
from engine.restore.restore import restore
from support.plant import DAY, NOW, Plant
from support.small_runs import DEVICE, make_small
from support.storages import HookedStorage


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


# -- two steps --------------------------------------------------------------------------------------------------------


def test_packs_leave_in_two_steps() -> None:
    plant = Plant(2)
    gone, stays = plant.packs_of(plant.names[0]), plant.packs_of(plant.names[1])
    first = plant.roll(1)
    assert set(first.trashed_packs) == gone
    assert first.purged_packs == []
    assert plant.trashed() == gone
    assert set(plant.directory.packs()) == stays
    plant.make()
    second = plant.roll(2, NOW + DAY)
    assert set(second.purged_packs) == gone
    assert second.freed_bytes > 0
    assert plant.trashed() == set()


def test_a_slow_storage_is_swept_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.image.upkeep.sweep_time.LONGEST_SECONDS", -1.0)
    monkeypatch.setattr("engine.image.upkeep.sweep_time._LEAST", 1)
    plant = Plant(2)
    gone = plant.packs_of(plant.names[0])
    assert len(gone) > 1
    first = plant.roll(1)
    assert len(first.trashed_packs) == 1
    assert any("the next rollover continues" in warning for warning in first.warnings)
    for dummy in range(len(gone) - 1):
        assert len(plant.roll(1).trashed_packs) == 1
    assert plant.trashed() == gone
    plant.make()
    purged = [pack for dummy in gone for pack in plant.roll(2, NOW + DAY).purged_packs]
    assert sorted(purged) == sorted(gone)
    assert plant.trashed() == set()


@pytest.mark.parametrize("age_seconds", [0, DAY - 1, -DAY])
def test_a_later_image_alone_is_not_enough(age_seconds: int) -> None:
    plant = Plant(2)
    gone = plant.packs_of(plant.names[0])
    plant.roll(1)
    plant.make()
    plant.make()
    assert plant.roll(3, NOW + age_seconds).purged_packs == []
    assert plant.trashed() == gone


def test_age_alone_is_not_enough() -> None:
    plant = Plant(2)
    gone = plant.packs_of(plant.names[0])
    plant.roll(1)
    for days in (1, 30, 3000):
        assert plant.roll(1, NOW + days * DAY).purged_packs == []
    assert plant.trashed() == gone


def test_a_pack_that_is_needed_and_only_in_the_trash_is_never_purged() -> None:
    plant = Plant(2)
    pack = min(plant.packs_of(plant.names[1]))
    plant.directory.move_to_trash(pack, 1, NOW)
    assert plant.roll(2, NOW + 10 * DAY).purged_packs == []
    plant.check(plant.names[1])


def test_of_two_copies_the_one_in_the_trash_goes() -> None:
    plant = Plant(2)
    pack = min(plant.packs_of(plant.names[1]))
    data = plant.storage.get(fmt.pack_path(DEVICE, pack))
    plant.storage.put("%s/trash/%s.1.%d" % (DEVICE, pack, NOW), [data])
    assert plant.roll(2, NOW + DAY - 1).purged_packs == []
    # A stump in use is not the other copy: the one in the trash may be the last whole one.
    plant.storage.put(fmt.pack_path(DEVICE, pack), [data[:-1]], replace=True)
    assert plant.roll(2, NOW + DAY).purged_packs == []
    plant.storage.put(fmt.pack_path(DEVICE, pack), [data], replace=True)
    assert plant.roll(2, NOW + DAY).purged_packs == [pack]
    plant.check(*plant.names)


def test_a_second_copy_may_go_to_the_trash() -> None:
    """The same pack is trashed, sent again and trashed again, at the very same second."""
    plant = Plant(1)
    pack = "ab" + "0" * 62
    for dummy in range(2):
        plant.storage.make_directory("%s/packs/ab" % DEVICE)
        plant.storage.put(fmt.pack_path(DEVICE, pack), [b"x"])
        assert plant.roll(1).trashed_packs == [pack]
    assert plant.trashed() == {pack}


def test_a_dry_run_changes_nothing_and_says_what_the_real_one_does() -> None:
    plant = Plant(3)
    plant.roll(2)
    plant.make()
    pin(plant.storage, DEVICE, plant.names[1], True)
    files, directories = dict(plant.storage.files), set(plant.storage.directories)
    dry = plant.roll(1, NOW + DAY, dry_run=True)
    assert (plant.storage.files, plant.storage.directories) == (files, directories)
    real = plant.roll(1, NOW + DAY)
    assert dry == real._replace(dry_run=True)
    assert real.deleted == [plant.names[2]]
    assert real.trashed_packs
    assert real.purged_packs


def test_a_reader_finds_in_the_trash_what_left_while_it_read() -> None:
    plant = Plant(2)
    disk = ImageReader(plant.storage, DEVICE, plant.names[0], None).disk(0)
    expected = plant.expected[plant.names[0]]
    assert disk.read(0, 10) == expected[:10]
    gone = plant.packs_of(plant.names[0])
    plant.roll(1)
    assert plant.trashed() == gone
    got = bytearray(disk.size_bytes)
    for piece in disk.stream():
        if piece.data is not None:
            got[piece.offset_bytes : piece.offset_bytes + piece.length_bytes] = piece.data
    assert bytes(got) == expected
    assert disk.read(len(expected) - 70_000, 70_000) == expected[-70_000:]


# -- what can't be read, what is half-made ----------------------------------------------------------------------------


def test_what_a_killed_run_left_goes_to_the_trash_as_a_whole() -> None:
    plant = Plant(1)
    name = "2026-11-24_00-00-00"
    left = plant.directory.path(name)
    plant.storage.make_directory(left + "/keys")
    for file in ("disk0.checkpoint", "device.json.7.partial", "keys/slot.json"):
        plant.storage.put("%s/%s" % (left, file), [b"x"])
    plant.storage.put("%s/packs/%s" % (DEVICE, "x.partial"), [b"x"])
    plant.storage.put("%s/keys/x.json.1.partial" % DEVICE, [b"x"])
    plant.roll(1)
    assert not plant.storage.exists(left)
    assert [leftover.image for leftover in plant.directory.put_aside()] == [name]
    inside = [path for path in plant.storage.files if path.startswith("%s/trash/%s" % (DEVICE, name))]
    assert len(inside) == 3
    assert not plant.storage.exists("%s/keys/x.json.1.partial" % DEVICE)
    plant.roll(1, NOW + DAY - 1)
    assert len(plant.directory.put_aside()) == 1
    plant.roll(1, NOW + DAY)
    assert len(plant.directory.put_aside()) == 1, "no run has succeeded since"
    assert plant.make() > name
    plant.roll(2, NOW + DAY)
    assert plant.directory.put_aside() == []
    assert not [path for path in plant.storage.files if name in path]


def test_an_image_that_is_committed_in_the_moment_when_it_is_put_aside_comes_back() -> None:
    plant = Plant(2)
    name = plant.names[1]
    path = plant.directory.path(name, fmt.MANIFEST_NAME)
    manifest = plant.storage.get(path)
    plant.storage.delete(path)

    def commit(moment: str, operation: str, where: str) -> None:
        if (moment, operation, where) == ("before", "rename", plant.directory.path(name)):
            plant.storage.put(path, [manifest])

    hooked = HookedStorage(plant.storage, commit)
    roll_over(hooked, DEVICE, 2, openable_key="", now=lambda: NOW)
    assert plant.listed() == plant.names
    plant.check(*plant.names)


def test_an_image_whose_sweep_was_killed_before_it_came_back_comes_back_later() -> None:
    plant = Plant(2)
    plant.storage.rename(plant.directory.path(plant.names[1]), "%s/trash/%s.%d" % (DEVICE, plant.names[1], NOW))
    assert plant.listed() == plant.names[:1]
    plant.roll(2, NOW + 10 * DAY)
    assert plant.listed() == plant.names
    plant.check(*plant.names)


def test_records_go_with_their_image_only() -> None:
    plant = Plant(2)
    plant.directory.add_record(plant.names[0], "verified", {"ok": True})
    plant.directory.add_record(plant.names[1], "verified", {"ok": True})
    plant.directory.add_record("2020-01-01_00-00-00", "verified", {"ok": True})
    plant.roll(1)
    assert [entry.name for entry in plant.storage.list("%s/records" % DEVICE)] == plant.names[1:]


def test_two_rollovers_at_once_do_not_stop_each_other() -> None:
    """Another host rolls over between steps of ours."""
    moment, finished = 0, False
    while not finished:
        plant = Plant(3)
        plant.roll(2)
        plant.make()
        plant.storage.make_directory("%s/2027-01-01_00-00-00" % DEVICE)
        moment += 5
        count = 0

        def rival(*dummy: object, plant: Plant = plant, at: int = moment) -> None:
            nonlocal count
            count += 1
            if count == at:
                plant.roll(1, NOW + DAY)

        hooked = HookedStorage(plant.storage, rival)
        roll_over(hooked, DEVICE, 1, openable_key="", now=lambda: NOW + DAY)
        finished = count < moment
        assert plant.listed() == plant.names[-1:], moment
        plant.check(plant.names[-1])
    assert moment > 100


@pytest.mark.parametrize("denied", ["rename", "make_directory"])
def test_who_may_only_read_finds_in_the_trash_what_can_not_be_moved_back(denied: str, tmp_path: Path) -> None:
    """A sweep took packs of an image that was committed meanwhile, and its run was killed before they came back."""
    plant = Plant(2)
    for pack in plant.packs_of(plant.names[0]):
        plant.directory.move_to_trash(pack, 1)

    def hook(dummy_moment: str, operation: str, path: str) -> None:
        if operation == denied:
            raise StoragePermissionDenied(storage="a share", operation=operation, path=path)

    reading = HookedStorage(plant.storage, hook)
    for level in ("quick", "storage", "full"):
        assert verify_image(reading, DEVICE, plant.names[0], level, record=False).problems == []
    target = tmp_path / "target"
    restore(reading, DEVICE, plant.names[0], {"disk0": str(target)})
    assert target.read_bytes() == plant.expected[plant.names[0]]
    first = plant.directory.trash()[0]
    place = plant.directory.path(fmt.TRASH, first.file_name)
    plant.storage.files[place] = plant.storage.files[place][:-1] + b"x"
    assert not verify_image(reading, DEVICE, plant.names[0], "storage", record=False).ok
