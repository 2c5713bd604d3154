# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in the trash, and from when on it comes free."""

from __future__ import annotations

from typing import Optional

import pytest
from engine.image.pack_listing import TrashEntry
from engine.image.upkeep.trash_state import look_into_trash, trash_state
from support.plant import DAY, NOW, Plant
from support.small_runs import make_small


def entry(since_seconds: int, sequence: Optional[int], size_bytes: int = 1000) -> TrashEntry:
    return TrashEntry("name", "pack", sequence, since_seconds, size_bytes)


def test_age_and_a_later_image_make_a_pack_due() -> None:
    old, young = NOW - DAY, NOW - 10
    found = trash_state([entry(old, 4), entry(old, 5), entry(old, None), entry(young, 4, 1)], 5, NOW)
    assert (found.packs, found.size_bytes, found.due_bytes) == (4, 3001, 1000)
    assert found.needs_image, "one left after the newest image was made"
    assert found.next_due_seconds == found.last_due_seconds == young + DAY


def test_of_damaged_packs_nothing_is_promised() -> None:
    """An image may need them; then no rollover deletes them."""
    found = trash_state([entry(NOW - 2 * DAY, None), entry(NOW, None)], 5, NOW)
    assert (found.packs, found.size_bytes, found.due_bytes) == (2, 2000, 0)
    assert (found.next_due_seconds, found.last_due_seconds, found.needs_image) == (None, None, False)


def test_a_document_has_moments_in_utc_and_none_for_an_empty_trash() -> None:
    assert trash_state([entry(1_800_000_000, 1)], 2, 1_800_000_000).as_dict() == {
        "packs": 1,
        "bytes": 1000,
        "due_bytes": 0,
        "next_due": "2027-01-16T08:00:00Z",
        "last_due": "2027-01-16T08:00:00Z",
        "needs_image": False,
    }
    empty = trash_state([], 1, NOW).as_dict()
    assert (empty["packs"], empty["next_due"], empty["needs_image"]) == (0, None, False)
    assert trash_state([entry(999_999_999_999, 1)], 2, NOW).as_dict()["last_due"] == "9999-12-31T23:59:59Z"


def test_a_rollover_and_a_look_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    plant = Plant(3)
    assert plant.roll(3).trash is not None
    told = plant.roll(1).trash
    assert told is not None
    looked = look_into_trash(plant.directory)
    assert looked is not None
    assert (told.packs, told.size_bytes) == (looked.packs, looked.size_bytes)
    assert told.size_bytes == sum(one.size_bytes for one in plant.directory.trash()) > 0
    assert told.needs_image
    assert told.last_due_seconds == NOW + DAY
    plant.make()
    assert plant.roll(2, NOW + DAY - 1).purged_packs == []
    done = plant.roll(2, NOW + DAY)
    assert done.trash is not None
    assert (done.trash.packs, done.freed_bytes) == (0, told.size_bytes)


def test_a_dry_run_foretells_the_trash(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    plant = Plant(3)
    foretold, told = plant.roll(1, dry_run=True).trash, plant.roll(1).trash
    assert foretold is not None
    assert told is not None
    assert told.packs
    assert foretold.needs_image
