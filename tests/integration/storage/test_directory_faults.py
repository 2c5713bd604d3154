# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that is full, read-only, forbidden, failing, or full of links: one error, and no earlier image suffers."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from engine.errors import (
    EngineError,
    ImageNotFound,
    StorageDirectoryMissing,
    StorageExists,
    StorageFull,
    StoragePathInvalid,
    StoragePermissionDenied,
)
from engine.storage.contract import PARTIAL_SUFFIX
from engine.storage.lease import Lease
from engine.storage.local.storage import DirectoryStorage
from engine.verbs.dispatch import run_job
from support import imaging
from support.small_runs import SmallDisk, make_small, read_image, run_image

KIB = 1 << 10
NOBODY = 65534


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(SmallDisk(24).data))
    return path


def change(drive: Path, seed: int) -> None:
    drive.write_bytes(bytes(SmallDisk(24, seed).data))


def run(*command: Any) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def tmpfs(folder: Path, work: Path) -> Iterator[Path]:
    work.mkdir()
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder)
    try:
        yield folder
    finally:
        run("umount", folder)


@contextlib.contextmanager
def ext4(folder: Path, work: Path) -> Iterator[Path]:
    work.mkdir()
    folder.mkdir()
    volume = work / "volume"
    with open(volume, "wb") as file:
        file.truncate(16 << 20)
    run("mke2fs", "-q", "-t", "ext4", "-m", "0", volume)
    loop = run("losetup", "-f", "--show", volume).strip()
    try:
        run("mount", loop, folder)
        try:
            yield folder
        finally:
            run("umount", folder)
    finally:
        run("losetup", "-d", loop)


FILE_SYSTEMS = {"tmpfs": tmpfs, "ext4": ext4}


@pytest.fixture(params=sorted(FILE_SYSTEMS))
def mounted(request: Any, tmp_path: Path) -> Iterator[Path]:
    with FILE_SYSTEMS[request.param](tmp_path / "mnt", tmp_path / "work") as folder:
        yield folder


