# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of a plant: images, kills, passwords, pins, rollovers, rival and sleeping writers, clocks, damage.

After every step: each image that the model knows is listed, verifies and reads back bit for bit; the storage holds
nothing half-made that is listed; and after a sweep with old trash it holds less than 1.3 times what the images need.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, List, MutableMapping, Optional, Set, Tuple

import pytest
from engine.errors import LeaseLost, PasswordMissing, PasswordWrong, StorageFailed, StorageUnreachable
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.packs import read_table
from engine.image.upkeep.keeping import Policy
from engine.image.upkeep.rollover import pin, roll_over
from engine.image.upkeep.verify import verify_image
from engine.image.writing.writer import ImageResult
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from .aging import DAY
from .small_runs import DEVICE, SmallDisk, make_small, read_image, run_image
from .storages import HookedStorage, Killed
from .story_places import MemoryPlace

PACK_BYTES = 4 * fmt.CHUNK_BYTES
# Of calls at once one is killed; the others meet the line that was cut.
KILLED = (Killed, StorageUnreachable)
# How a run ends that another host overtook: another has its lease, or rollovers are quicker. Never otherwise.
GIVES_WAY = (LeaseLost, StorageFailed)
OVERHEAD_BYTES = 200_000  # manifests, indexes, keys, documents: not packs


