# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of versions: the first free one, however many an account that may create files has taken."""

from __future__ import annotations

from typing import List

import pytest
from engine.errors import ArchiveNumberTaken, ArchiveVersionsMany
from engine.image.archive import numbers
from engine.image.archive.numbers import take_number
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from support.storages import HookedStorage, MemoryStorage

RECORD = "2026-11-29_10-00-00.%s.json" % ("a" * 64)
LEASES = pytest.mark.parametrize("holds_lease", [True, False], ids=["lease", "create-only"])


@pytest.fixture
def directory() -> DeviceDirectory:
    storage = MemoryStorage()
    storage.make_directory("pc")
    storage.make_directory("pc/versions")
    return DeviceDirectory(storage, "pc")


def take(directory: DeviceDirectory, *taken: int, has_record: bool = True) -> None:
    for number in taken:
        directory.storage.make_directory("pc/versions/%d" % number)
        if has_record:
            directory.storage.put("pc/versions/%d/%s" % (number, RECORD), [b"x"])


@LEASES
def test_numbers_that_others_took_are_skipped(directory: DeviceDirectory, holds_lease: bool) -> None:
    take(directory, *range(3, 403))
    slept: List[float] = []
    assert take_number(directory, 3, holds_lease=holds_lease, sleep=slept.append) == 403
    assert slept == []
    assert take_number(directory, 1, holds_lease=holds_lease, sleep=slept.append) == 1


@LEASES
def test_a_file_in_the_place_of_a_number_takes_it(directory: DeviceDirectory, holds_lease: bool) -> None:
    directory.storage.put("pc/versions/3", [b"x"])
    assert take_number(directory, 3, holds_lease=holds_lease, sleep=lambda dummy: None) == 4


def test_the_holder_of_the_lease_takes_over_the_number_of_a_killed_check_in(directory: DeviceDirectory) -> None:
    take(directory, 3)
    take(directory, 4, 5, has_record=False)
    assert take_number(directory, 3, holds_lease=True) == 4


def test_without_a_lease_the_check_ins_that_have_begun_are_waited_for_together(directory: DeviceDirectory) -> None:
    take(directory, *range(3, 303), has_record=False)
    slept: List[float] = []
    assert take_number(directory, 3, holds_lease=False, sleep=slept.append) == 303
    assert sum(slept) == numbers._PATIENCE_SECONDS


def test_without_a_lease_the_record_of_another_check_in_ends_the_wait(directory: DeviceDirectory) -> None:
    take(directory, 3, has_record=False)
    slept: List[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        directory.storage.put("pc/versions/3/" + RECORD, [b"x"])

    assert take_number(directory, 3, holds_lease=False, sleep=sleep) == 4
    assert len(slept) == 1


@LEASES
def test_a_number_that_is_taken_meanwhile_is_skipped(directory: DeviceDirectory, holds_lease: bool) -> None:
    def hook(moment: str, operation: str, path: str) -> None:
        if (moment, operation, path) == ("before", "make_directory", "pc/versions/3"):
            take(directory, 3)

    hooked = DeviceDirectory(HookedStorage(directory.storage, hook), "pc")
    assert take_number(hooked, 3, holds_lease=holds_lease, sleep=lambda dummy: None) == 4


def test_without_a_free_number_the_folder_is_named(directory: DeviceDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    take(directory, 1, 2, 3)
    monkeypatch.setattr(numbers, "MAX_VERSION", 3)
    with pytest.raises(ArchiveNumberTaken) as caught:
        take_number(directory, 2, holds_lease=True)
    assert "pc/versions" in caught.value.fields["reason"]
    monkeypatch.setattr(fmt, "MAX_VERSIONS", 2)
    with pytest.raises(ArchiveVersionsMany) as many:
        take_number(directory, 2, holds_lease=True)
    assert many.value.fields["path"] == "pc/versions"
