# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storm: writers, rollovers and verifies at once over a storage that fails and lies, some killed on their way.

After each round an independent reader, over the storage as it really is, restores every image that is listed. One of which
its run said that it was made must be what the disk was; and none that was whole before may be harmed.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Dict, List, Optional, Set
from typing import Counter as Counted

from engine.errors import EngineError
from engine.image.access import Passwords, openable_key
from engine.image.device_directory import DeviceDirectory
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.verify import verify_image
from engine.image.verify_levels import LEVELS
from engine.storage.contract import Storage
from engine.storage.local.storage import DirectoryStorage
from engine.storage.retry import RetryingStorage
from support.aging import pass_time
from support.independent_reader import HealingReader
from support.killing import run_and_kill_after
from support.lying_storage import Faults, LyingStorage
from support.small_runs import DEVICE, SmallDisk, run_image
from support.storages import Killed

PASSWORD = "correct-horse-battery-staple-47"
KEEP = 3
_HOURS_A_ROUND = 9


class SmallReader(HealingReader):
    segment_chunks = 8  # as make_small has it


class Storm:
    """``expected`` is what each image holds that a run said it made; ``told`` counts how runs ended."""

    def __init__(self, base: Path, seed: int, rate: float = 0.02) -> None:
        self._base = base
        self.storage = DirectoryStorage(str(base))
        self.expected: Dict[str, bytes] = {}
        self.possible: List[bytes] = []  # what runs that failed, or were killed, may have stored all the same
        self.told: Counted[str] = Counter()
        self.faults: Counted[str] = Counter()
        self._chance = random.Random(seed)
        self._rate = rate
        self._disk = SmallDisk(14, seed)
        self._lock = threading.Lock()
        self._began = time.time()
        self.rounds = 0

    @property
    def directory(self) -> DeviceDirectory:
        return DeviceDirectory(self.storage, DEVICE)

    def round(self) -> None:
        """Some work at once, with faults; then what must be true."""
        self.rounds += 1
        before = self.whole()
        work: List[Callable[[Storage], object]] = [self._write, self._roll, self._verify]
        chosen = [work[0], *(self._chance.choice(work) for dummy in range(self._chance.randrange(3)))]
        self._disk.write(*(self._chance.randrange(14) for dummy in range(3)))
        if self._chance.random() < 0.2:
            self._kill_by_signal()
        seeds = [(call, self._chance.getrandbits(32), self._chance.random()) for call in chosen]
        with ThreadPoolExecutor(len(seeds)) as executor:
            for future in [executor.submit(self._faulty, *one) for one in seeds]:
                future.result()
        self._check(before)
        pass_time(self._base, _HOURS_A_ROUND * 3600)

    def whole(self) -> Set[str]:
        """The listed images that are what their runs said."""
        return {one.image for one in self.directory.images({}) if one.image in self.expected}

    def _faulty(self, call: Callable[[Storage], object], seed: int, luck: float) -> None:
        kill_at = 1 + seed % 120 if luck < 0.15 else 0
        faults = Faults(seed, self._rate, kill_at=kill_at)
        lying = RetryingStorage(LyingStorage(self.storage, faults), 60.0, sleep=lambda seconds: None)
        name = call.__name__.strip("_")
        try:
            call(lying)
            outcome = "done"
        except EngineError as error:
            outcome = error.code
        except Killed:
            outcome = "killed"
        with self._lock:
            self.told["%s: %s" % (name, outcome)] += 1
            self.faults.update(faults.counts)

    def _kill_by_signal(self) -> None:
        """Work in a process of its own, killed at a random moment: whatever it promised, nobody heard it."""
        call = self._chance.choice([self._write, self._roll, self._verify])
        faults = Faults(self._chance.getrandbits(32), self._rate)
        lying = RetryingStorage(LyingStorage(self.storage, faults), 60.0, sleep=lambda seconds: None)

        def work() -> None:
            with contextlib.suppress(EngineError):
                call(lying)

        if run_and_kill_after(work, self._chance.random() * 0.15):
            self.told["%s: SIGKILL" % call.__name__.strip("_")] += 1

    def _write(self, storage: Storage) -> None:
        disk = self._disk
        with self._lock:
            data = disk.expected()
            self.possible = [*self.possible[-40:], data]
            moment = time.strftime("%Y-%m-%d_%H-%M-%S", time.gmtime(self._now()))
        result = run_image(storage, disk, Passwords(PASSWORD), moment, takes_lease=False)
        with self._lock:
            self.expected[result.image] = data

    def _roll(self, storage: Storage) -> None:
        directory = DeviceDirectory(storage, DEVICE)
        key = openable_key(directory, PASSWORD)
        skew = self._chance.choice([0, 0, 0, 1, -1]) * 21 * 86400
        key_id = key.key_id if key else None
        roll_over(storage, DEVICE, KEEP, openable_key=key_id, key=key, now=lambda: self._now() + skew)

    def _verify(self, storage: Storage) -> None:
        level = self._chance.choice(LEVELS[1:])
        verify_image(storage, DEVICE, "latest", level, password=PASSWORD)

    def _now(self) -> float:
        return self._began + self.rounds * _HOURS_A_ROUND * 3600

    def _check(self, before: Set[str]) -> None:
        listed = [one.image for one in self.directory.images({})]
        for image in listed:
            if image in self.expected:
                data = SmallReader(self._base / DEVICE, image, PASSWORD).disk(0).data
                assert data == self.expected[image], "round %d: %s is not what the disk was" % (self.rounds, image)
        gone = before - set(listed)
        left = sorted(image for image in listed if image in self.expected)
        for image in gone:
            newer = [one for one in listed if one > image]
            assert len(newer) >= KEEP, "round %d: %s is gone, and %s are left" % (self.rounds, image, left)

    def settle(self, password: Optional[str] = PASSWORD) -> List[str]:
        """A run, a rollover and verifies without faults; return the images that are listed and were promised."""
        result = run_image(self.storage, self._disk, Passwords(password), takes_lease=False)
        self.expected[result.image] = self._disk.expected()
        self._roll(self.storage)
        names = [one.image for one in self.directory.images({}) if one.image in self.expected]
        for image in names:
            report = verify_image(self.storage, DEVICE, image, "full", password=password)
            if not report.ok:
                again = verify_image(self.storage, DEVICE, image, "full", password=password)
                assert again.ok, again.problems
        return names
