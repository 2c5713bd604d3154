# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that fail, shrink, vanish or change under a run, and targets that fail under a restore.

A loop device whose file is cut short answers reads behind its end with an input/output error, as a disk with bad sectors does.
"""

from __future__ import annotations

import os
import random
from functools import partial
from pathlib import Path
from typing import Callable, Iterator

import pytest
from engine.disk.extents import ExtentSet
from engine.disk.source import FileSource
from engine.errors import DiskUnreadable, RestoreWriteFailed
from engine.image.access import Passwords
from engine.image.upkeep.verify import verify_image
from engine.image.writing.writer import DiskInput, ImageOrder, write_image
from engine.restore.restore import restore
from engine.storage.contract import Storage
from engine.storage.local.storage import DirectoryStorage
from support import imaging
from support.filled import MIB, check_volume, empty, fat_contents, make_fat, run
from support.refusing import check_sentence
from support.restoring import MARK, partitioned
from support.small_runs import CHUNK, DEVICE, chunk_places, make_small, read_image, run_image
from support.storages import HookedStorage

pytestmark = pytest.mark.root
PASSWORD = "a password for this test"


@pytest.fixture
def attach(need: Callable[..., None]) -> Iterator[Callable[[Path], str]]:
    """Return a function that attaches a file as a loop device."""
    need("losetup")
    loops = []

    def attached(path: Path) -> str:
        loops.append(run("losetup", "-f", "--show", path).strip())
        return loops[-1]

    yield attached
    for loop in reversed(loops):
        run("losetup", "-d", loop)


def noise(path: Path, size_bytes: int) -> bytes:
    data = random.Random(5).randbytes(size_bytes)
    path.write_bytes(data)
    return data


def image_of(storage: Storage, source: FileSource, timestamp: str = "2026-11-23_20-00-00") -> str:
    """Image a whole disk, all of it in use."""
    disk = DiskInput(source, ExtentSet([(0, source.size_bytes)]), "serial:1")
    job = ImageOrder(DEVICE, timestamp, [disk], Passwords(PASSWORD), created=timestamp, sleep=lambda seconds: None)
    return write_image(storage, job).image


# -- the disk that is imaged ------------------------------------------------------------------------------------------


def test_bad_sectors_in_use_are_named_and_nothing_is_harmed(tmp_path: Path, attach: Callable[[Path], str]) -> None:
    file = tmp_path / "disk"
    data = noise(file, 8 * MIB)
    loop = attach(file)
    storage = tmp_path / "storage"
    first = imaging.image(storage, Path(loop))["image"]
    bad = 5 * MIB + 3 * 4096
    os.truncate(file, bad)
    with pytest.raises(DiskUnreadable) as caught:
        imaging.image(storage, Path(loop))
    check_sentence(caught.value)
    said = str(caught.value)
    assert "%s failed" % loop in said
    assert "at byte %d" % bad in said
    assert "sector %d" % (bad // 512) in said
    assert caught.value.fields["has_images"] is True
    assert imaging.verify(storage, image=first)["ok"]
    assert [one["image"] for one in imaging.run_verb(storage, "list")["images"]] == [first]
    file.write_bytes(data)  # another disk, onto which what could be read was copied
    restored = tmp_path / "restored"
    again = imaging.image(storage, Path(loop))
    assert again["bytes_stored"] < MIB
    imaging.restore(storage, restored)
    assert restored.read_bytes() == data


def test_bad_sectors_that_no_file_uses_are_no_matter(tmp_path: Path, attach: Callable[[Path], str], need) -> None:
    need("mkfs.fat", "mcopy", "fsck.fat")
    file = make_fat(tmp_path / "volume", tmp_path, 96 * MIB, "-F", "32", "-s", "1", files=100)
    expected = fat_contents(file, tmp_path)
    whole = file.read_bytes()
    used = len(whole.rstrip(b"\0"))
    assert used < 60 * MIB
    loop = attach(file)
    os.truncate(file, used + 4096 - used % 4096)
    with open(loop, "rb") as device:
        device.seek(64 * MIB)
        with pytest.raises(OSError, match="Input/output"):
            device.read(4096)
    storage, restored = tmp_path / "storage", tmp_path / "restored"
    imaging.image(storage, Path(loop))
    imaging.restore(storage, restored)
    check_volume("fat", restored)
    assert fat_contents(restored, tmp_path) == expected


@pytest.mark.parametrize("left", [0, 3 * MIB], ids=["vanishes", "shrinks"])
def test_disk_that_goes_while_it_is_read(left: int, tmp_path: Path, attach: Callable[[Path], str], monkeypatch) -> None:
    make_small(monkeypatch)
    file = tmp_path / "disk"
    data = noise(file, 8 * MIB)
    loop = attach(file)
    storage = DirectoryStorage(str(tmp_path / "storage"))
    puts = []

    def goes(moment: str, operation: str, path: str) -> None:
        if operation == "put" and moment == "after" and "/packs/" in path:
            puts.append(path)
            if len(puts) == 3:
                os.truncate(file, left)
                if left:
                    run("losetup", "-c", loop)

    with FileSource(loop) as source:
        source.expect_small_reads(True)  # what is read ahead would be there still
        with pytest.raises(DiskUnreadable) as caught:
            image_of(HookedStorage(storage, goes), source)
    check_sentence(caught.value)
    assert loop in str(caught.value)
    assert int(str(caught.value.fields["uploaded_bytes"])) > 0
    file.write_bytes(data)
    run("losetup", "-c", loop)
    with FileSource(loop) as source:
        image = image_of(storage, source)
    assert read_image(storage, image, PASSWORD) == data
    assert all(len(packs) == 1 for packs in chunk_places(storage).values())


def test_disk_that_changes_while_it_is_read_gives_an_image_that_verifies(
    tmp_path: Path, attach: Callable[[Path], str], monkeypatch
) -> None:
    """What a live volume gives: each chunk as it was when it was read. It is not one moment, but it is whole."""
    make_small(monkeypatch)
    file = tmp_path / "disk"
    noise(file, 6 * MIB)
    loop = attach(file)
    storage = DirectoryStorage(str(tmp_path / "storage"))
    chance = random.Random(6)
    seen = {file.read_bytes()[start : start + CHUNK] for start in range(0, 6 * MIB, CHUNK)}

    def changes(*dummy: object) -> None:
        with open(loop, "r+b", buffering=0) as device:
            content = chance.randbytes(CHUNK)
            seen.add(content)
            os.pwrite(device.fileno(), content, chance.randrange(6 * MIB // CHUNK) * CHUNK)

    with FileSource(loop) as source:
        for number in range(4):
            image = image_of(HookedStorage(storage, changes), source, "2026-11-23_20-00-0%d" % number)
            assert verify_image(storage, DEVICE, image, "full", password=PASSWORD).ok
            data = read_image(storage, image, PASSWORD)
            assert {data[start : start + CHUNK] for start in range(0, len(data), CHUNK)} <= seen


# -- the disk that is written to --------------------------------------------------------------------------------------


def test_target_that_fails_stays_marked_and_the_restore_goes_on(tmp_path: Path, monkeypatch, need) -> None:
    """A device whose file has no room fails to write, and tells so only when it is flushed."""
    need("mount", "umount", "losetup")
    make_small(monkeypatch)
    storage = DirectoryStorage(str(tmp_path / "storage"))
    disk = partitioned()
    image = run_image(storage, disk).image
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=2m", "none", small)
    loop = ""
    try:
        file = empty(small / "target", len(disk.data))
        loop = run("losetup", "-f", "--show", file).strip()
        restoring = partial(restore, storage, DEVICE, image, {"disk0": loop})
        with pytest.raises(RestoreWriteFailed) as caught:
            restoring()
        check_sentence(caught.value)
        assert loop in str(caught.value)
        assert "Input/output error" in str(caught.value)
        assert file.read_bytes().startswith(MARK)
        run("mount", "-o", "remount,size=20m", small)
        (done,) = restoring()
        assert done.kept_bytes > 0
        assert file.read_bytes() == disk.expected()
    finally:
        if loop:
            run("losetup", "-d", loop)
        run("umount", small)
