# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a device with many images costs: calls are counted, and what need not grow with the images does not."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

import pytest
from engine.device.identity import claim_directory, read_identity
from engine.errors import ImageNotFound, StoragePermissionDenied
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.reader import ImageReader
from engine.storage.contract import Storage
from support.imaging import ask
from support.small_runs import DEVICE, SmallDisk, make_small, read_image, run_image
from support.storages import CountingStorage, HookedStorage, MemoryStorage

PASSWORD = "a password for this test"
FEW, MANY = 6, 30


def filled(images: int) -> Tuple[MemoryStorage, SmallDisk]:
    storage, disk = MemoryStorage(), SmallDisk()
    claim_directory(storage, DEVICE, read_identity(), adopt=False)
    for number in range(images):
        run_image(storage, disk, Passwords(password=PASSWORD))
        disk.write(number % disk.chunks)
    return storage, disk


def calls(storage: MemoryStorage, work: Callable[[Storage], Any]) -> int:
    """Count calls, listings of packs aside: there are at most 256 of those, whatever else there is."""
    counted: List[str] = []

    def hook(moment: str, operation: str, path: str) -> None:
        if moment == "before" and not (operation == "list" and path.startswith("%s/%s/" % (DEVICE, fmt.PACKS))):
            counted.append(path)

    work(HookedStorage(storage, hook))
    return len(counted)


VERBS: Dict[str, Callable[[SmallDisk], Callable[[Storage], Any]]] = {
    "open": lambda dummy: lambda storage: ImageReader(storage, DEVICE, "latest", PASSWORD).disk(0),
    "verify": lambda dummy: lambda storage: ask(storage, "verify", DEVICE, PASSWORD, level="quick", check=True),
    "image": lambda disk: lambda storage: run_image(storage, disk, Passwords(password=PASSWORD), scrub_bytes=0),
    "rollover": lambda dummy: lambda storage: ask(storage, "rollover", DEVICE, PASSWORD, keep=MANY + 9),
}


@pytest.mark.parametrize(("verb", "calls_for_each_image"), [("open", 0), ("verify", 0), ("image", 1), ("rollover", 1)])
def test_calls_do_not_grow_with_the_images_beyond_one_manifest(
    verb: str, calls_for_each_image: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(monkeypatch)
    counts = []
    for images in (FEW, MANY):
        storage, disk = filled(images)
        counts.append(calls(storage, VERBS[verb](disk)))
    # A run may store a pack more or less than another one; that has nothing to do with how many images there are.
    assert counts[1] - counts[0] <= calls_for_each_image * (MANY - FEW) + 6, counts
    assert counts[0] <= {"open": 6, "verify": 16}.get(verb, 100), counts


def test_packs_are_listed_as_seldom_as_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times in a run: what is there, and before and after the commit whether it still is. Once in a rollover."""
    make_small(monkeypatch)
    storage, disk = filled(2)
    for verb, times in (("image", 3), ("rollover", 1), ("verify", 1)):
        listed: List[str] = []
        VERBS[verb](disk)(HookedStorage(storage, listings_of_packs(listed)))
        assert len(listed) <= times * len(storage.list("%s/%s" % (DEVICE, fmt.PACKS))), verb


def listings_of_packs(listed: List[str]) -> Callable[[str, str, str], None]:
    def hook(moment: str, operation: str, path: str) -> None:
        if moment == "before" and operation == "list" and path.startswith("%s/%s/" % (DEVICE, fmt.PACKS)):
            listed.append(path)

    return hook


def test_the_newest_is_found_behind_what_is_not_finished_or_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    storage, dummy_disk = filled(3)
    newest = DeviceDirectory(storage, DEVICE).images()[-1].image
    storage.make_directory("%s/2030-01-01_00-00-00" % DEVICE)
    storage.make_directory("%s/2031-01-01_00-00-00" % DEVICE)
    storage.put("%s/2031-01-01_00-00-00/image.json" % DEVICE, [b"{"])
    counting = CountingStorage(storage)
    assert DeviceDirectory(counting, DEVICE).find_image("latest").image == newest
    # What is not whole is looked at twice, and its second copy asked for.
    assert sum(counting.operations.values()) <= 6
    with pytest.raises(ImageNotFound):
        DeviceDirectory(storage, "another").find_image("latest")


def test_an_older_image_is_no_answer_when_the_newest_can_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    storage, dummy_disk = filled(2)
    newest = DeviceDirectory(storage, DEVICE).images()[-1].image

    def refuse(dummy_moment: str, operation: str, path: str) -> None:
        if operation == "read" and newest in path:
            raise StoragePermissionDenied(storage="memory", operation=operation, path=path)

    with pytest.raises(StoragePermissionDenied):
        DeviceDirectory(HookedStorage(storage, refuse), DEVICE).find_image("latest")


def test_who_is_overtaken_takes_a_later_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a lease, as accounts that may only create work: names and numbers rise together all the same."""
    make_small(monkeypatch)
    storage, disk = filled(1)
    passwords = Passwords(password=PASSWORD)
    first_disk = disk.expected()
    rivals: List[str] = []

    def rival(moment: str, operation: str, path: str) -> None:
        if path.endswith("SHA256SUMS") and (moment, operation) == ("after", "put") and len(rivals) < 2:
            rivals.append("")
            other = SmallDisk(seed=2)
            rivals[-1] = run_image(storage, other, passwords, takes_lease=False).image

    result = run_image(HookedStorage(storage, rival), disk, passwords, takes_lease=False)
    images = DeviceDirectory(storage, DEVICE).images()
    assert len(rivals) == 2
    assert [image.image for image in images] == sorted(image.image for image in images)
    assert len({image.sequence for image in images}) == len(images) == 4
    assert images[-1].image == result.image == DeviceDirectory(storage, DEVICE).find_image("latest").image
    assert read_image(storage, result.image, PASSWORD) == first_disk
    assert sum("another run committed an image" in warning.lower() for warning in result.warnings) == 2
