# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image's directory belongs to one run: names that are taken, directories that go, files of others."""

from __future__ import annotations

import hashlib

import pytest
from engine.image.device_directory import DeviceDirectory
from engine.image.image_folder import FolderLost, ImageFolder, next_name
from support.storages import MemoryStorage

WANTED = "2026-11-24_07-00-00"


@pytest.fixture
def directory() -> DeviceDirectory:
    directory = DeviceDirectory(MemoryStorage(), "pc")
    directory.create()
    return directory


def folder(directory: DeviceDirectory) -> ImageFolder:
    return ImageFolder(directory, WANTED, lambda seconds: None)


def test_each_run_gets_a_directory_of_its_own(directory: DeviceDirectory) -> None:
    first, second = folder(directory), folder(directory)
    first.claim()
    second.claim()
    assert [first.name, second.name] == [WANTED, "2026-11-24_07-00-01"]


def test_names_of_files_and_of_what_is_in_the_trash_stay_taken(directory: DeviceDirectory) -> None:
    directory.storage.put(directory.path(WANTED), [b"a file of somebody's"])
    directory.storage.make_directory(directory.path("trash", "2026-11-24_07-00-01.1800000000"))
    mine = folder(directory)
    mine.claim()
    assert mine.name == "2026-11-24_07-00-02"


def test_a_file_of_another_run_or_a_directory_that_went_is_noticed(directory: DeviceDirectory) -> None:
    mine = folder(directory)
    mine.claim()
    mine.store("disk0.index", b"ours")
    mine.store("disk0.index", b"ours")  # repeated after a lost answer
    with pytest.raises(FolderLost):
        mine.store("disk0.index", b"theirs")
    assert directory.storage.get(mine.path("disk0.index")) == b"ours"
    directory.storage.rename(directory.path(mine.name), directory.path("trash", mine.name + ".1800000000"))
    with pytest.raises(FolderLost):
        mine.store("job.log", b"log")
    with pytest.raises(FolderLost):
        mine.store_all({"job.log": b"log", "device.json": b"device"})
    with pytest.raises(FolderLost):
        mine.make_directory("keys")
    mine.store_checkpoint("disk0.checkpoint", lambda image: image.encode("ascii"))
    assert mine.name > WANTED
    assert directory.storage.get(mine.path("disk0.checkpoint")) == mine.name.encode("ascii")


@pytest.mark.parametrize("parallel_calls", [1, 16])
def test_files_that_belong_together_are_stored_all_or_the_run_learns_of_it(
    directory: DeviceDirectory, parallel_calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory.storage, "parallel_calls", parallel_calls)
    mine = folder(directory)
    mine.claim()
    contents = {"disk%d.index" % number: b"index %d" % number for number in range(5)}
    sums = mine.store_all(contents)
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    for name, data in contents.items():
        assert directory.storage.get(mine.path(name)) == data
    with pytest.raises(FolderLost):
        mine.store_all({**{"job%d.log" % number: b"log" for number in range(5)}, "disk3.index": b"another run's"})
    assert directory.storage.get(mine.path("disk3.index")) == b"index 3"


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        ([], WANTED),
        (["2026-11-23_23-59-59"], WANTED),
        ([WANTED], "2026-11-24_07-00-01"),
        (["2031-01-01_00-00-00"], "2031-01-01_00-00-01"),
        (["9999-12-31_23-59-59"], WANTED),
        (["2031-99-99_00-00-00"], WANTED),
    ],
)
def test_names_never_go_back(existing: list, expected: str) -> None:
    assert next_name(WANTED, max(existing, default=""), existing) == expected


@pytest.mark.parametrize("place", ["%s", "trash/%s.1800000000"])
@pytest.mark.parametrize("name", ["9999-12-31_23-59-59", "9999-12-31_23-59-58", "2027-02-01_00-00-00"])
def test_a_name_in_the_future_that_no_image_proves_moves_no_other(
    directory: DeviceDirectory, name: str, place: str
) -> None:
    directory.storage.make_directory(directory.path(place % name))
    mine = ImageFolder(directory, WANTED, lambda seconds: None, lambda: "2026-11-25_00-00-00", "2026-12-01_00-00-00")
    mine.claim()
    assert mine.name == "2026-11-25_00-00-01"


@pytest.mark.parametrize("place", ["%s", "trash/%s.1800000000"])
def test_where_a_key_proves_images_no_other_name_moves_ours(directory: DeviceDirectory, place: str) -> None:
    """A name of tonight is plausible, but anybody who may create a directory can give it."""
    directory.storage.make_directory(directory.path(place % "2026-11-25_20-00-00"))
    names = []
    for proves in (True, False):
        last = "2026-12-01_00-00-00"
        mine = ImageFolder(directory, WANTED, lambda seconds: None, lambda: "2026-11-25_00-00-00", last, proves=proves)
        mine.claim()
        names.append(mine.name)
    assert names == ["2026-11-25_00-00-01", "2026-11-25_20-00-01"]
