# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retiring a device: what goes by the explicit yes, what stays all the same, and in which order."""

from __future__ import annotations

import contextlib
import re
from functools import partial
from typing import Any, Callable, List, Optional, Sequence

import pytest
from engine.entries import Entry, EntryKind
from engine.errors import (
    EngineError,
    ImageKept,
    ImageNotFound,
    LeaseHeld,
    StorageNotFound,
    StoragePermissionDenied,
)
from engine.image import records
from engine.image.access import openable_key
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.upkeep.retire import Retired, retire
from engine.image.upkeep.rollover import pin
from engine.storage import lease as leases
from engine.storage.contract import Storage
from support.plant import DAY, NOW, FullPlant, Plant
from support.refusing import failing
from support.small_runs import DEVICE, SmallDisk, make_small, run_image
from support.storages import HookedStorage

PASSWORD = "horse battery"
LEASE = "%s/lease.json" % DEVICE


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def gone(plant: Plant, image: Optional[str] = None, now: float = NOW, storage: Any = None, **more: Any) -> Retired:
    where: Storage = storage or plant.storage
    password = more.pop("password", None)
    key = openable_key(DeviceDirectory(where, DEVICE), password) if password else None
    return retire(where, DEVICE, image, key=key, now=lambda: now, **more)


def left(plant: Plant) -> List[str]:
    return sorted(path for path in [*plant.storage.files, *plant.storage.directories] if path.startswith(DEVICE))


def test_every_image_goes_and_a_day_later_the_directory() -> None:
    plant = Plant(3)
    packs = set().union(*(plant.packs_of(name) for name in plant.names))
    sizes = plant.directory.packs()
    other = run_image(plant.storage, SmallDisk(8), device="another").image
    beside = {path: data for path, data in plant.storage.files.items() if path.startswith("another/")}

    first = gone(plant)
    assert (first.report.deleted, first.report.spared, first.is_gone) == (plant.names, {}, False)
    assert (plant.listed(), plant.trashed()) == ([], packs)
    trash = first.report.trash
    assert trash is not None
    assert (trash.packs, trash.size_bytes, trash.needs_image) == (len(packs), sum(sizes.values()), False)
    assert trash.last_due_seconds == NOW + DAY
    assert first.report.freed_bytes == 0

    early = gone(plant, now=NOW + DAY - 60)
    assert (early.report.purged_packs, early.is_gone) == ([], False)
    assert plant.trashed() == packs

    # The storage's clock is asked as well; where it knows none, the name in the trash decides.
    last = gone(plant, now=NOW + 2 * DAY)
    assert (set(last.report.purged_packs), last.report.freed_bytes) == (packs, sum(sizes.values()))
    assert last.is_gone
    assert left(plant) == []
    assert {path: data for path, data in plant.storage.files.items() if path.startswith("another/")} == beside
    assert [one.image for one in DeviceDirectory(plant.storage, "another").images()] == [other]


def test_a_purge_needs_no_day() -> None:
    plant = Plant(2)
    foretold = gone(plant, dry_run=True, purge=True)
    assert plant.listed() == plant.names
    done = gone(plant, purge=True)
    assert (foretold.report.deleted, foretold.is_gone) == (done.report.deleted, done.is_gone) == (plant.names, True)
    assert foretold.report.freed_bytes == done.report.freed_bytes > 0
    assert left(plant) == []


def test_check_mode_changes_nothing() -> None:
    plant = Plant(2)
    before = dict(plant.storage.files)
    foretold = gone(plant, dry_run=True)
    assert plant.storage.files == before
    done = gone(plant)
    assert foretold.report.deleted == done.report.deleted == plant.names
    assert foretold.report.trash is not None
    assert done.report.trash is not None
    assert foretold.report.trash.size_bytes == done.report.trash.size_bytes
    assert foretold.is_gone is done.is_gone is False


