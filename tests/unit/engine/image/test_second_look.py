# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told once is no damage: a false read, a short one, a listing that misses a name. What was judged by it comes back."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional

import pytest
from engine.entries import Entry
from engine.errors import ImageNotCommitted, PasswordMissing, StorageListingIncomplete, StoragePermissionDenied
from engine.image import records
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.verify import verify_image
from engine.restore.restore import restore
from engine.storage.contract import Deadline, Storage
from support.imaging import PASSWORD
from support.plant import DAY, NOW, Plant
from support.small_runs import DEVICE, SmallDisk, make_small, read_image, run_image
from support.storages import HookedStorage, MemoryStorage


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


class FalseOnce(HookedStorage):
    """Spoils the first read of every file; ``spoil`` makes false bytes of the true ones."""

    def __init__(self, inner: Storage, spoil: Callable[[bytes], bytes]) -> None:
        super().__init__(inner, lambda *dummy: None)
        self._spoil = spoil
        self._seen: Dict[str, int] = {}

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        data = self.inner.get(path, offset_bytes, length_bytes)
        self._seen[path] = self._seen.get(path, 0) + 1
        yield self._spoil(data) if self._seen[path] == 1 and data else data


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


SPOILT = {"flipped": flipped, "short": lambda data: data[: len(data) // 2], "empty": lambda data: b""}


@pytest.mark.parametrize("how", sorted(SPOILT))
@pytest.mark.parametrize("level", ["quick", "storage", "full"])
def test_one_false_read_of_every_file_is_no_damage_to_a_verify(how: str, level: str) -> None:
    storage, disk = MemoryStorage(), SmallDisk()
    image = run_image(storage, disk, Passwords(PASSWORD)).image
    before = {path for path in storage.files if "/records/" not in path}
    if level == "quick":  # it reads one list, and says what it read
        how = "flipped"
    report = verify_image(FalseOnce(storage, SPOILT[how]), DEVICE, image, level, password=PASSWORD)
    assert report.bad_packs == []
    assert {path for path in storage.files if "/records/" not in path} == before
    assert verify_image(storage, DEVICE, image, level, password=PASSWORD).ok


@pytest.mark.parametrize("how", sorted(SPOILT))
def test_one_false_read_of_every_file_harms_nothing_in_a_run_and_a_rollover(how: str) -> None:
    plant = Plant(3)
    packs = plant.directory.packs()
    run_image(FalseOnce(plant.storage, SPOILT[how]), plant.disk)
    assert set(packs) <= set(plant.directory.packs())
    kept = plant.names[1:]
    roll_over(FalseOnce(plant.storage, SPOILT[how]), DEVICE, 3, openable_key="", now=lambda: NOW)
    assert plant.listed()[:2] == kept
    plant.check(*kept)


def call_bad(plant: Plant, image: str) -> str:
    """What a false verify did: a whole pack is out of use as a damaged one."""
    pack = min(plant.packs_of(image))
    plant.directory.move_to_trash(pack, None, NOW)
    return pack


def test_a_whole_pack_that_was_called_damaged_comes_back_to_each_verb(tmp_path: Path) -> None:
    plant = Plant(2)
    image = plant.names[0]

    call_bad(plant, image)
    target = tmp_path / "target"
    restore(plant.storage, DEVICE, image, {"disk0": str(target)})
    assert target.read_bytes() == plant.expected[image]

    for work in (
        lambda: plant.roll(2),
        lambda: verify_image(plant.storage, DEVICE, image, "storage"),
        lambda: verify_image(plant.storage, DEVICE, image, "quick"),
    ):
        pack = call_bad(plant, image) if not plant.directory.trash() else plant.directory.trash()[0].pack
        work()
        assert plant.storage.exists(fmt.pack_path(DEVICE, pack))
        assert plant.directory.trash() == []
        plant.check(image)


def test_of_several_copies_the_whole_one_comes_back() -> None:
    plant = Plant(2)
    image = plant.names[0]
    pack = call_bad(plant, image)
    trash = plant.directory.path(fmt.TRASH)
    whole = plant.storage.get("%s/%s.bad.%d" % (trash, pack, NOW))
    plant.storage.put("%s/%s.1.%d" % (trash, pack, NOW), [flipped(whole)])
    plant.storage.put("%s/%s.bad.%d" % (trash, pack, NOW + 1), [whole[:-1]])
    plant.roll(2)
    assert hashlib.sha256(plant.storage.get(fmt.pack_path(DEVICE, pack))).hexdigest() == pack
    plant.check(image)


def test_a_pack_that_rotted_in_its_place_gives_way_to_a_whole_copy() -> None:
    plant = Plant(1)
    pack = min(plant.packs_of(plant.names[0]))
    place = fmt.pack_path(DEVICE, pack)
    whole = plant.storage.get(place)
    plant.storage.put("%s/%s.1.%d" % (plant.directory.path(fmt.TRASH), pack, NOW), [whole])
    plant.storage.put(place, [flipped(whole)], replace=True)
    assert read_image(plant.storage, plant.names[0]) == plant.expected[plant.names[0]]
    assert verify_image(plant.storage, DEVICE, plant.names[0], "storage").ok
    assert plant.storage.get(place) == whole


# -- the commit -------------------------------------------------------------------------------------------------------


class Limited(HookedStorage):
    """An account that may only create and read."""

    def _around(self, operation: str, path: str, call: Callable[[], object]) -> object:
        if operation in ("rename", "delete"):
            raise StoragePermissionDenied(storage="share", operation=operation, path=path)
        return super()._around(operation, path, call)

    def put(self, path: str, data: object, *, replace: bool = False, deadline: Optional[Deadline] = None) -> int:
        if replace and self.inner.exists(path):
            raise StoragePermissionDenied(storage="share", operation="replacing", path=path)
        return super().put(path, data, deadline=deadline)  # type: ignore[arg-type]


@pytest.mark.parametrize("limited", [False, True], ids=["full", "limited"])
@pytest.mark.parametrize("times", [1, 9])
def test_packs_that_vanish_while_the_manifest_is_stored_are_missed(limited: bool, times: int) -> None:
    """They left for good: the image is made again, or the run says that there is none."""
    storage, disk = MemoryStorage(), SmallDisk()
    left = times

    def hook(moment: str, operation: str, path: str) -> None:
        nonlocal left
        if (moment, operation) == ("after", "put") and path.endswith("image.json") and left:
            left -= 1
            for pack in [one for one in storage.files if "/packs/" in one]:
                del storage.files[pack]

    account = (Limited if limited else HookedStorage)(storage, hook)
    work: Callable[[], object] = lambda: run_image(account, disk, takes_lease=not limited)  # noqa: E731
    if times > 1:
        with pytest.raises(ImageNotCommitted):
            work()
    else:
        result = run_image(account, disk, takes_lease=not limited)
        assert [text for text in result.warnings if "its packs were missing" in text]
        assert read_image(storage, result.image) == disk.expected()
    directory = DeviceDirectory(storage, DEVICE)
    for manifest in directory.images():
        whole = verify_image(storage, DEVICE, manifest.image, "storage", record=False).ok
        assert whole or (limited and {one.ok for one in records.read(directory, manifest.image)} == {False})


def test_a_manifest_that_was_not_stored_as_it_was_written_is_taken_back() -> None:
    storage, disk = MemoryStorage(), SmallDisk()
    spoilt: List[str] = []

    def hook(moment: str, operation: str, path: str) -> None:
        if (moment, operation) == ("after", "put") and path.endswith("image.json") and not spoilt:
            spoilt.append(path)
            storage.files[path] = flipped(storage.files[path])

    result = run_image(HookedStorage(storage, hook), disk)
    assert spoilt
    assert not storage.exists(spoilt[0])
    assert [one.image for one in DeviceDirectory(storage, DEVICE).images()] == [result.image]
    assert read_image(storage, result.image) == disk.expected()


# -- clocks -----------------------------------------------------------------------------------------------------------


class Clocked(MemoryStorage):
    """A storage with a clock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = float(NOW)
        self._written: Dict[str, float] = {}

    def put(self, path: str, data: object, *, replace: bool = False, deadline: Optional[Deadline] = None) -> int:
        self._written[path] = self.seconds
        return super().put(path, data, replace=replace, deadline=deadline)  # type: ignore[arg-type]

    def modified_seconds(self, path: str) -> Optional[float]:
        self.stat(path)
        return self._written.get(path, self.seconds)


@pytest.mark.parametrize(("first", "second"), [(0, 21), (-21, 0), (21, 0), (0, -21), (-21, 21)])
def test_ages_in_the_trash_hold_when_two_hosts_clocks_are_weeks_apart(first: int, second: int) -> None:
    plant = Plant()
    storage = plant.storage = Clocked()
    for dummy in range(2):
        plant.make()
    gone = plant.packs_of(plant.names[0])
    plant.roll(1, NOW + first * DAY)
    plant.make()
    for hours in (1, 12, 20):
        storage.seconds = NOW + hours * 3600
        for days in (second, first):
            assert plant.roll(2, NOW + days * DAY + hours * 3600).purged_packs == []
    assert plant.trashed() == gone
    purged = set()
    for days in range(1, 4):
        storage.seconds = NOW + days * DAY + 3600 * days
        purged |= set(plant.roll(2, NOW + second * DAY + days * DAY + 3600 * days).purged_packs)
    assert purged == gone


# -- listings that lag ------------------------------------------------------------------------------------------------


class Lagging(HookedStorage):
    """Lists nothing of what is there, or nothing of a device but its folders."""

    def __init__(self, inner: Storage, shows: Callable[[str], bool]) -> None:
        super().__init__(inner, lambda *dummy: None)
        self._shows = shows

    def list(self, path: str) -> List[Entry]:
        return [entry for entry in super().list(path) if self._shows(entry.name)]


SHOWN = {"nothing": lambda name: False, "folders": lambda name: name in ("packs", "keys", "records", "trash")}


@pytest.mark.parametrize("shown", sorted(SHOWN))
def test_a_lagging_listing_makes_no_clear_image_and_no_key(shown: str) -> None:
    storage, disk = MemoryStorage(), SmallDisk()
    run_image(storage, disk, Passwords(PASSWORD))
    before = {path for path in storage.files if "lease" not in path}
    lagging = Lagging(storage, SHOWN[shown])
    for password, errors in (
        (None, (PasswordMissing, StorageListingIncomplete)),
        ("mistyped", StorageListingIncomplete),
    ):
        with pytest.raises(errors):
            run_image(lagging, disk, Passwords(password))
        assert {path for path in storage.files if "lease" not in path} == before
