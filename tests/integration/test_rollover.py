# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules 3 and 4: which images go and which stay, and how packs and directories leave in two steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Set

import pytest
from engine.agent import jobs
from engine.errors import JobInvalid, StoragePermissionDenied
from engine.image import format as fmt
from engine.image.access import Passwords
from engine.image.directory import DeviceDirectory
from engine.image.manifest import encode
from engine.image.reader import ImageReader
from engine.image.rollover import RolloverReport, pin, roll_over
from engine.image.verify import verify_image
from engine.storage.directory import DirectoryStorage
from support import imaging
from support.small_runs import DEVICE, SmallDisk, make_small, read_image, run_image
from support.storages import HookedStorage, MemoryStorage

DAY = 24 * 3600
NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


class Plant:
    """A storage with images whose disks share nothing, so that every image has packs of its own."""

    def __init__(self, images: int = 0) -> None:
        self.storage = MemoryStorage()
        self.disk = SmallDisk(24)
        self.names: List[str] = []
        self.expected: Dict[str, bytes] = {}
        for dummy in range(images):
            self.make()

    @property
    def directory(self) -> DeviceDirectory:
        return DeviceDirectory(self.storage, DEVICE)

    def make(self, **passwords: Any) -> str:
        self.disk.write(*range(self.disk.chunks))
        name = run_image(self.storage, self.disk, Passwords(**passwords)).image
        self.names.append(name)
        self.expected[name] = self.disk.expected()
        return name

    def roll(self, keep: int, now: float = NOW, key: Optional[str] = "", **more: Any) -> RolloverReport:
        return roll_over(self.storage, DEVICE, keep, openable_key=key, now=lambda: now, **more)

    def listed(self) -> List[str]:
        return [manifest.image for manifest in self.directory.images()]

    def packs_of(self, image: str) -> Set[str]:
        return set(self.directory.sums(image).packs)

    def trashed(self) -> Set[str]:
        return {entry.pack for entry in self.directory.trash()}

    def check(self, *images: str, password: Optional[str] = None) -> None:
        for image in images:
            report = verify_image(self.storage, DEVICE, image, "full", password=password, record=False)
            assert report.ok, report.problems
            assert read_image(self.storage, image, password) == self.expected[image]


# -- which images go --------------------------------------------------------------------------------------------------


def test_the_oldest_go() -> None:
    plant = Plant(4)
    report = plant.roll(2)
    assert report.deleted == plant.names[:2]
    assert plant.listed() == plant.names[2:]
    plant.check(*plant.names[2:])
    for name in plant.names[:2]:
        assert not plant.storage.exists(plant.directory.path(name))
        assert not plant.storage.exists(plant.directory.path(fmt.RECORDS, name))


def test_order_is_the_sequence_not_the_name_nor_the_clock() -> None:
    plant = Plant(4)
    reversed_numbers = dict(zip(plant.names, (4, 3, 2, 1)))
    for manifest in plant.directory.images():
        forged = manifest._replace(sequence=reversed_numbers[manifest.image], created="2009-01-01_00-00-00")
        plant.storage.put(plant.directory.path(manifest.image, fmt.MANIFEST_NAME), [encode(forged, None)], replace=True)
    plant.roll(1, now=0)
    assert plant.listed() == plant.names[:1]


def test_only_complete_images_count() -> None:
    plant = Plant(2)
    for day in range(10, 20):  # what killed runs left, with newer names
        plant.storage.make_directory("%s/2027-01-%d_00-00-00" % (DEVICE, day))
    assert plant.roll(2).deleted == []
    assert plant.listed() == plant.names


@pytest.mark.parametrize("keep", [0, -1])
def test_keeping_none_is_refused(keep: int) -> None:
    plant = Plant(2)
    before = dict(plant.storage.files)
    with pytest.raises(JobInvalid):
        plant.roll(keep)
    assert plant.storage.files == before


@pytest.mark.parametrize("images", [0, 1])
def test_the_only_image_stays_and_none_is_no_error(images: int) -> None:
    plant = Plant(images)
    assert plant.roll(1).deleted == []
    assert plant.listed() == plant.names