def test_pinned_and_archived_images_stay_and_are_named() -> None:
    plant = Plant(4)
    pin(plant.storage, DEVICE, plant.names[0], True)
    records.add(plant.directory, plant.names[2], records.ARCHIVED, {})
    done = gone(plant, purge=True)
    assert done.report.deleted == [plant.names[1], plant.names[3]]
    assert sorted(done.report.spared) == [plant.names[0], plant.names[2]]
    assert not done.is_gone
    plant.check(plant.names[0], plant.names[2])
    # What they do not need is not kept for them: no image of this device comes any more.
    later = gone(plant)
    assert (later.report.deleted, plant.trashed()) == ([], set())
    plant.check(plant.names[0], plant.names[2])


def test_the_trash_of_a_device_with_a_pinned_image_is_freed_without_another_image() -> None:
    plant = Plant(2)
    pin(plant.storage, DEVICE, plant.names[0], True)
    packs = plant.packs_of(plant.names[1])
    gone(plant)
    assert plant.trashed() == packs
    done = gone(plant, now=NOW + 2 * DAY)
    assert done.report.purged_packs
    assert plant.trashed() == set()
    plant.check(plant.names[0])


def test_one_image_goes_by_its_name() -> None:
    plant = Plant(3)
    done = gone(plant, plant.names[2])
    assert (done.report.deleted, plant.listed()) == ([plant.names[2]], plant.names[:2])
    plant.check(*plant.names[:2])
    assert done.report.trash is not None
    assert done.report.trash.needs_image, "the device goes on making images, so the second step is that of a rollover"
    image = plant.make()
    assert plant.directory.manifest(image).sequence > plant.directory.manifest(plant.names[1]).sequence
    plant.check(*plant.listed())


def test_one_image_that_is_pinned_or_missing_is_refused() -> None:
    plant = Plant(2)
    pin(plant.storage, DEVICE, plant.names[1], True)
    with failing(ImageKept, image=plant.names[1], device=DEVICE):
        gone(plant, plant.names[1])
    with failing(ImageNotFound, image="2026-01-01_00-00-00"):
        gone(plant, "2026-01-01_00-00-00")
    assert plant.listed() == plant.names


def test_images_of_a_key_that_the_password_does_not_open_stay_unless_they_are_named() -> None:
    plant = Plant()
    plant.make(password="another one")
    plant.make(password="another one")
    plant.make(password=PASSWORD, new_key=True)
    done = gone(plant, password=PASSWORD, purge=True)
    assert done.report.deleted == [plant.names[2]]
    assert list(done.report.spared) == plant.names[:2]
    plant.check(*plant.names[:2], password="another one")
    for name in plant.names[:2]:
        assert gone(plant, name, password=PASSWORD, purge=True).report.deleted == [name]
    assert plant.listed() == []
    assert gone(plant, password=PASSWORD).is_gone


def test_without_the_password_encrypted_images_stay() -> None:
    plant = Plant()
    plant.make(password=PASSWORD)
    plant.make(password=PASSWORD)
    done = gone(plant)
    assert (done.report.deleted, list(done.report.spared)) == ([], plant.names)
    plant.check(*plant.names, password=PASSWORD)
    assert gone(plant, password=PASSWORD, purge=True).is_gone


def test_a_false_image_of_a_closed_key_does_not_take_the_place_of_the_last_one() -> None:
    """An account that may only create files stores a manifest that names the key and looks newer."""
    plant = Plant()
    plant.make(password=PASSWORD)
    false = "2026-12-31_20-00-00"
    data = plant.storage.files["%s/%s/%s" % (DEVICE, plant.names[0], fmt.MANIFEST_NAME)]
    plant.storage.make_directory("%s/%s" % (DEVICE, false))
    data = data.replace(plant.names[0].encode("ascii"), false.encode("ascii"))
    plant.storage.put("%s/%s/%s" % (DEVICE, false, fmt.MANIFEST_NAME), [data])
    done = gone(plant, purge=True)
    assert plant.names[0] in done.report.spared
    plant.check(plant.names[0], password=PASSWORD)


