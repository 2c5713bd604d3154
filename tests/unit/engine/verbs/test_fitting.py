# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A failure fits the verb that met it: its hint names the verb's own setting, a full storage tells its trash."""

from __future__ import annotations

from typing import Any

import pytest
from engine.errors import DiskNotFound, StorageFull, StoragePermissionDenied
from engine.verbs.fitting import fit
from engine.verbs.request import parse
from support.plant import Plant
from support.small_runs import DEVICE, make_small
from support.storages import HookedStorage

IMAGE = {
    "verb": "image",
    "device": DEVICE,
    "storage": {"url": "/storage"},
    "drives": "all",
    "timestamp": "2026-11-30_00-00-00",
}
RESTORE = {"verb": "restore", "device": DEVICE, "storage": {"url": "/storage"}, "map": {"disk0": "/dev/sdb"}}


def test_a_missing_target_names_the_map_and_a_missing_disk_the_drives() -> None:
    storage = Plant().storage
    for document, setting, other in (
        (IMAGE, "imaging_drives", "imaging_restore_map"),
        (RESTORE, "imaging_restore_map", "imaging_drives"),
    ):
        error = DiskNotFound(path="/dev/sdb")
        fit(error, storage, parse(dict(document)))
        told = error.as_dict()
        assert told["code"] == "D100"
        assert setting in told["hint"]
        assert other not in told["hint"]
    assert "imaging_drives" in DiskNotFound.hint, "the catalogue stays as it is"


def test_a_full_storage_tells_what_its_trash_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    plant = Plant(3)
    plant.roll(1)
    error = StorageFull(storage="memory", path="pc/packs/aa")
    fit(error, plant.storage, parse(dict(IMAGE)))
    held = sum(entry.size_bytes for entry in plant.directory.trash())
    assert error.code == "S103"
    assert error.fields["trash_bytes"] == held > 0
    assert error.fields["trash_last_due"]
    assert "imaging_purge_trash" in str(error)


def test_a_trash_of_damaged_packs_promises_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    plant = Plant(1)
    plant.directory.move_to_trash(sorted(plant.packs_of(plant.names[0]))[0], None)
    error = StorageFull(storage="memory", path="pc/packs/aa")
    fit(error, plant.storage, parse(dict(IMAGE)))
    assert "trash_bytes" not in error.fields


def test_an_empty_trash_and_one_that_can_not_be_listed_change_nothing() -> None:
    plant = Plant()

    def refuse(dummy_moment: str, operation: str, path: str) -> None:
        raise StoragePermissionDenied(storage="memory", operation=operation, path=path)

    broken: Any = HookedStorage(plant.storage, refuse)
    for storage in (plant.storage, broken):
        error = StorageFull(storage="memory", path="pc/packs/aa")
        fit(error, storage, parse(dict(IMAGE)))
        assert "trash_bytes" not in error.fields
