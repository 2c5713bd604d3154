# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a plain file is a target and where only a block device is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

import pytest
from engine.errors import DiskNotFound, RestoreTargetInStorage, RestoreTargetNotAbsolute, RestoreTargetNotOnDisk
from engine.restore.place import refuse_inside_storage, why_not_on_disk
from engine.restore.target import Target
from support.filled import run
from support.refusing import check_sentence

pytestmark = pytest.mark.usefixtures("rule_of_places")


@pytest.mark.parametrize(
    "path",
    [
        "/dev/sdx",
        "/dev/plantops/deeper/sdx",
        "/dev/disk/by-id/ata-no-such-disk",
        "/dev/mapper/no-such-volume",
        "/dev/../dev/sdx",
        "/dev/shm/a-file",
        "//dev//sdx",
        "/proc/a-file",
        "/sys/a-file",
        "/sys/class/a-file",
    ],
)
def test_what_does_not_exist_in_memory_is_no_target(path: str) -> None:
    with pytest.raises(RestoreTargetNotOnDisk) as caught:
        Target(path)
    check_sentence(caught.value)
    assert path in str(caught.value)
    assert not os.path.exists(path)


def test_a_file_that_is_there_in_memory_is_no_target_either() -> None:
    path = Path("/dev/shm/plantops-test-a-file")
    path.write_bytes(bytes(4096))
    try:
        with pytest.raises(RestoreTargetNotOnDisk):
            Target(str(path))
    finally:
        path.unlink()


def test_the_refusal_lists_the_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.restore.place.disks_here", lambda: ["/dev/sda (1.0 kB)", "/dev/sdb (2.0 kB)"])
    with pytest.raises(RestoreTargetNotOnDisk) as caught:
        Target("/dev/sdx")
    assert "/dev/sda (1.0 kB), /dev/sdb (2.0 kB)" in str(caught.value)


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    link = tmp_path / "target"
    link.symlink_to("/dev/sdx")
    with pytest.raises(RestoreTargetNotOnDisk):
        Target(str(link))
    folder = tmp_path / "folder"
    folder.symlink_to("/dev")
    with pytest.raises(RestoreTargetNotOnDisk):
        Target(str(folder / "sdx"))
    assert not os.path.exists("/dev/sdx")


@pytest.mark.root
@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
def test_a_file_system_in_memory_anywhere(kind: str, tmp_path: Path, need: Callable[..., None]) -> None:
    need("mount", "umount")
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "below").mkdir()
    assert why_not_on_disk(str(folder / "target")) == ""
    run("mount", "-t", kind, "none", folder)
    try:
        (folder / "below").mkdir()
        for path in (folder / "target", folder / "below" / "target", folder / "below" / "absent" / "target"):
            assert kind in why_not_on_disk(str(path))
        with pytest.raises(RestoreTargetNotOnDisk):
            Target(str(folder / "below" / "target"))
    finally:
        run("umount", folder)


def test_what_is_neither_file_nor_block_device(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path, Path("/dev/null"), Path("/dev/tty"), tmp_path / "absent" / "target"):
        with pytest.raises(DiskNotFound):
            Target(str(path))


@pytest.mark.parametrize(
    "name", ["sdb", "./sdb", "dev/sdb", "../sdb", "", "  ", "None", "~/sdb", "C:\\\\disk.img", "/dev/s\0db"]
)
def test_a_name_that_is_not_absolute_is_no_target(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dev").mkdir()
    monkeypatch.setattr("engine.restore.place.disks_here", lambda: ["/dev/sdb (2.0 kB)"])
    with pytest.raises(RestoreTargetNotAbsolute) as caught:
        Target(name)
    check_sentence(caught.value)
    assert "/dev/sdb (2.0 kB)" in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["dev"]


def test_a_name_that_leads_nowhere_is_refused_with_the_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.restore.place.disks_here", lambda: ["/dev/sdb (2.0 kB)"])
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    names = [
        tmp_path / "file" / "below",
        tmp_path / "circle",
        tmp_path / ("long" * 100),
        tmp_path,
        "/dev",
        "/",
        "/dev/null",
    ]
    for name in map(str, names):
        with pytest.raises(DiskNotFound) as caught:
            Target(name)
        check_sentence(caught.value)
        assert "/dev/sdb (2.0 kB)" in str(caught.value)
    assert (tmp_path / "file").read_bytes() == b"data"


def test_plain_files_on_a_disk_stay_targets(tmp_path: Path) -> None:
    assert why_not_on_disk(str(tmp_path / "target")) == ""
    assert not Target(str(tmp_path / "target")).exists
    assert why_not_on_disk("/development/target") == ""


def test_a_file_of_the_storage_is_no_target(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    (storage / "pc").mkdir(parents=True)
    (tmp_path / "link").symlink_to(storage)
    for path in (storage / "pc" / "image.json", storage / "new", tmp_path / "link" / "new", storage):
        with pytest.raises(RestoreTargetInStorage) as caught:
            refuse_inside_storage(str(path), str(storage))
        check_sentence(caught.value)
    packs = storage / "pc" / "packs"
    packs.mkdir()
    (packs / "pack").write_bytes(b"a pack")
    (tmp_path / "another-name").hardlink_to(packs / "pack")
    with pytest.raises(RestoreTargetInStorage):
        refuse_inside_storage(str(tmp_path / "another-name"), str(storage))
    (tmp_path / "of-its-own").write_bytes(b"no pack")
    (tmp_path / "twice").hardlink_to(tmp_path / "of-its-own")
    refuse_inside_storage(str(tmp_path / "twice"), str(storage))
    refuse_inside_storage(str(tmp_path / "storage-2"), str(storage))
    refuse_inside_storage("/dev/sdb", str(storage))


@pytest.mark.root
@pytest.mark.parametrize("bound", ["storage", "storage/pc"])
def test_a_storage_is_known_by_each_mount_of_it(bound: str, tmp_path: Path, need: Callable[..., None]) -> None:
    need("mount")
    storage, elsewhere = tmp_path / "storage", tmp_path / "elsewhere"
    (storage / "pc").mkdir(parents=True)
    elsewhere.mkdir()
    run("mount", "--bind", tmp_path / bound, elsewhere)
    try:
        for target, folder in ((elsewhere / "new", storage), (storage / "pc" / "new", elsewhere)):
            with pytest.raises(RestoreTargetInStorage):
                refuse_inside_storage(str(target), str(folder))
        refuse_inside_storage(str(tmp_path / "beside"), str(storage))
        refuse_inside_storage(str(tmp_path / "beside"), str(elsewhere))
    finally:
        run("umount", elsewhere)


def test_a_name_that_ends_in_a_slash_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(DiskNotFound):
        Target("%s/" % (tmp_path / "new"))