def _link(plant: Plant, image: str) -> HookedStorage:
    """A storage in which a link that leads nowhere is in the place of the image's records."""
    path = "%s/%s/%s" % (DEVICE, fmt.RECORDS, image)

    class Linked(HookedStorage):
        def stat(self, wanted: str) -> Entry:
            return Entry(image, EntryKind.OTHER, 0) if wanted == path else super().stat(wanted)

        def list(self, wanted: str) -> List[Entry]:
            if wanted == path:
                raise StorageNotFound(storage="memory", path=path)
            found = super().list(wanted)
            return [*found, Entry(image, EntryKind.OTHER, 0)] if path.rpartition("/")[0] == wanted else found

    return Linked(plant.storage, lambda *dummy: None)


def test_a_link_in_the_place_of_records_may_hide_a_pin() -> None:
    plant = Plant(2)
    storage = _link(plant, plant.names[0])
    done = gone(plant, storage=storage)
    assert (done.report.deleted, list(done.report.spared)) == (plant.names[1:], plant.names[:1])
    with failing(ImageKept, image=plant.names[0]):
        gone(plant, plant.names[0], storage=storage)
    plant.check(plant.names[0])


@pytest.mark.parametrize(
    "obstacle",
    [
        fmt.NAMES_NAME,
        fmt.README_NAME,
        fmt.ENCRYPTED_NAME,
        "keys/%s.json" % ("a" * 64),
        "records/2026-11-22_13-45-10/pinned-%s.json" % ("b" * 64),
        "packs/ab/%s" % ("ab" * 32),
        "trash/%s.3.1700000000" % ("cd" * 32),
        "trash/2026-11-22_13-45-10.1700000000",
        "packs/ab/mine",
    ],
)
@pytest.mark.parametrize("is_full", [False, True], ids=["empty", "with a file"])
def test_a_directory_in_the_place_of_a_file_does_not_keep_it_from_its_end(obstacle: str, is_full: bool) -> None:
    """An account that may only create files makes it. What is left is told, and the next call ends in the same way."""
    plant = Plant(1)
    path = "%s/%s" % (DEVICE, obstacle)
    plant.storage.make_directory(path)
    if is_full:
        plant.storage.put(path + "/file", [b"x"])
    is_file = "/" not in obstacle
    for number in range(2):
        done = gone(plant, purge=True)
        assert done.is_gone or is_full or not is_file, "an empty one is removed"
        assert done.report.deleted == (plant.names if number == 0 else [])
        assert done.is_gone or done.report.warnings
        if done.is_gone:
            assert left(plant) == []
            return
    assert left(plant)
    assert all(DEVICE + "/" in warning or "contains" in warning for warning in done.report.warnings)


def test_a_damaged_image_goes_and_one_of_a_later_release_stays() -> None:
    plant = Plant(3)
    for path in [one for one in plant.storage.files if one.startswith("%s/%s/" % (DEVICE, plant.names[0]))]:
        plant.storage.files[path] = b"{}"
    manifest = "%s/%s/%s" % (DEVICE, plant.names[1], fmt.MANIFEST_NAME)
    later = re.sub(rb'"version": ?1\b', b'"version": 99', plant.storage.files[manifest])
    assert later != plant.storage.files[manifest]
    plant.storage.files[manifest] = later
    del plant.storage.files["%s/%s/%s" % (DEVICE, plant.names[1], fmt.COPIES_NAME)]
    done = gone(plant, purge=True)
    assert done.report.deleted == [plant.names[0], plant.names[2]]
    assert list(done.report.spared) == [plant.names[1]]
    assert not done.is_gone
    assert plant.directory.image_names() == [plant.names[1]]


def test_while_a_run_lives_nothing_is_deleted() -> None:
    plant = Plant(2)
    other = leases.Lease(plant.storage, DEVICE, heartbeat_seconds=0.05)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(leases.Lease, "_is_dead", lambda dummy_self, dummy_content: False)
        other.acquire()
        try:
            with failing(LeaseHeld, device=DEVICE):
                gone(plant)
        finally:
            other.release()
    assert plant.listed() == plant.names


