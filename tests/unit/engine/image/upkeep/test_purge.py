# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""imaging_purge_trash: the trash is freed at once, and no image that is made or read meanwhile loses a pack."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Dict, Iterator, List

import pytest
from engine.errors import EngineError, TrashInUse
from engine.image.upkeep.purge import purge_now, roll_over_and_purge
from engine.image.upkeep.rollover import pin, roll_over
from engine.image.upkeep.rollover_report import RolloverReport
from engine.storage import lease as leases
from engine.storage.contract import Storage
from support.plant import DAY, NOW, FullPlant, Plant
from support.refusing import failing
from support.small_runs import DEVICE, make_small, run_image
from support.storages import HookedStorage

LEASE = "%s/lease.json" % DEVICE


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def purge(plant: Plant, keep: int, storage: Any = None, dry_run: bool = False) -> RolloverReport:
    where: Storage = storage or plant.storage
    directory = type(plant.directory)(where, DEVICE)

    def rolled() -> RolloverReport:
        return roll_over(where, DEVICE, keep, openable_key="", now=lambda: NOW, dry_run=dry_run)

    return purge_now(directory, None, None, rolled()) if dry_run else roll_over_and_purge(directory, None, rolled)


def test_all_that_no_image_needs_is_gone_at_once_and_the_rest_stays() -> None:
    plant = Plant(4)
    pin(plant.storage, DEVICE, plant.names[0], True)
    gone = plant.packs_of(plant.names[1]) | plant.packs_of(plant.names[2])
    foretold = purge(plant, 1, dry_run=True)
    assert set(foretold.purged_packs) == gone
    assert plant.listed() == plant.names
    sizes = plant.directory.packs()
    done = purge(plant, 1)
    assert set(done.purged_packs) == gone
    assert done.freed_bytes == foretold.freed_bytes == sum(sizes[pack] for pack in gone)
    assert plant.trashed() == set()
    assert done.trash is not None
    assert done.trash.packs == 0
    assert plant.listed() == [plant.names[0], plant.names[3]]
    plant.check(plant.names[0], plant.names[3])
    assert LEASE not in plant.storage.files


def test_without_the_wish_nothing_is_purged_and_no_lease_is_taken() -> None:
    plant = Plant(2)
    taken: List[str] = []
    storage = HookedStorage(plant.storage, lambda dummy_moment, dummy_operation, path: taken.append(path))
    assert roll_over(storage, DEVICE, 1, openable_key="", now=lambda: NOW).purged_packs == []
    assert LEASE not in taken


def test_a_storage_that_is_full_to_the_last_byte_is_purged() -> None:
    plant = Plant(3)
    gone = plant.packs_of(plant.names[0]) | plant.packs_of(plant.names[1])
    storage = FullPlant(plant)
    done = purge(plant, 1, storage)
    assert not storage.is_full
    assert set(done.purged_packs) == gone
    assert plant.trashed() == set()
    assert done.warnings == []
    plant.check(plant.names[2])
    assert LEASE not in plant.storage.files


def test_where_the_rollover_deletes_nothing_the_lease_has_no_room_and_the_trash_stays() -> None:
    plant = Plant(3)
    plant.roll(1)
    trashed = plant.trashed()
    done = purge(plant, 1, FullPlant(plant))
    assert done.purged_packs == []
    assert plant.trashed() == trashed
    (warning,) = done.warnings
    assert LEASE in warning
    plant.check(plant.names[2])


def test_a_rollover_of_a_full_storage_whose_trash_has_no_stamp_deletes_no_young_pack() -> None:
    plant = Plant(3)
    plant.roll(1)
    for path in [one for one in plant.storage.files if one.endswith(".stamp")]:
        del plant.storage.files[path]
    plant.make()
    trashed = plant.trashed()
    report = roll_over(FullPlant(plant), DEVICE, 2, openable_key="", now=lambda: NOW + 2 * DAY)
    assert report.purged_packs == []
    assert plant.trashed() == trashed


def test_a_run_that_comes_between_on_a_full_storage_keeps_the_trash() -> None:
    plant = Plant(3)
    storage = FullPlant(plant)
    other = leases.Lease(plant.storage, DEVICE, heartbeat_seconds=0.05)

    def rolled() -> RolloverReport:
        report = roll_over(storage, DEVICE, 1, openable_key="", now=lambda: NOW)
        other.acquire()
        return report

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(leases.Lease, "_is_dead", lambda dummy_self, dummy_content: False)
        try:
            done = roll_over_and_purge(type(plant.directory)(storage, DEVICE), None, rolled)
        finally:
            other.release()
    assert done.deleted == plant.names[:2], "the report says what the rollover did"
    assert done.purged_packs == []
    assert len(done.warnings) == 1
    assert plant.trashed() == set(done.trashed_packs)


