# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of verifications: dated and signed, a bounded number of them, and none replaces a stronger one."""

from __future__ import annotations

import time
from typing import List, Optional, Tuple

import pytest
from engine.errors import StoragePermissionDenied
from engine.image import records
from engine.image.access import openable_key
from engine.image.device_directory import DeviceDirectory
from engine.image.format.keys import MasterKey
from engine.image.upkeep import verified
from engine.image.upkeep.verified import author_here, good_since, record_verification
from engine.image.upkeep.verify import verify_image
from engine.image.verify_levels import Level
from support.plant import Plant
from support.small_runs import DEVICE, make_small
from support.storages import HookedStorage

OK = {"level": "quick", "ok": True, "problems": []}
BAD = {"level": "quick", "ok": False, "problems": ["The pack x is missing."]}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture(autouse=True)
def days(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record is of the next day."""
    moments = iter(range(1_800_000_000, 1_900_000_000, 86400))
    monkeypatch.setattr(time, "gmtime", lambda dummy_now: time.struct_time(time.localtime(next(moments))))


def held(directory: DeviceDirectory, image: str, key: Optional[MasterKey] = None) -> List[records.Record]:
    return sorted(records.read(directory, image, key), key=lambda one: one.verified_at)


def test_a_verification_says_when_and_by_whom() -> None:
    plant = Plant(1)
    verify_image(plant.storage, DEVICE, plant.names[0], "quick")
    (record,) = held(plant.directory, plant.names[0])
    assert (record.level, record.ok, record.author) == ("quick", True, author_here())
    assert record.verified_at.startswith("2027-01-15T")


def test_a_record_of_the_first_release_has_neither() -> None:
    plant = Plant(1)
    plant.directory.add_record(plant.names[0], records.VERIFIED, OK)
    (record,) = held(plant.directory, plant.names[0])
    assert (record.ok, record.verified_at, record.author) == (True, "", "")


@pytest.mark.parametrize(
    ("at", "author", "read"),
    [
        ("yesterday", "\x1b[31mroot", ("", "[31mroot")),
        (5, ["root"], ("", "")),
        ("2026-11-22T13:45:10Z\n", "x" * 5000, ("", "x" * 200)),
        ("2026-11-22T13:45:10Z", "root@pc", ("2026-11-22T13:45:10Z", "root@pc")),
    ],
)
def test_what_another_writer_put_there_is_tamed(at: object, author: object, read: Tuple[str, str]) -> None:
    plant = Plant(1)
    plant.directory.add_record(plant.names[0], records.VERIFIED, dict(OK, verified_at=at, author=author))
    (record,) = held(plant.directory, plant.names[0])
    assert (record.verified_at, record.author) == read


def test_a_verification_of_every_day_leaves_a_few_records_and_the_last_one() -> None:
    plant = Plant(1)
    for number in range(30):
        record_verification(plant.directory, plant.names[0], BAD if number == 3 else OK, None)
    found = held(plant.directory, plant.names[0])
    assert len(found) <= 5
    assert found[-1].verified_at.startswith("2027-02-13T")
    assert [one.ok for one in found].count(False) == 1, "what was damaged stays on record"


def test_a_record_without_authentication_replaces_none_with_it() -> None:
    plant = Plant()
    plant.make(password="word")
    key = openable_key(plant.directory, "word")
    for number in range(12):
        record_verification(plant.directory, plant.names[0], OK, key if number == 0 else None)
    found = held(plant.directory, plant.names[0], key)
    assert [one.is_authentic for one in found].count(True) == 1
    for dummy in range(3):
        record_verification(plant.directory, plant.names[0], OK, key)
    found = held(plant.directory, plant.names[0], key)
    assert len(found) <= 4
    assert all(one.is_authentic for one in found), "a stronger one replaces what says the same"


def test_an_account_that_may_not_delete_stays_below_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "_MOST_KEPT", 10)
    plant = Plant(1)

    def refuse(dummy_moment: str, operation: str, path: str) -> None:
        if operation == "delete":
            raise StoragePermissionDenied(storage="x", operation="delete", path=path)

    directory = DeviceDirectory(HookedStorage(plant.storage, refuse), DEVICE)
    for dummy in range(20):
        record_verification(directory, plant.names[0], OK, None)
    assert len(held(plant.directory, plant.names[0])) == 10
    record_verification(directory, plant.names[0], BAD, None)
    assert held(plant.directory, plant.names[0])[-1].ok is False, "damage is always recorded"


def test_where_others_could_not_delete_the_operator_s_success_stays_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "_MOST_KEPT", 10)
    plant = Plant(1)
    for dummy in range(10):
        facts = dict(OK, **{records.VERIFIED_AT: "2026-01-15T00:00:00Z", records.AUTHOR: "agent@pc%d" % dummy})
        plant.directory.add_record(plant.names[0], records.VERIFIED, facts)
    record_verification(plant.directory, plant.names[0], OK, None)
    (record,) = held(plant.directory, plant.names[0])
    assert (record.ok, record.author) == (True, author_here())
    assert record.verified_at.startswith("2027-01-15T")


def since(plant: Plant, level: Level = "quick") -> Optional[str]:
    """The date that the next verification, which leaves no record, names."""
    return verify_image(plant.storage, DEVICE, plant.names[0], level, record=False).good_since


def test_the_first_verification_names_no_date_and_the_next_one_that_of_the_first() -> None:
    plant = Plant(1)
    assert since(plant) is None
    verify_image(plant.storage, DEVICE, plant.names[0], "quick")
    assert str(since(plant)).startswith("2027-01-15T")


def test_the_date_of_the_first_outlives_its_record() -> None:
    plant = Plant(1)
    for dummy in range(30):
        verify_image(plant.storage, DEVICE, plant.names[0], "quick")
    found = held(plant.directory, plant.names[0])
    assert not found[0].verified_at.startswith("2027-01-15T"), "the oldest went"
    assert str(since(plant)).startswith("2027-01-15T")


def test_a_failure_begins_anew() -> None:
    plant = Plant(1)
    verify_image(plant.storage, DEVICE, plant.names[0], "quick")
    record_verification(plant.directory, plant.names[0], BAD, None)
    assert since(plant) is None
    verify_image(plant.storage, DEVICE, plant.names[0], "quick")
    assert str(since(plant)).startswith("2027-01-17T")


def test_a_deeper_verification_proves_a_lesser_one_and_not_the_other_way() -> None:
    plant = Plant(1)
    verify_image(plant.storage, DEVICE, plant.names[0], "storage")
    assert str(since(plant, "quick")).startswith("2027-01-15T")
    assert since(plant, "full") is None


def test_who_has_no_password_can_name_no_earlier_date() -> None:
    plant = Plant()
    plant.make(password="word")
    key = openable_key(plant.directory, "word")
    false = dict(
        OK, level="full", **{records.VERIFIED_AT: "2020-01-01T00:00:00Z", records.GOOD_SINCE: "2020-01-01T00:00:00Z"}
    )
    plant.directory.add_record(plant.names[0], records.VERIFIED, false)
    assert good_since(plant.directory, plant.names[0], "full", key) == ""
    record_verification(plant.directory, plant.names[0], dict(OK, level="full"), key)
    assert good_since(plant.directory, plant.names[0], "full", key).startswith("2027-01-15T")


@pytest.mark.parametrize("said", ["2099-01-01T00:00:00Z", "long ago", 5, ""])
def test_a_first_date_that_can_t_be_right_is_that_of_the_record(said: object) -> None:
    plant = Plant(1)
    facts = dict(OK, **{records.VERIFIED_AT: "2026-06-01T00:00:00Z", records.GOOD_SINCE: said})
    plant.directory.add_record(plant.names[0], records.VERIFIED, facts)
    assert since(plant) == "2026-06-01T00:00:00Z"
