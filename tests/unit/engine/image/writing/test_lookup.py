# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kept images hold is known to the next run: whatever disks become of each other, images stay right and counts exact;
what is fetched stays in proportion; and what a hostile storage shows costs little and breaks nothing."""

from __future__ import annotations

import os
import random
from typing import Any, Dict, List, Optional, Set, Tuple

import pytest
from engine.disk.source import MemorySource
from engine.errors import StoragePermissionDenied
from engine.image import records
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format.contents import DiskContents
from engine.image.format.keys import MasterKey
from engine.image.format.manifest import encode
from engine.image.reader import ImageReader
from engine.image.upkeep.rollover import roll_over
from engine.image.upkeep.verify import verify_image
from engine.image.writing import candidates, lookup
from engine.image.writing.pack_counts import PackCounts
from engine.image.writing.writer import DiskInput, ImageOrder, write_image
from engine.storage.contract import Storage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.forging import Forger
from support.small_runs import CHUNK, DEVICE, SmallDisk, make_small, read_image
from support.storages import CountingStorage, HookedStorage, MemoryStorage

PASSWORD = "a password for this test"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    monkeypatch.setattr(lookup, "_FEW_CHUNKS", 0)


def run(storage: Storage, *disks: SmallDisk, names: Tuple[str, ...] = (), **more: Any) -> str:
    """Make an image of disks; each is named ``serial:<position>`` unless ``names`` say otherwise."""
    password = more.pop("password", PASSWORD)
    job = ImageOrder(
        device=DEVICE,
        timestamp="2026-11-23_20-00-00",
        disks=[
            DiskInput(
                MemorySource(bytes(disk.data)),
                disk.extents(),
                names[number] if names else "serial:%d" % number,
                more.pop("contents", DiskContents()),
            )
            for number, disk in enumerate(disks)
        ],
        passwords=Passwords(password=password),
        device_information=more.pop("information", {}),
        sleep=lambda seconds: None,
        lease_ttl_seconds=30.0,
        scrub_bytes=0,
        **more,
    )
    return write_image(storage, job).image


def stored_bytes(storage: MemoryStorage) -> int:
    return sum(len(data) for path, data in storage.files.items() if path.startswith("%s/packs/" % DEVICE))


def check(storage: Storage, image: str, *disks: SmallDisk, password: Optional[str] = PASSWORD) -> None:
    """The image is whole, gives back each disk, and says of every pack how much it needs."""
    report = verify_image(storage, DEVICE, image, "full", password=password, record=False)
    assert report.ok, report.problems
    reader = ImageReader(storage, DEVICE, image, password)
    for number, disk in enumerate(disks):
        data = bytearray(len(disk.data))
        one = reader.disk(number)
        for piece in one.stream():
            if piece.data is not None:
                data[piece.offset_bytes : piece.offset_bytes + piece.length_bytes] = piece.data
        assert data == disk.expected()
        counts = PackCounts({})
        for position, reference in enumerate(one.root.segments):
            if reference.place is not None:
                counts.count(one.segment(position), reference, 1)
        assert {name: need.needed_bytes for name, need in one.root.packs.items()} == counts.needed


def resized(disk: SmallDisk, chunks: int) -> SmallDisk:
    other = SmallDisk(1)
    other.data = bytearray(disk.data[: chunks * CHUNK].ljust(chunks * CHUNK, b"\0"))
    other.used = {one for one in disk.used if one < chunks}
    return other


# -- any story --------------------------------------------------------------------------------------------------------

steps = st.sampled_from(
    ["write", "free", "use", "grow", "shrink", "swap", "rename", "clone", "old", "mix", "one", "moved"]
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(steps, st.integers(0, 1 << 30)), min_size=1, max_size=7), st.booleans())
def test_whatever_becomes_of_disks_their_images_are_right(story: List[Tuple[str, int]], encrypted: bool) -> None:
    password = PASSWORD if encrypted else None
    storage, disks, past = MemoryStorage(), [SmallDisk(44, 1), SmallDisk(28, 2)], []
    names, moved = ["serial:a", "serial:b"], 0
    images: List[Tuple[str, List[SmallDisk]]] = []
    for step, number in [("write", 0), *story]:
        chance = random.Random(number)
        disk = disks[0]
        some = chance.sample(range(disk.chunks), min(disk.chunks, 9))
        past.append(resized(disk, disk.chunks))
        if step == "write":
            disk.write(*some)
        elif step == "free":
            disk.used -= set(range(some[0], some[0] + 12))
        elif step == "use":
            disk.used = set(range(disk.chunks))
        elif step in ("grow", "shrink"):
            disks[0] = resized(disk, max(9, disk.chunks + (13 if step == "grow" else -11)))
        elif step == "swap" and len(disks) > 1:
            disks[:2] = disks[1::-1]
        elif step == "rename":
            names = ["serial:%d" % number, *names[1:]]
        elif step == "clone":
            disks[1:] = [resized(disk, disk.chunks)]
        elif step == "old":
            disks[0] = chance.choice(past)
        elif step == "mix":
            other = chance.choice(past)
            half = min(other.chunks, disk.chunks) // 2
            disk.data[: half * CHUNK] = other.data[: half * CHUNK]
        elif step == "one":
            disks[1:] = []
        elif step == "moved":
            moved = chance.randrange(9)
            other = resized(disk, disk.chunks + moved)
            other.data[moved * CHUNK :], other.data[: moved * CHUNK] = disk.data, bytes(moved * CHUNK)
            other.used = {one + moved for one in disk.used}
            disks[0] = other
        partition = {"number": 1, "start_bytes": moved * CHUNK, "length_bytes": 9 * CHUNK, "unique_id": "one"}
        information = {"disks": {"disk0": {"layout": {"partitions": [partition]}}}}
        image = run(storage, *disks, names=tuple(names), password=password, information=information)
        check(storage, image, *disks, password=password)
        images.append((image, [resized(one, one.chunks) for one in disks]))
    for image, then in images:
        check(storage, image, *then, password=password)
    roll_over(storage, DEVICE, 1, openable_key=None)
    check(storage, images[-1][0], *images[-1][1], password=password)


# -- what it costs ----------------------------------------------------------------------------------------------------


def fetched_from(storage: MemoryStorage, *disks: SmallDisk, **more: Any) -> Tuple[str, List[str], CountingStorage]:
    paths: List[str] = []

    def hook(moment: str, operation: str, path: str) -> None:
        if (moment, operation) == ("before", "read"):
            paths.append(path)

    counting = CountingStorage(HookedStorage(storage, hook))
    return run(counting, *disks, **more), paths, counting


def test_who_did_not_change_asks_for_one_root_only() -> None:
    storage, disk = MemoryStorage(), SmallDisk()
    images = [run(storage, disk)]
    for number in range(5):
        disk.write(*range(number * 8, number * 8 + 4))
        images.append(run(storage, disk))
    dummy, paths, dummy2 = fetched_from(storage, disk)
    roots = [path for path in paths if path.endswith("disk0.index")]
    assert roots[:1] == ["%s/%s/disk0.index" % (DEVICE, images[-1])]
    assert {path.split("/")[1] for path in roots} <= {images[-1], dummy}
    assert not [path for path in paths if path.endswith("device.json") and dummy not in path]


def test_little_that_changed_is_not_worth_a_look_into_other_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_FEW_CHUNKS", 16)
    storage, disk = MemoryStorage(), SmallDisk()
    for number in range(5):
        disk.write(number)
        run(storage, disk)
    disk.write(1, 9, 17, 25)
    image, paths, dummy = fetched_from(storage, disk)
    assert len({path for path in paths if path.endswith("disk0.index") and image not in path}) == 1


@pytest.mark.parametrize("known", [True, False])
def test_what_is_looked_at_in_vain_stays_in_proportion(known: bool) -> None:
    """Twelve images of which none holds anything of the disk: what is fetched is a small part of what is sent."""
    storage = MemoryStorage()
    for seed in range(12):
        run(storage, SmallDisk(64, seed), names=("serial:%d" % (0 if known else seed),))
    before = stored_bytes(storage)
    disk = SmallDisk(64, 1000)
    image, paths, counting = fetched_from(storage, disk, names=("serial:0",) if known else ("serial:new",))
    sent = stored_bytes(storage) - before
    own = len(DeviceDirectory(storage, DEVICE).packs())
    other = [path for path in paths if image not in path and ("disk0.index" in path or "/packs/" in path)]
    assert counting.fetched_bytes - sent < sent / 4, "what it sent is read back; the rest was looked at"
    assert own > 0
    assert len(other) >= 12
    check(storage, image, disk)


def test_roots_of_other_images_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    for seed in range(12):
        run(storage, SmallDisk(40, seed))
    largest = max(len(data) for path, data in storage.files.items() if path.endswith("disk0.index"))
    monkeypatch.setattr(candidates, "_MOST_BYTES", 4 * 2 * largest)
    disk = SmallDisk(160, 99)
    image, paths, dummy = fetched_from(storage, disk)
    roots = {path for path in paths if path.endswith("disk0.index") and image not in path}
    assert 2 <= len(roots) <= 9
    check(storage, image, disk)


# -- two images at once -----------------------------------------------------------------------------------------------


def test_three_images_hold_a_third_each() -> None:
    storage, whole = MemoryStorage(), SmallDisk(96, 7)
    for number in range(3):
        part = resized(whole, 96)
        part.used = set(range(number * 32 + 5, number * 32 + 37)) & set(range(96)) | set(range(5))
        run(storage, part)
    before = stored_bytes(storage)
    whole.used = set(range(96))
    image = run(storage, whole)
    assert stored_bytes(storage) - before < 10 * CHUNK
    check(storage, image, whole)


def test_sparse_packs_and_packs_that_are_gone_count_as_unseen() -> None:
    storage, disk = MemoryStorage(), SmallDisk(40)
    first = run(storage, disk)
    directory = DeviceDirectory(storage, DEVICE)
    gone = sorted(directory.sums(first).packs)[:3]
    for pack in gone:
        directory.move_to_trash(pack, None)
    image = run(storage, resized(disk, 60), names=("serial:new",))
    assert not set(gone) & set(directory.sums(image).packs) or set(gone) <= set(directory.packs())
    check(storage, image, resized(disk, 60))


# -- hostile storages -------------------------------------------------------------------------------------------------


def forge_manifests(storage: MemoryStorage, model: str, count: int, root: bytes) -> List[str]:
    """Images of the same disk under newer names, which say they are of our key."""
    manifest, forger = DeviceDirectory(storage, DEVICE).manifest(model), MasterKey.new()
    names = []
    for number in range(count):
        name = "2031-01-%02d_00-00-%02d" % (1 + number // 60, number % 60)
        storage.make_directory("%s/%s" % (DEVICE, name))
        disk = manifest.disks[0]._replace(index_bytes=len(root))
        false = manifest._replace(image=name, sequence=5000 + number, disks=[disk])
        storage.files["%s/%s/%s" % (DEVICE, name, fmt.MANIFEST_NAME)] = encode(false, forger)
        storage.files["%s/%s/disk0.index" % (DEVICE, name)] = root
        names.append(name)
    return names


@pytest.mark.parametrize("name", ["serial:0", "serial:new"])
def test_false_images_by_the_hundred_hide_no_good_one_and_cost_little(name: str) -> None:
    storage, disk = MemoryStorage(), SmallDisk(80)
    first = run(storage, disk)
    false = forge_manifests(storage, first, 200, os.urandom(1 << 20))
    before = stored_bytes(storage)
    image, paths, counting = fetched_from(storage, disk, names=(name,))
    assert stored_bytes(storage) - before < 4 * CHUNK
    assert len([path for path in paths if path.endswith("disk0.index") and path.split("/")[1] in false]) <= 16
    assert counting.fetched_bytes < 40 << 20
    check(storage, image, disk)


def test_false_images_in_clear_make_a_run_fetch_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is proved there, but nothing that is no root is fetched for ever."""
    monkeypatch.setattr(candidates, "_MOST_WASTED_BYTES", 8 << 20)
    storage, disk = MemoryStorage(), SmallDisk(80)
    first = run(storage, disk, password=None)
    manifest = DeviceDirectory(storage, DEVICE).manifest(first)
    junk = os.urandom(1 << 20)
    for number in range(100):
        name = "2031-01-01_00-%02d-%02d" % (number // 60, number % 60)
        entry = manifest.disks[0]._replace(index_bytes=len(junk))
        storage.make_directory("%s/%s" % (DEVICE, name))
        false = manifest._replace(image=name, sequence=2 + number, disks=[entry], changes=None)
        storage.files["%s/%s/%s" % (DEVICE, name, fmt.MANIFEST_NAME)] = encode(false, None)
        storage.files["%s/%s/disk0.index" % (DEVICE, name)] = junk
    image, paths, dummy = fetched_from(storage, disk, names=("serial:new",), password=None)
    assert len([path for path in paths if path.endswith("disk0.index") and image not in path]) <= 17
    check(storage, image, disk, password=None)


def test_an_older_index_that_contradicts_itself_harms_nothing() -> None:
    storage, disk = MemoryStorage(), SmallDisk(80)
    first = run(storage, disk)
    forger = Forger(storage, first, PASSWORD)
    for name, need in forger.root.packs.items():
        forger.root.packs[name] = need._replace(needed_bytes=need.size_bytes // 3)
    forger.publish()
    disk.write(3, 20, 41)
    image = run(storage, disk, names=("serial:new",))
    check(storage, image, disk)


def test_an_image_whose_index_was_found_false_is_no_candidate() -> None:
    storage, disk = MemoryStorage(), SmallDisk(80)
    first = run(storage, disk)
    facts = {"level": "full", "ok": False, "problems": 1, "index": "false"}
    key = ImageReader(storage, DEVICE, first, PASSWORD).key
    records.add(DeviceDirectory(storage, DEVICE), first, records.VERIFIED, facts, key)
    image = run(storage, disk, names=("serial:new",))
    assert not set(DeviceDirectory(storage, DEVICE).sums(first).packs) & set(
        DeviceDirectory(storage, DEVICE).sums(image).packs
    )
    check(storage, image, disk)


def test_an_account_that_may_not_read_records_or_an_old_image() -> None:
    storage, disk = MemoryStorage(), SmallDisk(80)
    first = run(storage, disk)
    disk.used -= set(range(40, 60))
    second = run(storage, disk)
    disk.used |= set(range(40, 60))

    def refuse(dummy_moment: str, operation: str, path: str) -> None:
        if operation == "read" and path == "%s/%s/disk0.index" % (DEVICE, first):
            raise StoragePermissionDenied(storage="memory", operation=operation, path=path)
        if "/records" in path and operation in ("list", "read"):
            raise StoragePermissionDenied(storage="memory", operation=operation, path=path)

    image = run(HookedStorage(storage, refuse), disk)
    assert image > second
    check(storage, image, disk)


def test_a_rollover_takes_the_candidates_away_during_the_run() -> None:
    """Old images go while a run relies on what they hold: their packs come back, or are sent again."""
    storage, disk = MemoryStorage(), SmallDisk(96)
    run(storage, disk)
    smaller = resized(disk, 96)
    smaller.used -= set(range(40, 90))
    run(storage, smaller)
    seen: Set[str] = set()

    def roll(moment: str, operation: str, path: str) -> None:
        if (moment, operation) == ("before", "read"):
            if len(seen) == 2 and "/packs/" in path:
                seen.add("rolled over")
                roll_over(storage, DEVICE, 1, openable_key=None)
            elif path.endswith("disk0.index") and len(seen) < 2:
                seen.add(path)

    disk.used |= set(range(96))
    image = run(HookedStorage(storage, roll), disk)
    assert len(seen) == 3
    assert [one.image for one in DeviceDirectory(storage, DEVICE).images()][-1] == image
    check(storage, image, disk)


def test_descriptions_that_are_none_or_bombs_do_no_harm() -> None:
    storage, disk = MemoryStorage(), SmallDisk(80)
    partition = {"number": 1, "start_bytes": 0, "length_bytes": 80 * CHUNK, "unique_id": "one"}
    first = run(storage, disk, information={"disks": {"disk0": {"layout": {"partitions": [partition]}}}}, password=None)
    moved = resized(disk, 85)
    moved.data[5 * CHUNK :], moved.data[: 5 * CHUNK] = disk.data, bytes(5 * CHUNK)
    moved.used = {one + 5 for one in disk.used}
    information: Dict[str, Any] = {
        "disks": {"disk0": {"layout": {"partitions": [dict(partition, start_bytes=5 * CHUNK)]}}}
    }
    storage.files["%s/%s/device.json" % (DEVICE, first)] = os.urandom(4 << 20)
    counting = CountingStorage(storage)
    image = run(counting, moved, names=("serial:new",), information=information, password=None)
    assert counting.fetched_bytes < 12 << 20
    check(storage, image, moved, password=None)
    assert read_image(storage, first) == disk.expected()