def fill(folder: Path, leave_bytes: int) -> Path:
    """Fill the file system up to the last ``leave_bytes`` bytes."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4 * KIB))
        file.truncate(max(0, file.tell() - leave_bytes))
        os.fsync(file.fileno())
    return filler


def partial_files(storage: Path) -> List[str]:
    return [name for dummy, dummy_too, names in os.walk(storage) for name in names if name.endswith(PARTIAL_SUFFIX)]


def check_next_run(storage: Path, drive: Path, *earlier: str) -> None:
    """What was in the way is gone: the next run makes its image, and all are whole."""
    result = imaging.image(storage, drive)
    listed = [entry["image"] for entry in imaging.run_verb(storage, "list")["images"]]
    assert listed == [*earlier, result["image"]]
    for name in listed:
        report = imaging.verify(storage, image=name)
        assert report["ok"], report["problems"]
    restored = drive.parent / "restored.img"
    imaging.restore(storage, restored)
    assert restored.read_bytes() == drive.read_bytes()
    assert partial_files(storage) == []


@pytest.mark.root
@pytest.mark.parametrize("left_kib", [0, 12, 64, 600, 1200])
def test_a_full_file_system(mounted: Path, drive: Path, left_kib: int) -> None:
    storage = mounted / "images"
    first = imaging.image(storage, drive)["image"]
    change(drive, 2)
    filler = fill(mounted, left_kib * KIB)
    with pytest.raises(StorageFull) as caught:
        imaging.image(storage, drive)
    assert caught.value.code == "S103"
    assert partial_files(storage) == []
    assert not (storage / "pc" / "lease.json").exists()
    assert imaging.verify(storage, image=first, check=True)["ok"]
    filler.unlink()
    check_next_run(storage, drive, first)


def used_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


@pytest.mark.root
def test_the_last_pages_are_missing(tmp_path: Path, drive: Path) -> None:
    """The packs fit; what comes before and at the commit does not."""
    with tmpfs(tmp_path / "mnt", tmp_path / "work") as mounted:
        storage = mounted / "images"
        first = imaging.image(storage, drive)["image"]
        before = used_bytes(mounted)
        change(drive, 2)
        names = [first, imaging.image(storage, drive)["image"]]
        need_bytes = used_bytes(mounted) - before
        for pages in (1, 2, 3, 4, 6, 9):
            change(drive, 3 + pages)
            filler = fill(mounted, need_bytes - pages * 4 * KIB)
            with pytest.raises(StorageFull):
                imaging.image(storage, drive)
            for name in names:
                assert imaging.verify(storage, "storage", image=name, check=True)["ok"]
            filler.unlink()
            run("mount", "-o", "remount,size=%dm" % (8 + 4 * pages), mounted)
        check_next_run(storage, drive, *names)


@pytest.mark.root
def test_a_storage_that_is_full_from_the_start(mounted: Path, drive: Path) -> None:
    (mounted / "images").mkdir()
    filler = fill(mounted, 0)
    with pytest.raises(StorageFull):
        imaging.image(mounted / "images", drive)
    filler.unlink()
    check_next_run(mounted / "images", drive)


@pytest.mark.root
def test_a_file_system_without_room_for_names(tmp_path: Path, drive: Path) -> None:
    with tmpfs(tmp_path / "mnt", tmp_path / "work") as mounted:
        storage = mounted / "images"
        first = imaging.image(storage, drive)["image"]
        change(drive, 2)
        names = sum(len(folders) + len(files) for dummy, folders, files in os.walk(mounted))
        run("mount", "-o", "remount,nr_inodes=%d" % (names + 8), mounted)
        with pytest.raises(StorageFull):
            imaging.image(storage, drive)
        assert imaging.verify(storage, image=first, check=True)["ok"]
        run("mount", "-o", "remount,nr_inodes=10000", mounted)
        check_next_run(storage, drive, first)


@pytest.mark.root
def test_a_read_only_file_system(mounted: Path, drive: Path) -> None:
    storage = mounted / "images"
    first = imaging.image(storage, drive)["image"]
    (mounted / "other").mkdir()
    run("mount", "-o", "remount,ro", mounted)
    try:
        for url in (storage, mounted / "other"):
            with pytest.raises(StoragePermissionDenied):
                imaging.image(url, drive)
        assert imaging.verify(storage, check=True)["ok"]
        assert imaging.run_verb(storage, "list")["images"][0]["image"] == first
    finally:
        run("mount", "-o", "remount,rw", mounted)
    change(drive, 2)
    check_next_run(storage, drive, first)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def open_to_all(path: Path) -> None:
    """Let everybody walk down to ``path``; what is in it keeps its own modes."""
    for folder in (path, *path.parents):
        if folder.stat().st_mode & 0o011 != 0o011 and folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o011)


@pytest.mark.root
@pytest.mark.parametrize("mode", [0o000, 0o555])
def test_a_directory_that_is_not_permitted(memory_path: Path, tmp_path: Path, drive: Path, mode: int) -> None:
    storage = memory_path / "images"
    first = imaging.image(storage, drive)["image"]
    open_to_all(memory_path)
    open_to_all(tmp_path)
    drive.chmod(0o644)
    for dummy, folders, files in os.walk(storage, topdown=False):
        for name in folders + files:
            os.chmod(os.path.join(dummy, name), mode)
    storage.chmod(mode)
    with as_nobody(), pytest.raises(StoragePermissionDenied) as caught:
        imaging.image(storage, drive)
    assert str(storage) in str(caught.value)
    change(drive, 2)
    check_next_run(storage, drive, first)


def put_link(path: Path, outside: Path) -> None:
    """Move what is at ``path`` away and put a link to it in its place."""
    target = outside / path.name
    path.rename(target)
    path.symlink_to(target)


def take_link(path: Path, outside: Path) -> None:
    path.unlink()
    (outside / path.name).rename(path)


def snapshot(folder: Path) -> Dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("place", ["pc", "pc/packs", "pc/keys", "pc/records", "pc/trash"])
def test_a_link_in_the_place_of_a_directory(tmp_path: Path, drive: Path, place: str) -> None:
    storage, outside = tmp_path / "storage", tmp_path / "outside"
    outside.mkdir()
    first = imaging.image(storage, drive)["image"]
    change(drive, 2)
    put_link(storage / place, outside)
    before = snapshot(outside)
    with pytest.raises((StorageExists, StoragePermissionDenied)) as caught:
        imaging.image(storage, drive)
    assert "pc" in str(caught.value)
    assert snapshot(outside) == before
    take_link(storage / place, outside)
    check_next_run(storage, drive, first)


@pytest.mark.parametrize("kind", ["link", "file"])
@pytest.mark.parametrize("place", ["pc", "pc/packs", "pc/keys", "pc/records", "pc/trash"])
def test_the_operators_verbs_name_what_is_in_the_place_of_a_directory(
    tmp_path: Path, drive: Path, place: str, kind: str
) -> None:
    """A listing would take it for an empty directory, and the verbs would report success without having done anything."""
    storage, outside = tmp_path / "storage", tmp_path / "outside"
    outside.mkdir()
    for seed in (2, 3):
        imaging.image(storage, drive)
        change(drive, seed)
    put_link(storage / place, outside)
    if kind == "file":
        (storage / place).unlink()
        (storage / place).touch()
    before = snapshot(outside)
    for verb, settings in (("rollover", {"keep": 1}), ("check", {})):
        for more in (settings, dict(settings, check=True)):
            with pytest.raises((StorageExists, StoragePermissionDenied, ImageNotFound)) as caught:
                imaging.run_verb(storage, verb, **more)
            assert caught.value.code == "S190" or place == "pc", caught.value.as_dict()
    assert snapshot(outside) == before
    take_link(storage / place, outside)
    assert imaging.run_verb(storage, "check")["images"] == 2
    assert len(imaging.run_verb(storage, "rollover", keep=1)["deleted"]) == 1


def test_links_in_the_places_of_all_pack_directories(tmp_path: Path, drive: Path) -> None:
    storage, outside = tmp_path / "storage", tmp_path / "outside"
    outside.mkdir()
    first = imaging.image(storage, drive)["image"]
    change(drive, 2)
    links = [storage / "pc" / "packs" / ("%02x" % number) for number in range(256)]
    links = [link for link in links if not link.exists()]
    for link in links:
        link.symlink_to(outside)
    with pytest.raises((StorageExists, StoragePermissionDenied)):
        imaging.image(storage, drive)
    assert os.listdir(outside) == []
    assert imaging.verify(storage, image=first)["ok"]
    for link in links:
        link.unlink()
    check_next_run(storage, drive, first)


def test_links_in_the_places_of_files(tmp_path: Path, drive: Path) -> None:
    storage, outside = tmp_path / "storage", tmp_path / "outside"
    outside.write_bytes(b"mine")
    first = imaging.image(storage, drive)["image"]
    change(drive, 2)
    lease = storage / "pc" / "lease.json"
    lease.symlink_to(outside)
    with pytest.raises(StorageExists, match=r"lease\.json"):
        imaging.image(storage, drive, lease_ttl_seconds=1)
    assert outside.read_bytes() == b"mine"
    lease.unlink()
    check_next_run(storage, drive, first)


def test_a_directory_behind_a_link_is_neither_listed_nor_made_nor_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    storage = DirectoryStorage(str(tmp_path / "storage"))
    (tmp_path / "storage" / "link").symlink_to(outside)
    for call in (storage.list, storage.make_directory, storage.remove_directory):
        with pytest.raises(EngineError):
            call("link")
    storage.delete("link")
    assert outside.is_dir()


def test_the_root_may_be_a_link_but_no_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    storage = DirectoryStorage(str(tmp_path / "link"))
    storage.put("file", [b"x"])
    assert (tmp_path / "real" / "file").read_bytes() == b"x"
    assert [entry.name for entry in storage.list("")] == ["file"]
    (tmp_path / "file").write_bytes(b"")
    for place in ("file", "file/below", "nothing/below"):
        with pytest.raises(EngineError):
            DirectoryStorage(str(tmp_path / place))


def test_a_root_that_vanished_is_an_error_of_the_catalogue(tmp_path: Path) -> None:
    storage = DirectoryStorage(str(tmp_path / "storage"))
    (tmp_path / "storage").rmdir()
    for call in (
        storage.space,
        lambda: storage.list(""),
        lambda: storage.put("file", [b"x"]),
        lambda: storage.forget_cache("file"),
        lambda: Lease(storage, "pc", ttl_seconds=0.1).acquire(wait_seconds=0.1),
    ):
        with pytest.raises(EngineError):
            call()


def test_a_name_that_the_file_system_can_not_hold(tmp_path: Path) -> None:
    storage = DirectoryStorage(str(tmp_path / "storage"))
    name = "ü" * 200
    for call in (lambda: storage.put(name, [b"x"]), lambda: storage.make_directory(name), lambda: storage.get(name)):
        with pytest.raises(StoragePathInvalid, match="too long"):
            call()


def test_what_is_put_or_moved_is_synced_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before it gets its name, its directory after that: without both a loss of power could take it."""
    storage = DirectoryStorage(str(tmp_path / "storage"))
    storage.make_directory("a")
    storage.make_directory("b")
    synced: List[str] = []
    original = os.fsync

    def watched(descriptor: int) -> None:
        path = os.readlink("/proc/self/fd/%d" % descriptor)
        named = os.path.exists(tmp_path / "storage" / "a" / "file")
        synced.append("%s %s" % (os.path.basename(path).split(".")[-1], "named" if named else "not named"))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    storage.put("a/file", [b"x"])
    assert synced == ["partial not named", "a named"]
    storage.put("a/file", [b"y"], replace=True)
    assert synced[2:] == ["partial named", "a named"]
    storage.rename("a/file", "b/file")
    assert sorted(synced[4:]) == ["a not named", "b not named"]
    storage.delete("b/file")
    storage.make_directory("b/new")
    storage.remove_directory("b/new")
    assert synced[6:] == ["b not named"] * 3


