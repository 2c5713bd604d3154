# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A flipped bit in any stored file: full finds it, storage finds it without the password, restore writes nothing."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import List

import pytest
from engine.errors import EngineError, StoragePermissionDenied
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.upkeep import verify as verify_module
from engine.image.upkeep.verify import verify_image
from engine.restore.restore import restore
from engine.storage.local.storage import DirectoryStorage
from support.small_runs import DEVICE, SmallDisk, make_small, run_image
from support.storages import HookedStorage, MemoryStorage

PASSWORD = "a password for this test"
FLIPS_PER_FILE = 6


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position // 8] ^= 1 << position % 8
    path.write_bytes(data)


def found_by(storage: DirectoryStorage, image: str, level: str, password: str) -> bool:
    try:
        return not verify_image(storage, DEVICE, image, level, password=password, record=False).ok
    except EngineError:
        return True


def stored_files(root: Path, image: str) -> List[Path]:
    files = [path for path in (root / DEVICE / image).rglob("*") if path.is_file()]
    return sorted(files + [path for path in (root / DEVICE / "packs").rglob("*") if path.is_file()])


@pytest.mark.parametrize("password", ["", PASSWORD], ids=["clear", "encrypted"])
def test_flipped_bit_is_found_everywhere(password: str, memory_path: Path) -> None:
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    image = run_image(storage, disk, Passwords(password=password)).image
    names = {path.name for path in stored_files(base, image)}
    assert {"image.json", "SHA256SUMS", "disk0.index", "device.json", "job.log"} <= names
    chance = random.Random(11)
    flips = 0
    for path in stored_files(base, image):
        size = path.stat().st_size
        whole = path.read_bytes()
        positions = (
            {0, size * 8 - 1} | {chance.randrange(size * 8) for dummy in range(FLIPS_PER_FILE)} if size else set()
        )
        for position in sorted(positions):
            flip(path, position)
            where = "%s bit %d" % (path.relative_to(base), position)
            assert found_by(storage, image, "full", password), where
            assert found_by(storage, image, "storage", ""), where
            target = memory_path / "target"
            if path.name == "copies.tar":  # nothing that a restore needs
                restore(storage, DEVICE, image, {"disk0": str(target)}, password=password)
                assert target.read_bytes() == disk.expected()
                target.unlink()
            else:
                with pytest.raises(EngineError):
                    restore(storage, DEVICE, image, {"disk0": str(target)}, password=password)
            assert not target.exists(), where
            path.write_bytes(whole)
            flips += 1
    assert flips > 60
    assert not found_by(storage, image, "full", password)


def test_missing_and_truncated_files_are_found_by_quick(memory_path: Path) -> None:
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    image = run_image(storage, SmallDisk(), Passwords(password=PASSWORD)).image
    for path in stored_files(base, image):
        if path.name in ("image.json", "copies.tar"):
            continue  # without its manifest there is no image; earlier versions made no copies
        whole = path.read_bytes()
        path.unlink()
        assert found_by(storage, image, "quick", ""), path
        path.write_bytes(whole)
        if "packs" in path.parts or path.suffix == ".index":
            path.write_bytes(whole[:-1])
            assert found_by(storage, image, "quick", ""), path
            path.write_bytes(whole)


def test_whole_image_directory_lost_is_said_and_others_stay(memory_path: Path) -> None:
    base = memory_path / "base"
    storage = DirectoryStorage(str(base))
    disk = SmallDisk()
    first = run_image(storage, disk, Passwords(password=PASSWORD))
    disk.write(5)
    second = run_image(storage, disk, Passwords(password=PASSWORD))
    shutil.rmtree(base / DEVICE / second.image)
    assert [manifest.image for manifest in DeviceDirectory(storage, DEVICE).images()] == [first.image]
    assert verify_image(storage, DEVICE, "latest", "full", password=PASSWORD).ok


