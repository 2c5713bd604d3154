# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule 8: a run that goes on after an interrupted one sends nothing twice, and does not read again what was proved; also when
a rollover came in between, and for an account that may only create."""

from __future__ import annotations

import functools
from typing import Dict, List, Optional, Set

import pytest
from engine.errors import StoragePermissionDenied
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.verify import verify_image
from engine.storage.contract import Storage
from support.plant import DAY, NOW
from support.small_runs import DEVICE, SmallDisk, chunk_places, make_small, read_image, run_image
from support.storages import HookedStorage, Killed, MemoryStorage

PASSWORD = "correct-horse-battery-staple-47"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


class Line(HookedStorage):
    """Breaks for good after some packs were published, and counts what is sent and how much of each pack is read."""

    def __init__(self, inner: Storage, packs: Optional[int] = None) -> None:
        super().__init__(inner, self._look)
        self._left = packs
        self.sent: Set[str] = set()
        self.read_bytes: Dict[str, int] = {}

    def _look(self, moment: str, operation: str, path: str) -> None:
        if self._left is not None and self._left <= 0:
            raise Killed
        if (moment, operation) == ("after", "put") and "/packs/" in path:
            self.sent.add(path.rpartition("/")[2])
            if self._left is not None:
                self._left -= 1

    def read(self, path, offset_bytes=0, length_bytes=None):  # type: ignore[no-untyped-def]
        for piece in super().read(path, offset_bytes, length_bytes):
            if "/packs/" in path:
                name = path.rpartition("/")[2]
                self.read_bytes[name] = self.read_bytes.get(name, 0) + len(piece)
            yield piece

    def read_whole(self, packs: Dict[str, int]) -> List[str]:
        """Those of ``packs``, given with their sizes, of which every byte was read."""
        return [name for name, size in packs.items() if self.read_bytes.get(name, 0) >= size]


def interrupted(inner: Storage, disk: SmallDisk, packs: int, password: Optional[str], **more: object) -> None:
    with pytest.raises(Killed):
        run_image(Line(inner, packs), disk, Passwords(password=password), **more)
    if isinstance(inner, MemoryStorage):
        inner.files.pop("%s/lease.json" % DEVICE, None)  # as time does


def sizes(storage: Storage) -> Dict[str, int]:
    return DeviceDirectory(storage, DEVICE).packs()


def test_what_a_checkpoint_proves_is_not_read_again() -> None:
    """Else each window of a large first image would begin with hours of reading what the ones before sent."""
    storage, disk = MemoryStorage(), SmallDisk(160)
    interrupted(storage, disk, 24, PASSWORD)
    before = sizes(storage)
    line = Line(storage)
    image = run_image(line, disk, Passwords(password=PASSWORD)).image
    whole = line.read_whole(before)
    # Between two checkpoints lie two segments of eight chunks: those packs alone are in doubt.
    assert len(whole) <= 8 < len(before)
    assert not line.sent & set(before)
    assert read_image(storage, image, PASSWORD) == disk.expected()
    assert all(len(places) == 1 for places in chunk_places(storage).values()), "no chunk is stored twice"


def test_in_clear_anybody_could_have_made_a_checkpoint_so_that_all_is_read() -> None:
    storage, disk = MemoryStorage(), SmallDisk(96)
    interrupted(storage, disk, 14, None)
    before = sizes(storage)
    line = Line(storage)
    image = run_image(line, disk).image
    assert line.read_whole(before) == list(before)
    assert read_image(storage, image) == disk.expected()


@pytest.mark.parametrize("times", [1, 2])
def test_a_rollover_in_between_costs_nothing(times: int) -> None:
    """The operator's rollover takes what no image needs for debris; days later the run goes on where it was."""
    storage, disk = MemoryStorage(), SmallDisk(160)
    interrupted(storage, disk, 24, PASSWORD)
    before = sizes(storage)
    for days in range(times):
        roll_over(storage, DEVICE, 3, openable_key=None, now=lambda days=days: NOW + days * 3 * DAY)
    assert sizes(storage) == {}
    line = Line(storage)
    image = run_image(line, disk, Passwords(password=PASSWORD)).image
    assert len(line.sent & set(before)) == 0
    assert len(set(before) - set(sizes(storage))) <= 8, "but what came after the last checkpoint"
    assert read_image(storage, image, PASSWORD) == disk.expected()
    assert verify_image(storage, DEVICE, image, "full", password=PASSWORD, record=False).ok