@pytest.mark.parametrize("operation", ["write", "fsync"])
def test_a_write_that_fails_once_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    storage, disk = DirectoryStorage(str(tmp_path / "storage")), SmallDisk(16)
    original = getattr(os, operation)
    failures: List[int] = []

    def failing(descriptor: int, *data: Any) -> Any:
        path = os.readlink("/proc/self/fd/%d" % descriptor)
        if "/packs/" in path and path.endswith(PARTIAL_SUFFIX) and len(failures) < 2:
            failures.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(descriptor, *data)

    monkeypatch.setattr(os, operation, failing)
    image = run_image(storage, disk).image
    assert len(failures) == 2
    assert read_image(storage, image) == disk.expected()
    assert partial_files(tmp_path / "storage") == []


@pytest.mark.parametrize("verb", ["check", "image", "list"])
def test_a_directory_that_nobody_made_is_refused_and_not_made(tmp_path: Path, verb: str) -> None:
    document = {"verb": verb, "device": "pc", "storage": {"url": str(tmp_path / "srv" / "imges")}, "drives": ["/x"]}
    for made in (False, True):  # what a mount point that is missing, and a mistyped name look like
        if made:
            (tmp_path / "srv").mkdir()
        with pytest.raises(StorageDirectoryMissing, match="imges"):
            run_job(document, lambda event: None, lambda: False)
    assert list((tmp_path / "srv").iterdir()) == []