def test_while_a_run_writes_nothing_is_deleted() -> None:
    plant = Plant(2)
    other = leases.Lease(plant.storage, DEVICE, heartbeat_seconds=0.05)
    other._is_dead = lambda dummy: False  # type: ignore[method-assign]
    other.acquire()
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(leases.Lease, "_is_dead", lambda dummy_self, dummy_content: False)
            with failing(TrashInUse, device=DEVICE):
                purge(plant, 1)
    finally:
        other.release()
    assert plant.listed() == plant.names


def test_a_damaged_pack_that_an_image_needs_stays_in_the_trash() -> None:
    plant = Plant(2)
    pack = sorted(plant.packs_of(plant.names[1]))[0]
    path = "%s/packs/%s/%s" % (DEVICE, pack[:2], pack)
    plant.storage.files[path] = plant.storage.files[path][:-1] + b"x"
    plant.directory.move_to_trash(pack, None)
    purge(plant, 1)
    assert plant.trashed() == {pack}


def test_an_image_that_can_not_be_read_keeps_the_whole_trash() -> None:
    plant = Plant(3)
    plant.roll(2)
    trashed = plant.trashed()
    for path in [one for one in plant.storage.files if one.startswith("%s/%s/" % (DEVICE, plant.names[1]))]:
        plant.storage.files[path] = b"{}"
    done = purge(plant, 2)
    assert done.purged_packs == []
    assert plant.trashed() == trashed
    assert done.warnings


def test_a_dry_run_without_the_damaged_image_foretells_the_purge() -> None:
    plant = Plant(3)
    plant.roll(2)
    broken = plant.names[1]
    for path in [one for one in plant.storage.files if one.startswith("%s/%s/" % (DEVICE, broken))]:
        plant.storage.files[path] = b"{}"

    def rolled(dry_run: bool) -> RolloverReport:
        return roll_over(
            plant.storage, DEVICE, 2, openable_key="", now=lambda: NOW, dry_run=dry_run, remove_damaged=[broken]
        )

    foretold = purge_now(plant.directory, None, None, rolled(True))
    done = roll_over_and_purge(plant.directory, None, lambda: rolled(False))
    assert done.purged_packs
    assert sorted(foretold.purged_packs) == sorted(done.purged_packs)
    assert foretold.warnings == done.warnings


def _act_once(
    act: Any, at: int, state: Dict[str, Any], dummy_moment: str, dummy_operation: str, dummy_path: str
) -> None:
    state["count"] += 1
    if state["count"] == at + 1 and not state["done"]:
        state["done"] = True
        act()


def moments(act: Any, every: int = 1) -> Iterator[Dict[str, Any]]:
    """Yield hooks that do ``act`` at one moment after the other, until there is none left."""
    at = 0
    while True:
        state: Dict[str, Any] = {"count": 0, "done": False}
        yield {"hook": partial(_act_once, act, at, state), "state": state}
        if not state["done"]:
            return
        at += every


def back(plant: Plant) -> None:
    """The disk is as it was when the oldest image was made: a run reuses that image's packs."""
    plant.disk.data[:] = plant.expected[plant.names[0]]


def test_a_run_with_a_purge_at_each_of_its_moments_makes_an_image_that_is_whole() -> None:
    """The run has no lease, as that of an account that may only create; it reuses what the purge deletes."""
    made = Plant(2)
    tried = 0
    plants: List[Plant] = [made.copy()]
    for one in moments(lambda: purge(plants[-1], 1), every=3):
        plants.append(made.copy())
        plant = plants[-1]
        back(plant)
        image = run_image(HookedStorage(plant.storage, one["hook"]), plant.disk, takes_lease=False).image
        plant.expected[image] = plant.disk.expected()
        assert image in plant.listed()
        plant.check(*plant.listed())
        tried += 1
    assert tried > 20


def test_a_purge_with_a_run_at_each_of_its_moments_takes_no_pack_of_its_image() -> None:
    made = Plant(2)
    tried = 0
    plants: List[Plant] = [made.copy()]

    def run() -> None:
        plant = plants[-1]
        back(plant)
        plant.names.append(run_image(plant.storage, plant.disk, takes_lease=False).image)
        plant.expected[plant.names[-1]] = plant.disk.expected()

    for one in moments(run, every=3):
        plants.append(made.copy())
        plant = plants[-1]
        purge(plant, 1, HookedStorage(plant.storage, one["hook"]))
        assert plant.names[-1] in plant.listed()
        plant.check(plant.names[-1])
        tried += 1
    assert tried > 20


def test_a_purge_that_is_cut_off_anywhere_leaves_every_image_whole() -> None:
    class Cut(EngineError):
        pass

    def cut() -> None:
        raise Cut(reason="cut off")

    made = Plant(2)
    for one in moments(cut, every=5):
        plant = made.copy()
        try:
            purge(plant, 1, HookedStorage(plant.storage, one["hook"]))
        except Cut:
            lease = plant.storage.files.pop(LEASE, None)
            assert lease is None or json.loads(lease.decode())["holder"]
        assert plant.names[1] in plant.listed()
        plant.check(plant.names[1])