@pytest.mark.parametrize("may_rename", [True, False])
@pytest.mark.parametrize("level", ["quick", "storage", "full"])
def test_the_trash_is_listed_once_for_all_missing_packs(level: str, may_rename: bool) -> None:
    """A listing for each would take hours in a crowd of foreign files. Of five missing packs three are in the trash, one of
    these damaged, and two are nowhere."""
    storage = MemoryStorage()
    image = run_image(storage, SmallDisk()).image
    directory = DeviceDirectory(storage, DEVICE)
    trashed, gone = sorted(directory.packs())[:3], sorted(directory.packs())[3:5]
    for pack in trashed:
        directory.move_to_trash(pack, 1)
    rotten = next(path for path in storage.files if trashed[0] in path)
    storage.files[rotten] = b"x" + storage.files[rotten][1:]
    for pack in gone:
        storage.delete(fmt.pack_path(DEVICE, pack))
    listings = []

    def hook(moment: str, operation: str, path: str) -> None:
        if (moment, operation, path) == ("before", "list", DEVICE + "/trash"):
            listings.append(path)
        if operation == "rename" and not may_rename:
            raise StoragePermissionDenied(storage="memory", operation=operation, path=path)

    report = verify_image(HookedStorage(storage, hook), DEVICE, image, level)
    for pack in [trashed[0], *gone]:
        assert [one for one in report.problems if pack in one] == ["The pack %s is missing." % pack]
    assert not [one for one in report.problems for pack in trashed[1:] if pack in one]
    assert [pack in directory.packs() for pack in trashed] == [False, may_rename, may_rename]
    if level != "full":  # which also reads as a restore does, up to the first pack that is nowhere
        assert len(listings) == 1


def test_the_trash_is_listed_once_for_all_damaged_packs() -> None:
    """Of three damaged packs one has an intact copy in the trash, which takes its place."""
    storage = MemoryStorage()
    image = run_image(storage, SmallDisk()).image
    directory = DeviceDirectory(storage, DEVICE)
    bad = sorted(directory.packs())[:3]
    storage.files["%s/trash/%s.1.1700000000" % (DEVICE, bad[0])] = storage.files[fmt.pack_path(DEVICE, bad[0])]
    for pack in bad:
        path = fmt.pack_path(DEVICE, pack)
        storage.files[path] = b"x" + storage.files[path][1:]
    listings = []

    def hook(moment: str, operation: str, path: str) -> None:
        if (moment, operation, path) == ("before", "list", DEVICE + "/trash"):
            listings.append(path)

    report = verify_image(HookedStorage(storage, hook), DEVICE, image, "storage")
    assert report.bad_packs == bad[1:]
    assert len(report.problems) == 2
    assert [pack in directory.packs() for pack in bad] == [True, False, False]
    assert len(listings) == 1


@pytest.mark.parametrize("level", ["quick", "storage"])
def test_a_crowd_of_missing_and_damaged_packs_is_counted(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A false image may list a million packs: a sentence and a name for each would take hundreds of megabytes."""
    monkeypatch.setattr(verify_module, "_MOST_TOLD", 2)
    monkeypatch.setattr(verify_module, "_MOST_BAD", 1)
    storage = MemoryStorage()
    image = run_image(storage, SmallDisk()).image
    directory = DeviceDirectory(storage, DEVICE)
    packs = sorted(directory.packs())
    for pack in packs[:5]:
        storage.delete(fmt.pack_path(DEVICE, pack))
    for pack in packs[5:8]:
        path = fmt.pack_path(DEVICE, pack)
        storage.files[path] = b"x" + storage.files[path][1:]
    report = verify_image(storage, DEVICE, image, level)
    named = [pack for pack in packs if any(pack in problem for problem in report.problems)]
    assert named == packs[:2] + ([] if level == "quick" else packs[5:6])
    assert any(problem.startswith("3 more packs are missing") for problem in report.problems)
    assert report.bad_packs == ([] if level == "quick" else packs[5:6])
    if level == "storage":
        assert any(problem.startswith("2 more packs are damaged") for problem in report.problems)
        assert verify_image(storage, DEVICE, image, level).bad_packs == packs[6:7]
