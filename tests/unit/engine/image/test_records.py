# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records: pins that no added file takes back, what stands in their way, and what is believed of a record."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict

import pytest
from engine.errors import RecordRefused, StoragePermissionDenied
from engine.image import records
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.keys import MasterKey
from engine.storage.local.storage import DirectoryStorage
from support.storages import HookedStorage

IMAGE = "2026-11-23_20-00-00"
KEY = MasterKey(b"k" * 32)


@pytest.fixture
def directory(tmp_path: Path) -> DeviceDirectory:
    (tmp_path / "storage").mkdir()
    directory = DeviceDirectory(DirectoryStorage(str(tmp_path / "storage")), "pc")
    directory.create()
    return directory


def place(directory: DeviceDirectory, tmp_path: Path) -> Path:
    return tmp_path / "storage" / directory.path(fmt.RECORDS, IMAGE)


@pytest.mark.parametrize("order", [0, 1, 1 << 60])
def test_a_record_takes_no_pin_back(directory: DeviceDirectory, order: int) -> None:
    directory.add_record(IMAGE, "pinned", {"order": 1})  # as version 0.1.0 wrote it
    directory.add_record(IMAGE, "unpinned", {"order": order})
    assert records.kept(directory, IMAGE).is_pinned
    records.unpin(directory, IMAGE)
    assert records.names(directory, IMAGE) == []
    assert not records.kept(directory, IMAGE).is_pinned


def test_a_pin_whose_bytes_rot_still_keeps_the_image(directory: DeviceDirectory, tmp_path: Path) -> None:
    records.pin(directory, IMAGE, KEY)
    (file,) = place(directory, tmp_path).iterdir()
    file.write_bytes(b"\0" * 100)
    assert records.kept(directory, IMAGE).is_pinned
    assert not records.has_authentic_pin(directory, IMAGE, KEY)


@pytest.mark.parametrize("kind", ["file", "link", "fifo"])
def test_what_stands_in_the_place_of_the_records_is_moved_aside(
    directory: DeviceDirectory, kind: str, tmp_path: Path
) -> None:
    path = place(directory, tmp_path)
    makers: Dict[str, Any] = {"file": path.touch, "link": lambda: path.symlink_to("/"), "fifo": lambda: os.mkfifo(path)}
    makers[kind]()
    assert not records.kept(directory, IMAGE).is_pinned
    records.pin(directory, IMAGE, KEY)
    assert records.kept(directory, IMAGE).is_pinned
    assert records.has_authentic_pin(directory, IMAGE, KEY)
    assert len([one for one in path.parent.iterdir() if records.ASIDE_NAME.fullmatch(one.name)]) == 1


def test_records_that_can_not_be_listed_keep_the_image_until_it_is_unpinned(directory: DeviceDirectory) -> None:
    directory.add_record(IMAGE, "verified", {"ok": True})
    foreign = directory.path(fmt.RECORDS, IMAGE)

    def refuse(dummy_moment: str, operation: str, path: str) -> None:
        if path.startswith(foreign) and not path.endswith(".aside") and operation in ("list", "put"):
            raise StoragePermissionDenied(storage="test", operation=operation, path=path)

    def stop_refusing(moment: str, operation: str, path: str) -> None:
        if (moment, operation, path) == ("after", "rename", foreign):
            hooked.hook = lambda *dummy: None
        refuse(moment, operation, path)

    hooked = HookedStorage(directory.storage, refuse)
    limited = DeviceDirectory(hooked, "pc")
    assert records.kept(limited, IMAGE).reason
    assert records.read_of(limited, [IMAGE]) == [[]]
    hooked.hook = stop_refusing
    records.pin(limited, IMAGE, None)
    assert records.kept(directory, IMAGE) == records.Kept(is_pinned=True)


def test_many_pins_go_at_once(directory: DeviceDirectory) -> None:
    for number in range(300):
        directory.add_record(IMAGE, "pinned", {"number": number})
    records.unpin(directory, IMAGE)
    assert not records.kept(directory, IMAGE).is_pinned


def crowd(directory: DeviceDirectory, tmp_path: Path) -> None:
    """More directories that are named like pins than a listing shows: an account that may only create can make them."""
    directory.add_record(IMAGE, "verified", {"ok": True})
    for number in range(12):
        (place(directory, tmp_path) / ("pinned-%064x.json" % number)).mkdir()