def test_pinned_and_archived_images_stay_and_do_not_count() -> None:
    plant = Plant(5)
    pin(plant.storage, DEVICE, plant.names[0], True)
    pin(plant.storage, DEVICE, plant.names[1], True)
    pin(plant.storage, DEVICE, plant.names[1], False)
    plant.directory.add_record(plant.names[2], "archived", {"version": 1})
    report = plant.roll(1)
    assert report.spared == {plant.names[0]: "it is pinned", plant.names[2]: "it is archived"}
    assert plant.listed() == [plant.names[0], plant.names[2], plant.names[4]]
    pin(plant.storage, DEVICE, plant.names[0], False)
    plant.roll(1, NOW + 2 * DAY)
    assert plant.listed() == [plant.names[2], plant.names[4]]
    plant.check(*plant.listed())


def test_the_last_image_of_every_key_that_the_password_does_not_open_stays() -> None:
    plant = Plant()
    for word in ("first", "second", "third"):
        plant.make(password=word, new_key=bool(plant.names))
        plant.make(password=word)
    keys = [manifest.key_id for manifest in plant.directory.images()]
    assert len(set(keys)) == 3
    report = plant.roll(1, key=keys[-1])
    assert plant.listed() == [plant.names[1], plant.names[3], plant.names[5]]
    assert set(report.spared) == {plant.names[1], plant.names[3]}
    plant.check(plant.names[1], password="first")
    plant.check(plant.names[3], password="second")
    # Who opens an old key lets that one go, and only that one.
    plant.roll(1, key=keys[0])
    assert plant.listed() == [plant.names[3], plant.names[5]]


def test_with_no_password_at_all_the_last_image_of_each_key_stays() -> None:
    plant = Plant()
    plant.make(password="first")
    plant.make(password="second", new_key=True)
    plant.make(password="second")
    plant.roll(1, key=None)
    assert plant.listed() == [plant.names[0], plant.names[2]]


def test_a_clear_image_needs_no_key_and_goes() -> None:
    plant = Plant(1)
    plant.make(password="first")
    key = plant.directory.images()[-1].key_id
    plant.roll(1, key=key)
    assert plant.listed() == plant.names[1:]


# -- what is not ours -------------------------------------------------------------------------------------------------


def test_foreign_directories_and_files_are_left_alone() -> None:
    plant = Plant(3)
    foreign = {
        "pc/notes/readme.txt": b"mine",
        "pc/2026-11-23/image.json": b"{}",
        "pc/2026-11-23_20-00-00 copy/image.json": b"{}",
        "pc/packs/readme": b"mine",
        "pc/packs/ab/" + "x" * 64: b"mine",
        "pc/packs/other/" + "0" * 64: b"mine",
        "pc/trash/something": b"mine",
        "pc/trash/old/thing": b"mine",
        "pc/records/notes/readme.txt": b"mine",
        "pc/keys/readme.txt": b"mine",
        "pc/readme.txt": b"mine",
        "pc2/2026-11-23_20-00-00/image.json": b"{}",
        "elsewhere/file": b"mine",
    }
    for path, data in foreign.items():
        plant.storage.make_directory(path.rpartition("/")[0])
        plant.storage.put(path, [data])
    for days in range(0, 8, 2):
        plant.roll(1, NOW + days * DAY)
        plant.make()
    assert {path: plant.storage.files.get(path) for path in foreign} == foreign


def test_a_foreign_directory_inside_an_image_stays_and_stops_nothing() -> None:
    plant = Plant(3)
    inside = plant.directory.path(plant.names[0], "notes")
    plant.storage.make_directory(inside)
    plant.storage.put(inside + "/readme.txt", [b"mine"])
    report = plant.roll(1)
    assert [text for text in report.warnings if plant.names[0] in text]
    assert plant.listed() == plant.names[2:]
    for days in (2, 4):
        plant.make()
        plant.roll(1, NOW + days * DAY)
    found = [path for path in plant.storage.files if path.endswith("notes/readme.txt")]
    assert len(found) == 1
    plant.check(*plant.listed())