class CreateOnly(HookedStorage):
    """A device's account: it may create and read."""

    def __init__(self, plant: Plant) -> None:
        super().__init__(plant.storage, self._refuse)
        self.refused: List[str] = []

    def put(self, path: str, data: Any, *, replace: bool = False, deadline: Any = None) -> int:
        if replace:
            raise StoragePermissionDenied(storage="memory", operation="replacing", path=path)
        return super().put(path, data, replace=replace, deadline=deadline)

    def _refuse(self, moment: str, operation: str, path: str) -> None:
        if moment == "before" and operation in ("delete", "rename", "remove_directory"):
            self.refused.append(path)
            raise StoragePermissionDenied(storage="memory", operation=operation, path=path)


def test_an_account_that_may_only_create_deletes_nothing_and_leaves_no_lease() -> None:
    plant = Plant(2)
    storage = CreateOnly(plant)
    with failing(StoragePermissionDenied, path=DEVICE):
        gone(plant, storage=storage)
    assert storage.refused, "it was tried with a file of its own"
    assert plant.listed() == plant.names
    assert LEASE not in plant.storage.files
    plant.check(*plant.names)


def test_a_storage_that_is_full_to_the_last_byte_gets_room() -> None:
    plant = Plant(2)
    done = gone(plant, storage=FullPlant(plant), purge=True)
    assert (done.report.deleted, done.is_gone) == (plant.names, True)
    assert left(plant) == []


class Cut(BaseException):
    """A kill: nothing cleans up after it."""


class Act:
    """A hook that does something once, at one of the moments that it counts."""

    def __init__(self, act: Callable[[], object], at: int, skipped: Sequence[str] = ()) -> None:
        self._act = act
        self._left = at
        self._skipped = skipped
        self.is_done = False

    def __call__(self, dummy_moment: str, operation: str, dummy_path: str) -> None:
        if operation in self._skipped or self.is_done:
            return
        self._left -= 1
        if self._left < 0:
            self.is_done = True
            self._act()


def cut() -> None:
    raise Cut


def test_a_retirement_that_is_killed_anywhere_is_finished_by_the_next_one() -> None:
    made = Plant(2)
    pin(made.storage, DEVICE, made.make(), True)
    for at in range(0, 1000, 3):
        plant = made.copy()
        hook = Act(cut, at, ("read", "list", "stat"))
        with contextlib.suppress(Cut):
            gone(plant, storage=HookedStorage(plant.storage, hook), purge=True)
        if not hook.is_done:
            assert at > 45
            return
        plant.storage.files.pop(LEASE, None)  # it expires
        done = gone(plant, purge=True)
        assert plant.listed() == plant.names[2:]
        plant.check(plant.names[2])
        assert plant.trashed() == set()
        assert done.report.warnings == []
    pytest.fail("it has no end")


def test_a_run_beside_it_makes_an_image_that_is_whole_or_none() -> None:
    """The run has no lease, as that of an account that may only create; it reuses what the retirement deletes."""
    made = Plant(2)
    for at in range(0, 2000, 7):
        plant = made.copy()
        plant.disk.data[:] = plant.expected[plant.names[0]]
        hook = Act(partial(gone, plant, purge=True), at)
        image = ""
        with contextlib.suppress(EngineError):
            image = run_image(HookedStorage(plant.storage, hook), plant.disk, takes_lease=False).image
        if image in plant.listed():
            plant.expected[image] = plant.disk.expected()
        plant.check(*plant.listed())
        if not hook.is_done:
            assert at > 70
            return
    pytest.fail("it has no end")


def test_what_the_engine_did_not_create_stays_and_is_named() -> None:
    plant = Plant(1)
    plant.storage.put("%s/notes.txt" % DEVICE, [b"mine"])
    done = gone(plant, purge=True)
    assert not done.is_gone
    (warning,) = done.report.warnings
    assert "notes.txt" in warning
    assert plant.storage.files["%s/notes.txt" % DEVICE] == b"mine"
    assert "%s/%s" % (DEVICE, fmt.PACKS) in plant.storage.directories
    del plant.storage.files["%s/notes.txt" % DEVICE]
    assert gone(plant).is_gone
    assert left(plant) == []