def test_several_interrupted_runs_add_up() -> None:
    """The second one is cut off before it comes as far as the first; the third goes on from both."""
    storage, disk = MemoryStorage(), SmallDisk(160)
    interrupted(storage, disk, 24, PASSWORD)
    disk.write(0, 1, 2, 3, 16, 17, 18, 19, 32, 33, 34, 35)
    interrupted(storage, disk, 3, PASSWORD)
    before = sizes(storage)
    line = Line(storage)
    image = run_image(line, disk, Passwords(password=PASSWORD)).image
    whole = line.read_whole(before)
    assert len(whole) <= 12 < len(before)
    assert read_image(storage, image, PASSWORD) == disk.expected()
    assert all(len(places) == 1 for places in chunk_places(storage).values())


def test_a_chunk_that_an_interrupted_run_took_out_of_a_dying_pack_is_not_sent_again() -> None:
    """A pack of which the newest image needs little dies: its last chunks are stored again, by one run and no more."""
    storage, disk = MemoryStorage(), SmallDisk(40)
    run_image(storage, disk, Passwords(password=PASSWORD))
    disk.write(17, 18, 19)
    run_image(storage, disk, Passwords(password=PASSWORD), "2026-11-24_20-00-00")
    disk.write(20)
    older = chunk_places(storage)
    line = Line(storage, 1)
    with pytest.raises(Killed):
        run_image(line, disk, Passwords(password=PASSWORD), "2026-11-25_20-00-00")
    storage.files.pop("%s/lease.json" % DEVICE)
    left = {chunk for chunk, packs in chunk_places(storage).items() if line.sent & set(packs)}
    assert left & older.keys(), "the interrupted run took a chunk out of a dying pack"
    again = Line(storage)
    made = run_image(again, disk, Passwords(password=PASSWORD), "2026-11-26_20-00-00")
    assert not left & {chunk for chunk, packs in chunk_places(storage).items() if again.sent & set(packs)}
    assert read_image(storage, made.image, PASSWORD) == disk.expected()


def test_what_a_run_left_goes_a_day_after_a_run_has_succeeded() -> None:
    storage, disk = MemoryStorage(), SmallDisk(96)
    interrupted(storage, disk, 14, PASSWORD)

    def trash() -> List[str]:
        return [entry.name for entry in storage.list("%s/trash" % DEVICE)]

    roll_over(storage, DEVICE, 3, openable_key=None, now=lambda: NOW)
    roll_over(storage, DEVICE, 3, openable_key=None, now=lambda: NOW + 30 * DAY)
    assert len(trash()) > 10
    run_image(storage, disk, Passwords(password=PASSWORD))
    roll_over(storage, DEVICE, 3, openable_key=None, now=lambda: NOW + 31 * DAY)
    roll_over(storage, DEVICE, 3, openable_key=None, now=lambda: NOW + 33 * DAY)
    assert trash() == []


def creating(inner: MemoryStorage) -> HookedStorage:
    """An account that may create and read, and neither change nor delete."""

    def hook(moment: str, operation: str, path: str) -> None:
        if moment == "before" and operation in ("delete", "rename", "remove_directory"):
            raise StoragePermissionDenied(storage="memory", operation=operation, path=path)

    class Creating(HookedStorage):
        def put(self, path, data, *, replace=False, deadline=None):  # type: ignore[no-untyped-def]
            if replace and path in inner.files:
                raise StoragePermissionDenied(storage="memory", operation="replacing", path=path)
            return super().put(path, data, deadline=deadline)

    return Creating(inner, hook)


def test_an_account_that_may_only_create_goes_on_too() -> None:
    storage, disk = MemoryStorage(), SmallDisk(320)
    interrupted(creating(storage), disk, 60, PASSWORD, takes_lease=False)
    before = sizes(storage)
    checkpoints = [path for path in storage.files if ".checkpoint" in path]
    assert 3 < len(checkpoints) < 16, "not one for each four gigabytes"
    line = Line(creating(storage))
    image = run_image(line, disk, Passwords(password=PASSWORD), takes_lease=False).image
    whole = line.read_whole(before)
    assert len(whole) <= len(before) // 2
    assert not line.sent & set(before)
    assert read_image(storage, image, PASSWORD) == disk.expected()


