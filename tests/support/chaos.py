# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One case of chaos: three images, a fourth run while something happens to its server, then what must hold.

``Chaos(server, seed, fault)`` is repeatable as far as threads allow: the seed decides the disk's changes, the moment
and the measure of the fault.
"""

from __future__ import annotations

import copy
import random
import shutil
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Set

import pytest
from engine.errors import EngineError
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.packs import read_table
from engine.image.pack_references import usable_packs
from engine.image.reader import ImageReader
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.rollover_report import RolloverReport
from engine.image.upkeep.verify import verify_image
from engine.storage import lease, retry
from engine.storage.contract import PARTIAL_SUFFIX, Storage
from engine.storage.local.storage import DirectoryStorage
from engine.storage.retry import RetryingStorage
from engine.storage.sftp import connect as sftp_connect

from .aging import DAY, pass_time
from .chaos_servers import TIMEOUT_SECONDS, ChaosServer
from .refusing import check_sentence
from .small_runs import DEVICE, SmallDisk, make_small, read_image, run_image
from .storages import HookedStorage

PASSWORD = "a password for this test"
KEEP = 3
_SMALL_BYTES = 300_000  # manifests, indexes, keys, documents: not packs
_PACK_BYTES = 4 * fmt.CHUNK_BYTES


class Moments:
    """A hook for ``HookedStorage`` that counts, and calls ``fault`` at one moment."""

    def __init__(self, at: int, fault: Callable[[], None]) -> None:
        self.count = 0
        self.at = at
        self._fault = fault

    def __call__(self, *dummy: object) -> None:
        self.count += 1
        if self.count == self.at:
            self._fault()


def make_quick(patch: pytest.MonkeyPatch) -> None:
    """Small images, waits between tries of hundredths of a second, and servers that are not waited for half a minute."""
    make_small(patch)
    patch.setattr(sftp_connect, "_CONNECT_SECONDS", TIMEOUT_SECONDS)
    patch.setattr(retry, "_FIRST_WAIT_SECONDS", 0.02)
    patch.setattr(retry, "_LONGEST_WAIT_SECONDS", 0.3)


class Runs:
    """Each run is to look like a process of its own: the lease of an earlier one is then that of a dead process."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._number = 0
        patch.setattr(lease, "process_start", lambda pid: "run %d" % self._number)

    def next(self) -> None:
        self._number += 1