def test_directories_named_like_pins_hide_no_pin(
    directory: DeviceDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(directory, tmp_path)
    assert records.kept(directory, IMAGE).reason == "", "all of them are seen: none is a pin"
    monkeypatch.setattr(fmt, "MAX_RECORDS_LISTED", 8)
    assert records.kept(directory, IMAGE).reason, "there may be a pin behind them"
    records.pin(directory, IMAGE, KEY)
    assert records.kept(directory, IMAGE).reason


def test_an_operator_unpins_beside_directories_named_like_pins(
    directory: DeviceDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(directory, tmp_path)
    records.pin(directory, IMAGE, KEY)
    monkeypatch.setattr(fmt, "MAX_RECORDS_LISTED", 8)
    records.unpin(directory, IMAGE)
    assert records.kept(directory, IMAGE) == records.Kept()
    monkeypatch.undo()
    assert records.kept(directory, IMAGE) == records.Kept()


@pytest.mark.parametrize("hidden", [False, True])
def test_an_archived_image_stays_kept_when_its_crowded_records_are_unpinned(
    directory: DeviceDirectory, hidden: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moved aside with the directories that are named like pins, the record of a version would keep nothing."""
    crowd(directory, tmp_path)
    directory.add_record(IMAGE, "archived", {"version": 1})
    before = sorted(path.name for path in place(directory, tmp_path).iterdir())
    if hidden:
        for number in range(12):
            (place(directory, tmp_path) / ("archived-%064x.json" % number)).mkdir()
        listed = DirectoryStorage.list_some

        def false_ones_first(self: Any, path: str, wanted: Any, most: int) -> Any:
            return sorted(listed(self, path, wanted, 1 << 16), key=lambda entry: str(entry.kind))[:most]

        monkeypatch.setattr(DirectoryStorage, "list_some", false_ones_first)
    monkeypatch.setattr(fmt, "MAX_RECORDS_LISTED", 8)
    with pytest.raises(RecordRefused) as caught:
        records.unpin(directory, IMAGE)
    assert caught.value.fields["path"] == directory.path(fmt.RECORDS, IMAGE)
    assert records.kept(directory, IMAGE).reason
    assert set(before) <= {path.name for path in place(directory, tmp_path).iterdir()}
    monkeypatch.undo()
    for path in place(directory, tmp_path).glob("pinned-*"):  # as the message says
        path.rmdir()
    records.unpin(directory, IMAGE)
    assert records.kept(directory, IMAGE) == records.Kept(is_archived=True)


def test_records_that_this_account_may_not_write_are_not_moved_aside_with_those_of_a_version(
    directory: DeviceDirectory,
) -> None:
    directory.add_record(IMAGE, "archived", {"version": 1})

    def refuse(dummy_moment: str, operation: str, path: str) -> None:
        if operation == "put" and "/pinned-" in path:
            raise StoragePermissionDenied(storage="test", operation=operation, path=path)

    with pytest.raises(RecordRefused):
        records.pin(DeviceDirectory(HookedStorage(directory.storage, refuse), "pc"), IMAGE, None)
    assert records.kept(directory, IMAGE) == records.Kept(is_archived=True)


def test_more_pins_than_a_listing_shows_go_at_once(directory: DeviceDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fmt, "MAX_RECORDS_LISTED", 4)
    for number in range(20):
        directory.add_record(IMAGE, "pinned", {"number": number})
    records.unpin(directory, IMAGE)
    assert records.kept(directory, IMAGE) == records.Kept()


def test_what_no_holder_of_the_key_wrote_is_not_believed(directory: DeviceDirectory) -> None:
    directory.add_record(IMAGE, "verified", {"level": "full", "ok": True, "index": "false"})
    (unproved,) = records.read(directory, IMAGE)
    assert (unproved.is_authentic, unproved.is_believed, unproved.has_false_index) == (None, True, True)
    (unproved,) = records.read(directory, IMAGE, KEY)
    assert (unproved.is_authentic, unproved.is_believed) == (False, False)
    directory.add_record(IMAGE, "verified", {"level": "full", "ok": True}, KEY)
    assert sorted(str(one.is_authentic) for one in records.read(directory, IMAGE, KEY)) == ["False", "True"]
    assert {one.is_authentic for one in records.read(directory, IMAGE, MasterKey(b"o" * 32))} == {False}


def test_a_record_of_another_image_is_none_of_this_one(directory: DeviceDirectory, tmp_path: Path) -> None:
    records.pin(directory, IMAGE, KEY)
    (file,) = place(directory, tmp_path).iterdir()
    other = "2026-11-24_20-00-00"
    directory.storage.make_directory(directory.path(fmt.RECORDS, other))
    directory.storage.put(directory.path(fmt.RECORDS, other, file.name), [file.read_bytes()])
    assert records.kept(directory, other).is_pinned, "it errs on the side of the image"
    assert not records.has_authentic_pin(directory, other, KEY)