def roll_over_in_the_end(storage: MemoryStorage, left: List[int], *dummy: object) -> None:
    left[0] -= 1
    if left[0] == 0:
        roll_over(storage, DEVICE, 1, openable_key=None, now=lambda: NOW)


def test_a_rollover_at_every_moment_of_a_run_that_goes_on() -> None:
    """Its checkpoint and packs may go between any two calls: it makes its image all the same."""
    moment, finished = 0, False
    while not finished:
        storage, disk = MemoryStorage(), SmallDisk(40)
        interrupted(storage, disk, 6, PASSWORD)
        moment += 1
        left = [moment]
        image = run_image(
            HookedStorage(storage, functools.partial(roll_over_in_the_end, storage, left)),
            disk,
            Passwords(password=PASSWORD),
        ).image
        assert read_image(storage, image, PASSWORD) == disk.expected(), moment
        finished = left[0] > 0
    assert moment > 100


def test_the_names_of_checkpoints_do_not_get_into_an_image() -> None:
    storage, disk = MemoryStorage(), SmallDisk(96)
    run_image(storage, disk, Passwords(password=PASSWORD))
    assert [path for path in storage.files if "checkpoint" in path] == []
    assert fmt.checkpoint_name(0) == "disk0.checkpoint"


def test_a_run_that_a_success_has_overtaken_is_gone_on_from_no_more() -> None:
    """Else each later run would bring its packs back from the trash, and its rollover put them there again."""
    storage, disk = MemoryStorage(), SmallDisk(96)
    interrupted(storage, disk, 14, PASSWORD)
    disk.write(*range(96))
    run_image(storage, disk, Passwords(password=PASSWORD))
    roll_over(storage, DEVICE, 3, openable_key=None, now=lambda: NOW)
    trash = sorted(entry.file_name for entry in DeviceDirectory(storage, DEVICE).trash())
    assert len(trash) >= 8
    run_image(storage, disk, Passwords(password=PASSWORD))
    assert sorted(entry.file_name for entry in DeviceDirectory(storage, DEVICE).trash()) == trash


def test_what_an_interrupted_run_sent_of_another_disk_counts_too() -> None:
    """The next job images only the second disk, under the first one's number: its chunks are found by their ids."""
    storage, disk = MemoryStorage(), SmallDisk(96)
    interrupted(storage, disk, 14, PASSWORD)
    before = sizes(storage)
    other = SmallDisk(128)  # of another size, so that the checkpoint is none of it
    other.data[: len(disk.data)] = disk.data
    line = Line(storage)
    image = run_image(line, other, Passwords(password=PASSWORD)).image
    assert line.read_whole(before) == list(before), "they were looked into"
    assert all(len(places) == 1 for places in chunk_places(storage).values()), "no chunk is stored twice"
    assert read_image(storage, image, PASSWORD) == other.expected()


def test_a_checkpoint_that_could_not_be_replaced_once_leaves_nothing_in_the_image() -> None:
    """A scanner had the file open, as on Windows: from then on checkpoints have numbers."""
    storage, disk = MemoryStorage(), SmallDisk(160)
    refused = []

    class Scanned(HookedStorage):
        def put(self, path, data, *, replace=False, deadline=None):  # type: ignore[no-untyped-def]
            if replace and path in storage.files and ".checkpoint" in path and not refused:
                refused.append(path)
                raise StoragePermissionDenied(storage="memory", operation="replacing", path=path)
            return super().put(path, data, replace=replace, deadline=deadline)

    seen = []
    run_image(
        Scanned(storage, lambda moment, operation, path: seen.append(path) if ".checkpoint." in path else None),
        disk,
        Passwords(password=PASSWORD),
    )
    assert refused
    assert seen
    assert [path for path in storage.files if "checkpoint" in path] == []


def test_a_directory_of_a_clock_that_was_years_ahead_goes_too() -> None:
    storage, disk = MemoryStorage(), SmallDisk(96)
    interrupted(storage, disk, 14, PASSWORD)
    roll_over(storage, DEVICE, 3, openable_key=None, now=lambda: NOW + 3650 * DAY)
    run_image(storage, disk, Passwords(password=PASSWORD))
    for days in range(1, 5):
        roll_over(storage, DEVICE, 3, openable_key=None, now=lambda days=days: NOW + days * DAY)
    assert DeviceDirectory(storage, DEVICE).put_aside() == []