class Chaos:
    """A device's directory on ``server``, of which ``expected`` tells what each image must hold."""

    def __init__(self, server: ChaosServer, seed: int, runs: Runs, limit_seconds: float = 1.5) -> None:
        self.server = server
        self.chance = random.Random(seed)
        self.runs = runs
        self.limit_seconds = limit_seconds
        self.below = "chaos-%d" % seed
        server.make_folder(self.below)
        self.disk = SmallDisk(40, seed)
        self.expected: Dict[str, bytes] = {}
        self.now = time.time()
        self.error: Optional[EngineError] = None
        self.warning: Optional[EngineError] = None  # of the rollover

    # -- what runs ----------------------------------------------------------------------------------------------------

    @property
    def outside(self) -> Storage:
        """The stored files, without the server."""
        return DirectoryStorage(str(self.server.make_folder(self.below)))

    def open(self, hook: Optional[Callable[[str, str, str], None]] = None, limit_seconds: float = 20.0) -> Storage:
        inner = self.server.open(self.below)
        return RetryingStorage(HookedStorage(inner, hook) if hook else inner, limit_seconds)

    def image(self, storage: Storage, **more: Any) -> Any:
        self.runs.next()
        timestamp = time.strftime("%Y-%m-%d_%H-%M-%S", time.gmtime(self.now))
        result = run_image(storage, self.disk, Passwords(password=PASSWORD), timestamp, lease_ttl_seconds=6.0, **more)
        self.expected[result.image] = self.disk.expected()
        return result

    def roll_over(self, storage: Storage) -> RolloverReport:
        images = DeviceDirectory(self.outside, DEVICE).images()
        doomed = {manifest.image for manifest in images[:-KEEP]}
        try:
            return roll_over(storage, DEVICE, KEEP, openable_key=images[-1].key_id, now=lambda: self.now)
        finally:
            for image in doomed - {manifest.image for manifest in DeviceDirectory(self.outside, DEVICE).images()}:
                self.expected.pop(image, None)

    def pass_days(self, days: int) -> None:
        self.now += days * DAY
        pass_time(self.server.root / self.below, days * DAY)

    def change(self) -> None:
        self.disk.write(*(self.chance.randrange(self.disk.chunks) for dummy in range(self.chance.randrange(1, 8))))

    def prepare(self, images: int = 3) -> None:
        with self.open() as storage:
            storage.make_directory("")
            for dummy in range(images):
                self.image(storage)
                self.change()

    def copy(self, number: int) -> Chaos:
        """The same device once more, in a folder of its own."""
        other = copy.copy(self)
        other.below = "%s-%d" % (self.below, number)
        other.disk = copy.deepcopy(self.disk)
        other.expected = dict(self.expected)
        shutil.copytree(self.server.root / self.below, self.server.root / other.below)
        return other

    def fail(self, hook: Optional[Callable[[str, str, str], None]], work: Callable[[Storage], Any]) -> None:
        """Do ``work`` under a fault: it succeeds, or ends with one error of the catalogue in one sentence."""
        try:
            with self.open(hook, self.limit_seconds) as storage:
                work(storage)
        except EngineError as error:
            self.error = error
            check_sentence(error, [PASSWORD])

    def image_and_roll_over(self, storage: Storage) -> None:
        """As a job does it: a rollover that fails leaves a run that has succeeded, with a warning."""
        self.image(storage)
        try:
            self.roll_over(storage)
        except EngineError as error:
            check_sentence(error, [PASSWORD])
            self.warning = error

    # -- what must hold -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Everything: what is there now, the next run, those after it, and what is left behind at last."""
        self.check_next_run()
        with self.open() as storage:
            for dummy in range(3):
                self.roll_over(storage)
                self.pass_days(2)
                self.image(storage)
            self.roll_over(storage)
        self.check_images()
        self.check_nothing_is_left()
        self.remove()

    def check_next_run(self) -> None:
        """The faults are gone: what is there is whole, the next run succeeds and sends nothing twice."""
        self.server.recover()
        self.check_images()
        self.check_sentence()
        reusable = self.reusable_chunks()
        with self.open() as storage:
            before = set(DeviceDirectory(self.outside, DEVICE).packs())
            result = self.image(storage)
            assert set(result.new_packs).isdisjoint(before)
            assert self.chunks_of(result.new_packs) & reusable == set()
            self.roll_over(storage)
        self.check_images()
        self.check_no_partial_files()

    def remove(self) -> None:
        shutil.rmtree(self.server.root / self.below)

    def check_sentence(self) -> None:
        """An error says what was saved."""
        if self.error is not None:
            told = self.error.fields
            assert told.keys() & {"has_images", "committed", "in_doubt"}, self.error.as_dict()

    def check_images(self) -> None:
        """Every listed image verifies and reads back, also one whose run failed after its commit."""
        found = DeviceDirectory(self.outside, DEVICE)
        names = [manifest.image for manifest in found.images()]
        for name in names:
            self.expected.setdefault(name, self.disk.expected())
            report = verify_image(self.outside, DEVICE, name, "full", password=PASSWORD, record=False)
            assert report.ok, (name, report.problems)
            assert read_image(self.outside, name, PASSWORD) == self.expected[name]
        assert sorted(self.expected) == sorted(names)

    def chunks_of(self, packs: Any) -> Set[bytes]:
        storage = self.outside
        present = DeviceDirectory(storage, DEVICE).packs()
        found: Set[bytes] = set()
        for name in packs:
            table = read_table(storage, fmt.pack_path(DEVICE, name), present[name])
            found |= {entry.blob_id for entry in table if entry.kind == fmt.KIND_CHUNK}
        return found

    def reusable_chunks(self) -> Set[bytes]:
        """What is stored where the next run may rely on it: not in packs that are mostly dead."""
        storage = self.outside
        found = DeviceDirectory(storage, DEVICE)
        present = found.packs()
        images = found.images()
        referred = {pack for manifest in images for pack in found.sums(manifest.image).packs}
        usable = set(present) - referred
        if images:
            reader = ImageReader(storage, DEVICE, images[-1].image, PASSWORD)
            usable |= usable_packs(reader.disk(0).root, present)
        return self.chunks_of(usable)

    def check_no_partial_files(self) -> None:
        """What leaves through the trash is seen again when the trash is empty."""
        place = self.server.root / self.below / DEVICE
        left = [str(path.relative_to(place)) for path in place.rglob("*" + PARTIAL_SUFFIX)]
        assert [path for path in left if not path.startswith(fmt.TRASH)] == []

    def check_nothing_is_left(self) -> None:
        """After rollovers with old trash: no half-written file, no debris, and no more bytes than the rule allows."""
        self.check_no_partial_files()
        found = DeviceDirectory(self.outside, DEVICE)
        place = self.server.root / self.below / DEVICE
        assert list((place / fmt.TRASH).rglob("*" + PARTIAL_SUFFIX)) == []
        images = [manifest.image for manifest in found.images()]
        assert found.image_names() == sorted(images)
        assert len(images) == KEEP
        needed = {pack for image in images for pack in found.sums(image).packs}
        packs = found.packs()
        assert set(packs) == needed
        assert all(entry.since_seconds >= self.now - 2 * DAY for entry in found.trash())
        assert sum(packs.values()) <= 1.3 * live_bytes(self.outside, images, PASSWORD) + len(images) * _PACK_BYTES
        others = [path for path in place.iterdir() if path.name not in (fmt.PACKS, fmt.TRASH)]
        assert sum(_size(path) for path in others) <= _SMALL_BYTES


def live_bytes(storage: Storage, images: List[str], password: str) -> int:
    """Bytes of the blobs that some of ``images`` refers to."""
    places: Dict[Any, int] = {}
    for image in images:
        disk = ImageReader(storage, DEVICE, image, password).disk(0)
        for number, reference in enumerate(disk.root.segments):
            if reference.place is not None:
                stored = [place for dummy, dummy_id, place in disk.segment(number).stored()]
                places.update({place[:2]: place.stored_bytes for place in [reference.place, *stored]})
    return sum(places.values())


def _size(path: Path) -> int:
    return sum(inside.stat().st_size for inside in [path, *path.rglob("*")] if inside.is_file())