def test_links_are_neither_followed_nor_removed(tmp_path: Path) -> None:
    storage, disk = DirectoryStorage(str(tmp_path / "storage")), SmallDisk(8)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"mine")
    first = run_image(storage, disk).image
    second = run_image(storage, disk).image
    place = tmp_path / "storage" / DEVICE
    (place / first / "link").symlink_to(outside)
    (place / "2026-01-01_00-00-00").symlink_to(outside)
    (place / "records" / "2026-01-01_00-00-00").symlink_to(outside)
    report = roll_over(storage, DEVICE, 1, openable_key="", now=lambda: NOW)
    assert report.deleted == [first]
    assert [text for text in report.warnings if first in text]
    assert (outside / "file").read_bytes() == b"mine"
    assert verify_image(storage, DEVICE, second, "full").ok


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


@pytest.mark.parametrize("damage", ["manifest", "empty manifest", "sums", "no sums"])
def test_what_an_image_needs_is_not_known_then_nothing_is_swept(damage: str) -> None:
    plant = Plant(3)
    name = fmt.SUMS_NAME if "sums" in damage else fmt.MANIFEST_NAME
    path = plant.directory.path(plant.names[1], name)
    original = plant.storage.get(path)
    if damage == "no sums":
        plant.storage.delete(path)
    else:
        plant.storage.put(path, [b"" if damage.startswith("empty") else b"{" + original], replace=True)
    packs = plant.directory.packs()
    report = plant.roll(2)
    assert [text for text in report.warnings if plant.names[1] in text]
    assert report.trashed_packs == []
    assert plant.directory.packs() == packs
    assert plant.storage.exists(plant.directory.path(plant.names[1]))
    plant.storage.put(path, [original], replace=True)
    plant.check(plant.names[1], plant.names[2])


def test_what_a_killed_run_left_goes_to_the_trash_as_a_whole() -> None:
    plant = Plant(1)
    name = "2027-01-01_00-00-00"
    left = plant.directory.path(name)
    plant.storage.make_directory(left + "/keys")
    for file in ("disk0.checkpoint", "device.json.7.partial", "keys/slot.json"):
        plant.storage.put("%s/%s" % (left, file), [b"x"])
    plant.storage.put("%s/packs/%s" % (DEVICE, "x.partial"), [b"x"])
    plant.storage.put("%s/keys/x.json.1.partial" % DEVICE, [b"x"])
    plant.roll(1)
    assert not plant.storage.exists(left)
    assert [leftover.image for leftover in plant.directory.leftovers()] == [name]
    inside = [path for path in plant.storage.files if path.startswith("%s/trash/%s" % (DEVICE, name))]
    assert len(inside) == 3
    assert not plant.storage.exists("%s/keys/x.json.1.partial" % DEVICE)
    plant.roll(1, NOW + DAY - 1)
    assert len(plant.directory.leftovers()) == 1
    plant.roll(1, NOW + DAY)
    assert plant.directory.leftovers() == []
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


# -- a device that may not delete -------------------------------------------------------------------------------------


def test_a_device_that_may_not_delete_makes_its_image_and_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(moment: str, operation: str, path: str) -> None:
        if moment == "before" and operation in ("delete", "remove_directory", "rename"):
            raise StoragePermissionDenied(storage="share", operation=operation, path=path)

    opened = jobs.open_storage
    drive = tmp_path / "disk.img"
    drive.write_bytes(bytes(SmallDisk(8).data))
    storage = tmp_path / "storage"
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "open_storage", lambda *settings: HookedStorage(opened(*settings), refuse))
        results = [imaging.image(storage, drive, keep=1) for dummy in range(3)]
    for result in results[1:]:
        assert [text for text in result["warnings"] if "not rolled over" in text]
        assert result["rollover"] is None
    assert len(imaging.run_verb(storage, "list")["images"]) == 3
    for result in results:
        assert imaging.verify(storage, image=result["image"])["ok"]
    # Who may delete cleans up behind it.
    last = imaging.image(storage, drive, keep=1)
    assert last["rollover"]["deleted"] == [result["image"] for result in results]
    assert imaging.verify(storage)["ok"]
