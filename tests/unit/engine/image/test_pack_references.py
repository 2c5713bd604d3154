# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packs images need: what a manifest says of changes gives just what the whole lists say, or is not believed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Dict, Iterable, List, Set

import pytest
from engine.errors import ImageDamaged
from engine.image import pack_references as needs
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format import documents, sums
from engine.image.format.manifest import Manifest, PackChanges, decode, encode, packs_digest
from engine.image.pack_references import changes_since, needed_packs
from engine.image.upkeep.rollover import roll_over
from engine.storage.local.storage import DirectoryStorage
from support.refusing import failing
from support.small_runs import DEVICE, SmallDisk, run_image
from support.storages import CountingStorage, MemoryStorage

DIGEST = "ab" * 32


def pack(number: int) -> str:
    return "%064x" % number


class Images:
    """Images of a device that exist only as lists of packs and manifests."""

    def __init__(self) -> None:
        self.storage = CountingStorage(MemoryStorage())
        self.storage.make_directory(DEVICE)
        self.directory = DeviceDirectory(self.storage, DEVICE)
        self.manifests: List[Manifest] = []
        self.packs: Dict[str, Set[str]] = {}

    def add(self, packs: Iterable[str], **more: Any) -> Manifest:
        number = len(self.packs)
        image = "2026-11-24_%02d-%02d-00" % divmod(number, 60)
        held = set(packs)
        before = self.manifests[-1] if self.manifests else None
        changes = changes_since(before, frozenset(self.packs[before.image]) if before else None, held)
        manifest = Manifest(
            image=image,
            device=DEVICE,
            sequence=number,
            created="",
            snapshot="offline",
            key_id="",
            slots=[],
            disks=[],
            files={},
            pack_count=len(held),
            pack_bytes=0,
            packs_sha256=packs_digest(held),
            seconds=0,
            warnings_count=0,
            changes=changes,
        )._replace(**more)
        self.storage.make_directory("%s/%s" % (DEVICE, image))
        self.storage.put("%s/%s/%s" % (DEVICE, image, fmt.SUMS_NAME), [sums.encode({"image.json": DIGEST}, list(held))])
        self.manifests.append(manifest)
        self.packs[image] = held
        return manifest

    def union(self, manifests: Iterable[Manifest]) -> Set[str]:
        return set().union(*(self.packs[manifest.image] for manifest in manifests))

    def lists_read(self) -> int:
        return self.storage.operations.pop("read", 0)


def chain(images: Images, length: int, seed: int = 1) -> None:
    chance = random.Random(seed)
    packs = {pack(number) for number in range(200)}
    for number in range(length):
        packs = (packs - set(chance.sample(sorted(packs), 5))) | {pack(1000 + 10 * number + n) for n in range(7)}
        images.add(packs)


def test_one_list_is_enough_for_a_chain() -> None:
    images = Images()
    chain(images, 30)
    needed = needed_packs(images.directory, images.manifests)
    assert images.lists_read() == 1
    assert needed.by_any == images.union(images.manifests)
    assert needed.by_newest == images.packs[images.manifests[-1].image]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_was_deleted_the_outcome_is_that_of_the_lists(seed: int) -> None:
    images = Images()
    chain(images, 25, seed)
    chance = random.Random(seed)
    kept = [manifest for manifest in images.manifests if chance.random() < 0.6]
    needed = needed_packs(images.directory, kept)
    assert needed.by_any == images.union(kept)
    gaps = sum(
        manifest.changes is None or manifest.changes.since not in {one.image for one in kept} for manifest in kept
    )
    assert images.lists_read() == gaps


def test_changes_that_do_not_give_the_proved_packs_are_not_believed() -> None:
    images = Images()
    chain(images, 3)
    middle = images.manifests[1]
    assert middle.changes is not None
    for lie in (
        middle.changes._replace(added=middle.changes.added[1:]),
        middle.changes._replace(dropped=[*middle.changes.dropped, sorted(images.packs[middle.image])[0]]),
        middle.changes._replace(since=images.manifests[2].image),
    ):
        manifests = [images.manifests[0], middle._replace(changes=lie), images.manifests[2]]
        needed = needed_packs(images.directory, manifests)
        assert needed.by_any == images.union(manifests)
        assert images.lists_read() == 2


def test_a_list_that_is_gone_is_an_error_or_left_out_as_asked() -> None:
    images = Images()
    chain(images, 4)
    images.storage.delete("%s/%s/%s" % (DEVICE, images.manifests[0].image, fmt.SUMS_NAME))
    with failing(ImageDamaged, reason="SHA256SUMS"):
        needed_packs(images.directory, images.manifests)
    damaged: List[ImageDamaged] = []
    needed = needed_packs(images.directory, images.manifests, damaged)
    assert [error.code for error in damaged] == [ImageDamaged.code]
    assert needed.by_any == images.union(images.manifests[1:])


def test_many_changes_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "MAX_LISTED_CHANGES", 10)
    images = Images()
    before = images.add({pack(number) for number in range(100)})
    held = frozenset(images.packs[before.image])
    assert changes_since(before, held, set(held) | {pack(1000 + n) for n in range(10)}) is not None
    assert changes_since(before, held, set(held) | {pack(1000 + n) for n in range(11)}) is None
    assert changes_since(before, None, set(held)) is None
    assert changes_since(None, held, set(held)) is None


def test_a_manifest_keeps_them_and_refuses_nonsense() -> None:
    real = Images()
    disk = SmallDisk(24)
    run_image(real.storage, disk)
    image = DeviceDirectory(real.storage, DEVICE).find_image("latest").image
    data = DeviceDirectory(real.storage, DEVICE).manifest_bytes(image)
    manifest = decode(data, image)._replace(changes=PackChanges("2026-11-24_00-00-00", [pack(1)], [pack(2), pack(3)]))
    assert decode(encode(manifest, None), image) == manifest
    for nonsense in (
        PackChanges("2026-11-24_00-00-00", ["../../etc"], []),
        PackChanges("x" * 33, [], []),
        PackChanges("2026-11-24_00-00-00", [pack(n) for n in range(513)], []),
    ):
        with pytest.raises(ImageDamaged):
            decode(encode(manifest._replace(changes=nonsense), None), image)
    document = documents.parse(encode(manifest, None))
    document["packs"]["changes"] = ["a", "list"]
    with pytest.raises(ImageDamaged):
        decode(documents.pretty(document), image)


def test_a_rollover_of_a_long_chain_reads_few_lists(tmp_path: Path) -> None:
    """Real images: round trips grow with images by one manifest each, not by their lists."""
    disk = SmallDisk(64)
    plain = DirectoryStorage(str(tmp_path))
    trips = {}
    for count in (10, 30):
        while len(DeviceDirectory(plain, DEVICE).image_names()) < count:
            disk.write(len(DeviceDirectory(plain, DEVICE).image_names()) % 64)
            run_image(plain, disk)
        storage = CountingStorage(plain)
        report = roll_over(storage, DEVICE, 100, openable_key=None, dry_run=True)
        assert report.deleted == []
        assert report.trashed_packs == []
        trips[count] = storage.operations["read"]
    assert trips[30] - trips[10] <= 20 + 12  # 20 manifests, and lists where a change was half of all packs