class ImagingMachine(RuleBasedStateMachine):
    """The model: which images there must be, what they hold, who may open them, what is pinned or damaged."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        make_small(self.patch)
        self.place = self.new_place()
        self.storage = self.place.storage
        self.disk = SmallDisk(32)
        self.password = "first"
        self.passwords_of: Dict[str, Set[str]] = {}
        self.images: Dict[str, bytes] = {}
        self.order: List[str] = []
        self.job = ""
        self.second = SmallDisk(4, seed=2)
        self.has_second = False
        self.made_for: Dict[str, Tuple[str, bool]] = {}  # for which job, and whether the second disk was there
        self.pinned: Set[str] = set()
        self.suspect: Set[str] = set()  # images that damage may have reached
        self.now = 1_800_000_000.0
        self.year = 2026

    @property
    def files(self) -> MutableMapping[str, bytes]:
        files: MutableMapping[str, bytes] = self.place.files
        return files

    def new_place(self) -> Any:
        return MemoryPlace()

    def teardown(self) -> None:
        self.patch.undo()
        self.place.close()

    def pass_days(self, days: int) -> None:
        self.now += days * DAY
        self.place.pass_days(days)

    @property
    def directory(self) -> DeviceDirectory:
        return DeviceDirectory(self.storage, DEVICE)

    def timestamp(self) -> str:
        return time.strftime("%d-%%m-%%d_%%H-%%M-%%S" % self.year, time.gmtime(self.now))

    def make(self, storage: Optional[object] = None, takes_lease: bool = True, **passwords: Any) -> str:
        words = dict({"password": self.password}, **passwords)
        result = self.run(storage or self.storage, Passwords(**words), takes_lease)
        self.learn(result.image)
        return result.image

    def run(self, storage: Any, passwords: Passwords, takes_lease: bool) -> ImageResult:
        return run_image(
            storage,
            self.disk,
            passwords,
            timestamp=self.timestamp(),
            takes_lease=takes_lease,
            second=self.second if self.has_second else None,
            job=self.job,
        )

    def learn(self, image: str) -> None:
        assert image not in self.images
        assert not self.order or image > self.order[-1], "names never go back"
        self.images[image] = self.disk.expected()
        self.order.append(image)
        self.made_for[image] = (self.job, self.has_second)
        self.passwords_of[image] = set(self.key_passwords)

    def learn_late(self, image: str, content: bytes) -> None:
        """An image that was committed after one that began later."""
        if image not in self.images:
            self.images[image] = content
            self.order = sorted([*self.order, image], key=self.sequence_of)
            self.made_for[image] = (self.job, self.has_second)
            self.passwords_of[image] = set(self.key_passwords)

    def learn_what_was_committed(self, before: Set[str]) -> None:
        """A run that ended after its commit has made its image."""
        for manifest in self.directory.images():
            if manifest.image not in before and manifest.image not in self.images:
                self.learn(manifest.image)

    @initialize()
    def begin(self) -> None:
        self.key_passwords = {self.password}
        self.make()

    # -- what happens in a plant --------------------------------------------------------------------------------------

    @rule(chunks=st.lists(st.integers(0, 31), min_size=1, max_size=6))
    def change_the_disk(self, chunks: List[int]) -> None:
        self.disk.write(*chunks)

    @rule(chunk=st.integers(0, 31))
    def free_a_chunk(self, chunk: int) -> None:
        if len(self.disk.used) > 4:
            self.disk.used.discard(chunk)

    @rule()
    def image(self) -> None:
        self.make()
        self.forget_what_healed()

    @rule(moment=st.integers(1, 160))
    def killed_image(self, moment: int) -> None:
        before = set(self.images)
        try:
            self.make(self.place.killable(moment))
        except KILLED:
            self.age_the_lease()
            self.learn_what_was_committed(before)

    @rule(moment=st.integers(1, 80), keep=st.integers(1, 3))
    def killed_rollover(self, moment: int, keep: int) -> None:
        with contextlib.suppress(*KILLED):
            roll_over(
                self.place.killable(moment), DEVICE, self.policy(keep), openable_key=self.key(), now=lambda: self.now
            )
        self.forget_deleted(keep)

    @rule(keep=st.integers(1, 4), days=st.integers(0, 3))
    def rollover(self, keep: int, days: int) -> None:
        self.pass_days(days)
        report = roll_over(self.storage, DEVICE, self.policy(keep), openable_key=self.key(), now=lambda: self.now)
        assert set(report.deleted) == self.doomed(keep) & set(self.images)
        missing = self.missing()
        assert [(one.id, one.image) for one in report.missing] == ([("serial:2", missing)] if missing else [])
        self.forget_deleted(keep)

    @rule(job=st.sampled_from(["", "daily", "monthly"]))
    def another_job(self, job: str) -> None:
        self.job = job
        self.make()

    @rule(there=st.booleans())
    def second_disk_comes_or_dies(self, there: bool) -> None:
        self.has_second = there
        self.make()

    @rule(keep=st.integers(1, 3))
    def forget_the_second_disk(self, keep: int) -> None:
        """Somebody agrees: the last image that holds it goes like any other."""
        own = self.own()
        policy = self.policy(keep)._replace(forget_disks=frozenset(["serial:2"]))
        report = roll_over(self.storage, DEVICE, policy, openable_key=self.key(), now=lambda: self.now)
        assert set(report.deleted) == set(own[:-keep]) - self.pinned
        assert report.missing == []
        for image in report.deleted:
            del self.images[image]
            self.suspect.discard(image)
        self.order = [image for image in self.order if image in self.images]

    @rule()
    def wrong_password(self) -> None:
        before = self.stored()
        with pytest.raises(PasswordWrong):
            self.make(password="mistyped")
        with pytest.raises(PasswordMissing):
            self.make(password=None)
        assert self.stored() == before

    @rule(word=st.sampled_from(["second", "third", "fourth"]))
    def change_the_password(self, word: str) -> None:
        old, self.password = self.password, word
        self.key_passwords.add(word)
        for image, words in self.passwords_of.items():
            if image in self.images and self.key_of(image) == self.key():
                words.add(word)
        self.make(previous=old)

    # What a rule draws may not depend on names or sizes, which differ from run to run: places are drawn as numbers.
    @rule(which=st.integers(0, 999), pinned=st.booleans())
    def pin_an_image(self, which: int, pinned: bool) -> None:
        image = self.order[which % len(self.order)]
        pin(self.storage, DEVICE, image, pinned)
        (self.pinned.add if pinned else self.pinned.discard)(image)

    @rule(moment=st.integers(5, 120), keep=st.integers(1, 2))
    def sweep_in_the_middle_of_a_run(self, moment: int, keep: int) -> None:
        """A writer sleeps, its lease is taken for dead, another host rolls over; then the writer wakes."""
        state = {"left": moment, "swept": False}
        before = set(self.images)

        def hook(*dummy: object) -> None:
            state["left"] -= 1
            if state["left"] == 0:
                state["swept"] = True
                roll_over(self.storage, DEVICE, self.policy(keep), openable_key=self.key(), now=lambda: self.now)

        try:
            self.make(HookedStorage(self.storage, hook))
        except GIVES_WAY:
            self.learn_what_was_committed(before)
        if state["swept"]:
            self.forget_deleted(keep)

    @rule(moment=st.integers(5, 120), takes_lease=st.booleans())
    def rival_writer(self, moment: int, takes_lease: bool) -> None:
        """Two writers at once: the first sleeps, the second takes its lease and commits; the first must give way.
        Where accounts may only create there is no lease: then both commit, the first under a name above the second's."""
        state = {"left": moment}

        def hook(*dummy: object) -> None:
            state["left"] -= 1
            if state["left"] == 0:
                self.age_the_lease()
                self.make(takes_lease=takes_lease)

        first_disk_state = self.disk.expected()
        try:
            result = self.run(HookedStorage(self.storage, hook), Passwords(password=self.password), takes_lease)
        except GIVES_WAY:
            return
        self.learn_late(result.image, first_disk_state)

    @rule(moment=st.integers(5, 160), keep=st.integers(1, 3), takes_lease=st.booleans())
    def writer_sleeps_for_days(self, moment: int, keep: int, takes_lease: bool) -> None:
        """Meanwhile another host makes an image and rolls over before and after, so that what the sleeper sent is gone for good."""
        left, before = [moment], set(self.images)
        disk_state = self.disk.expected()
        committed: Set[str] = set()  # when the others came: what is deleted then was an image like any other

        def hook(*dummy: object) -> None:
            left[0] -= 1
            if left[0] == 0:
                self.age_the_lease()
                self.learn_what_was_committed(before)
                committed.update(set(self.images) - before)
                roll_over(self.storage, DEVICE, self.policy(keep), openable_key=self.key(), now=lambda: self.now)
                self.pass_days(2)
                self.make(takes_lease=takes_lease)
                for dummy_time in range(2):
                    roll_over(self.storage, DEVICE, self.policy(keep), openable_key=self.key(), now=lambda: self.now)
                    self.pass_days(2)

        made = ""
        try:
            made = self.run(HookedStorage(self.storage, hook), Passwords(password=self.password), takes_lease).image
        except GIVES_WAY:
            committed.add("")
        if left[0] <= 0:
            self.forget_deleted(keep)
        if made not in committed:
            self.learn_late(made, disk_state)

    @rule()
    def clock_of_2009(self) -> None:
        self.year = 2009

    @rule()
    def clock_is_right_again(self) -> None:
        self.year = 2026

    @rule(which=st.integers(0, 999), place=st.integers(0, 10**9), bit=st.integers(0, 7))
    def damage_a_pack(self, which: int, place: int, bit: int) -> None:
        packs = sorted(self.directory.packs())
        if self.suspect:
            return
        name = packs[which % len(packs)]
        path = fmt.pack_path(DEVICE, name)
        content = bytearray(self.files[path])
        content[place % len(content)] ^= 1 << bit
        self.files[path] = bytes(content)
        hit = {image for image in self.images if name in self.directory.sums(image).packs}
        for image in hit:
            assert not verify_image(self.storage, DEVICE, image, "storage").ok
        if not hit:  # nobody's pack: a leftover, which the next run throws away
            return
        self.suspect = hit

    def stored(self) -> Dict[str, bytes]:
        return {path: data for path, data in self.files.items() if "lease" not in path}

    # -- what the model says ------------------------------------------------------------------------------------------

    def key(self) -> str:
        return self.directory.images()[-1].key_id

    def key_of(self, image: str) -> str:
        return self.directory.manifest(image).key_id

    def sequence_of(self, image: str) -> Tuple[int, str]:
        """Two writers that commit at the same moment get the same number; then the name decides."""
        return self.directory.manifest(image).sequence, image

    def policy(self, keep: int) -> Policy:
        return Policy({self.job: keep})

    def own(self) -> List[str]:
        """The images of the present job, in order."""
        return [image for image in self.order if self.made_for.get(image, ("", False))[0] == self.job]

    def doomed(self, keep: int) -> Set[str]:
        """What a rollover of the present job deletes."""
        own = self.own()
        with_second = [image for image in own if self.made_for[image][1]]
        return set(own[:-keep]) - self.pinned - set(with_second[-1:])

    def missing(self) -> str:
        """The last image of the job with the second disk, where the newest one is without; else ""."""
        own = self.own()
        with_second = [image for image in own if self.made_for[image][1]]
        return with_second[-1] if with_second and with_second[-1] != own[-1] else ""

    def age_the_lease(self) -> None:
        """What time does to the lease of a dead or sleeping writer."""
        self.files.pop("%s/lease.json" % DEVICE, None)

    def forget_deleted(self, keep: int) -> None:
        """Images that a rollover may delete are gone or not; all others must be there."""
        there = {manifest.image for manifest in self.directory.images()}
        doomed = self.doomed(keep)
        for image in list(self.images):
            if image not in there:
                assert image in doomed, "a rollover deleted an image that it must keep"
                del self.images[image]
                self.suspect.discard(image)
        self.order = [image for image in self.order if image in self.images]

    def forget_what_healed(self) -> None:
        for image in list(self.suspect):
            if verify_image(self.storage, DEVICE, image, "storage", record=False).ok:
                self.suspect.discard(image)
        # What was overwritten on the disk can't come back; such images are lost for good, and said to be.
        for image in self.suspect:
            del self.images[image]
            self.storage.delete("%s/%s/image.json" % (DEVICE, image))
        self.order = [image for image in self.order if image in self.images]
        self.suspect = set()

    @invariant()
    def every_image_is_there_and_right(self) -> None:
        listed = [manifest.image for manifest in self.directory.images()]
        assert set(self.images) <= set(listed)
        assert listed == sorted(listed), "the order of names is that of the numbers"
        assert self.directory.find_image("latest").image == listed[-1]
        for image in listed:
            if image in self.suspect:
                continue
            assert image in self.images, "an image is listed that nobody finished"
            words = sorted(self.passwords_of[image] & self.key_passwords)
            assert verify_image(self.storage, DEVICE, image, "quick", record=False).ok
            assert read_image(self.storage, image, words[0]) == self.images[image]
            manifest = self.directory.manifest(image)
            assert (manifest.job, len(manifest.disks) == 2) == self.made_for[image]
            if len(manifest.disks) == 2:
                assert read_image(self.storage, image, words[0], 1) == self.second.expected()

    @rule()
    def storage_is_small_after_two_days_and_two_runs(self) -> None:
        """No unneeded byte stays for ever; what stays is bounded by what the kept images need."""
        if self.suspect:
            self.image()
        for dummy in range(2):
            self.make()
            roll_over(self.storage, DEVICE, self.policy(2), openable_key=self.key(), now=lambda: self.now)
            self.pass_days(2)
        self.make()
        roll_over(self.storage, DEVICE, self.policy(2), openable_key=self.key(), now=lambda: self.now)
        self.forget_deleted(2)
        needed = set()
        for image in self.images:
            needed |= set(self.directory.sums(image).packs)
        packs = self.directory.packs()
        assert set(packs) == needed
        # A run after the clock ran on empties the trash of everything that was in it before.
        assert all(entry.since_seconds >= self.now - 2 * DAY for entry in self.directory.trash())
        live = self.live_bytes()
        # Each image may rely on a pack that is partly dead; on a disk of eight packs that is not a small share.
        assert sum(packs.values()) <= 1.3 * live + len(self.images) * PACK_BYTES + OVERHEAD_BYTES

    def live_bytes(self) -> int:
        """Bytes of the blobs that some image refers to."""
        from engine.image.reader import ImageReader

        wanted = set()
        for image in self.images:
            reader = ImageReader(self.storage, DEVICE, image, sorted(self.passwords_of[image] & self.key_passwords)[0])
            for disk in (reader.disk(number) for number in range(len(reader.manifest.disks))):
                for number, reference in enumerate(disk.root.segments):
                    if reference.place is not None:
                        wanted.add((reference.place.pack, reference.place.offset))
                        for dummy, dummy_id, place in disk.segment(number).stored():
                            wanted.add((place.pack, place.offset))
        total = 0
        for name, size_bytes in self.directory.packs().items():
            for entry in read_table(self.storage, fmt.pack_path(DEVICE, name), size_bytes):
                if (name, entry.offset) in wanted:
                    total += entry.stored_bytes
        return total
