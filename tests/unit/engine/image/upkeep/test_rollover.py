# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 3: which images go and which stay, and that what is not ours is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.errors import RequestInvalid, StorageFailed, StoragePermissionDenied
from engine.image.format import constants as fmt
from engine.image.format.manifest import encode
from engine.image.upkeep.rollover import pin, roll_over
from engine.image.upkeep.verify import verify_image
from engine.storage.local.storage import DirectoryStorage
from engine.verbs import dispatch as jobs
from support import imaging
from support.plant import DAY, NOW, Plant
from support.small_runs import DEVICE, SmallDisk, make_small, run_image
from support.storages import HookedStorage


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


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
    with pytest.raises(RequestInvalid):
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


@pytest.mark.parametrize(
    "name",
    [
        "packs/aux/file",
        "packs/a:b/file",
        "a:b.partial",
        "keys/nul.partial",
        "records/con/x.partial",
        "trash/x:y",
        "IMAGE/x:y",
        "IMAGE/keys/x?y",
    ],
)
def test_a_name_that_no_storage_takes_stops_nothing(name: str) -> None:
    """An account that may only create can make such a name over SFTP: runs, verifies and rollovers pass it by."""
    plant = Plant(2)
    path = "%s/%s" % (DEVICE, name.replace("IMAGE", plant.names[0]))
    for depth in range(1, path.count("/") + 1):
        plant.storage.directories.add("/".join(path.split("/")[:depth]))
    plant.storage.files[path] = b"x"
    plant.make()
    plant.check(plant.names[-1])
    report = plant.roll(1)
    assert report.deleted == plant.names[:2]
    plant.roll(1, NOW + 3 * DAY)
    plant.make()
    plant.roll(1, NOW + 6 * DAY)
    assert plant.listed() == plant.names[-1:]
    plant.check(plant.names[-1])
    assert any("was not removed" in warning for warning in report.warnings) is name.startswith("IMAGE")


@pytest.mark.parametrize("operation", ["remove_directory", "rename"])
def test_what_is_open_elsewhere_on_a_share_goes_later(operation: str) -> None:
    """A file that somebody reads goes when it is closed; until then its directory can neither go nor be moved."""
    plant = Plant(3)
    plant.storage.make_directory("%s/2020-01-01_00-00-00" % DEVICE)
    held = True

    def hook(moment: str, done: str, path: str) -> None:
        inside_image = path.startswith("%s/20" % DEVICE)
        if held and inside_image and (moment, done) == ("before", operation):
            refusal = StorageFailed if operation == "remove_directory" else StoragePermissionDenied
            words = {"operation": "removing", "path": path, "storage": "a share"}
            raise refusal(**words, **({"reason": "it is not empty"} if refusal is StorageFailed else {}))

    storage = HookedStorage(plant.storage, hook)
    report = roll_over(storage, DEVICE, 1, openable_key="", now=lambda: NOW)
    assert report.deleted == plant.names[:2]
    assert plant.listed() == plant.names[2:]
    assert report.warnings
    assert all("yet" in warning for warning in report.warnings)
    assert set(report.trashed_packs), "the rest was done"
    held = False
    assert roll_over(storage, DEVICE, 1, openable_key="", now=lambda: NOW).warnings == []
    assert [entry.name for entry in plant.storage.list(DEVICE) if entry.name.startswith("20")] == plant.names[2:]
