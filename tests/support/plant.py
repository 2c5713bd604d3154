# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plant with images in memory whose disks share nothing, so that every image has packs of its own."""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Optional, Set

from engine.errors import StorageFull
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.rollover_report import RolloverReport
from engine.image.upkeep.verify import verify_image

from .small_runs import DEVICE, SmallDisk, read_image, run_image
from .storages import HookedStorage, MemoryStorage

DAY = 24 * 3600
NOW = 1_800_000_000


class Plant:
    """``names`` are its images in the order in which they were made, ``expected`` what each holds."""

    def __init__(self, images: int = 0) -> None:
        self.storage = MemoryStorage()
        self.disk = SmallDisk(24)
        self.names: List[str] = []
        self.expected: Dict[str, bytes] = {}
        for dummy in range(images):
            self.make()

    def copy(self) -> Plant:
        """Another plant with the same images."""
        other = Plant()
        other.storage, other.disk = self.storage.copy(), copy.deepcopy(self.disk)
        other.names, other.expected = list(self.names), dict(self.expected)
        return other

    @property
    def directory(self) -> DeviceDirectory:
        return DeviceDirectory(self.storage, DEVICE)

    def make(self, **passwords: Any) -> str:
        return self.make_of("", **passwords)

    def make_of(self, job: str, **passwords: Any) -> str:
        self.disk.write(*range(self.disk.chunks))
        name = run_image(self.storage, self.disk, Passwords(**passwords), job=job).image
        self.names.append(name)
        self.expected[name] = self.disk.expected()
        return name

    def roll(self, keep: int, now: float = NOW, key: Optional[str] = "", **more: Any) -> RolloverReport:
        return roll_over(self.storage, DEVICE, keep, openable_key=key, now=lambda: now, **more)

    def listed(self) -> List[str]:
        return [manifest.image for manifest in self.directory.images()]

    def packs_of(self, image: str) -> Set[str]:
        return set(self.directory.sums(image).packs)

    def trashed(self) -> Set[str]:
        return {entry.pack for entry in self.directory.trash()}

    def check(self, *images: str, password: Optional[str] = None) -> None:
        for image in images:
            report = verify_image(self.storage, DEVICE, image, "full", password=password, record=False)
            assert report.ok, report.problems
            assert read_image(self.storage, image, password) == self.expected[image]


class FullPlant(HookedStorage):
    """The storage of a plant without room for any file until something is deleted."""

    def __init__(self, plant: Plant) -> None:
        super().__init__(plant.storage, self._full)
        self.is_full = True

    def _full(self, moment: str, operation: str, path: str) -> None:
        if operation == "put" and self.is_full:
            raise StorageFull(storage="memory", path=path)
        if (moment, operation) == ("after", "delete"):
            self.is_full = False
