# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot fallback of a whole disk: the plan names the files, the target has them, and nothing else differs from the image."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest
from engine.restore.target import Target
from support.efi_volumes import apply, debian, fill, get, judge, loader, put
from support.filled import empty, run
from support.imaging import run_verb
from support.killing import Moments, kill_in_child
from support.resizing import Scene, files_in, make_scene, table_of
from support.restoring import MARK, refused
from support.whole_disks import Part, WholeDisk, copy_range

pytestmark = pytest.mark.root
PARTS = (Part("efi", "fat", 36, ("-F", "32", "-s", "1")), Part("data", "ext", 24, ("-t", "ext4")))
FILES = {"BOOTX64.EFI": "shimx64.efi", "GRUBX64.EFI": "grubx64.efi", "MMX64.EFI": "mmx64.efi"}


def with_files(files: Dict[str, bytes]) -> Callable[[WholeDisk, Path], None]:
    def prepare(disk: WholeDisk, folder: Path) -> None:
        volume = disk.volume(disk.parts[0], disk.path, folder)
        put(volume, files)
        copy_range(volume, 0, disk.path, disk.parts[0].start_bytes, disk.parts[0].size_bytes)
        erase_zeros(volume, disk)

    return prepare


def erase_zeros(volume: Path, disk: WholeDisk) -> None:
    """``copy_range`` leaves holes: a file that was deleted on the volume is still on the disk otherwise."""
    with open(disk.path, "r+b") as file:
        file.seek(disk.parts[0].start_bytes)
        file.write(volume.read_bytes())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]) -> Scene:
    need("sgdisk", "sfdisk", "mkfs.fat", "fsck.fat", "mcopy", "mmd", "mtype")
    folder = tmp_path_factory.mktemp("scene")
    return make_scene(folder, "gpt", PARTS, files=30, prepare=with_files(debian()))


def esp_of(scene: Scene, target: Path, number: int = 0) -> Path:
    volume = empty(scene.folder / "esp", 0)
    entry = table_of(target)[number]
    copy_range(target, entry["start"] * 512, volume, 0, entry["size"] * 512)
    return volume


def check_target(scene: Scene, target: Path, added: Optional[Dict[str, str]] = None) -> None:
    """The files are what they are copies of, fsck.fat is content, and every other file is what it was."""
    added = FILES if added is None else added
    volume = esp_of(scene, target)
    judge(volume)
    for name, source in added.items():
        assert get(volume, "EFI/BOOT/" + name) == debian()["EFI/debian/" + source]
    assert "No problems found" in run("sgdisk", "-v", target)
    for part, entry in zip(PARTS, table_of(target)):
        found = files_in(target, part.kind, entry["start"] * 512, entry["size"] * 512, scene.folder)
        more = {name for name in found if name.upper().startswith("EFI/BOOT")} if part.kind == "fat" else set()
        assert {name: value for name, value in found.items() if name not in more} == scene.files[part.name]
        assert len(more) == (len(added) + 1 if part.kind == "fat" else 0)


def test_the_plan_names_the_files_and_the_target_has_them(scene: Scene) -> None:
    target = scene.target(0)
    plain = scene.restore(target, check=True)
    assert any("imaging_restore_boot_fallback" in text for text in plain["warnings"])
    assert plain["restore_plan"]["disks"][0]["files_added"] == []
    planned = scene.restore(target, check=True, boot_fallback="yes")
    assert not target.read_bytes().strip(b"\0")
    document = planned["restore_plan"]["disks"][0]
    sizes = [len(debian()["EFI/debian/" + source]) for source in FILES.values()]
    assert [one["path"] for one in document["files_added"]] == ["EFI/BOOT/" + name for name in FILES]
    assert [one["source"].lower() for one in document["files_added"]] == ["efi/debian/" + one for one in FILES.values()]
    assert [(one["partition"], one["size_bytes"]) for one in document["files_added"]] == [(1, one) for one in sizes]
    assert all(any("EFI/BOOT/" + name in text for text in planned["plan"]) for name in FILES)
    assert not any("imaging_restore_boot_fallback" in text for text in planned["warnings"])
    done = scene.restore(target, boot_fallback="yes")
    assert done["restore_plan"] == planned["restore_plan"]
    assert done["boot"]["disks"][0]["efi_fallback"] is True
    check_target(scene, target)
    again = scene.restore(target, boot_fallback="yes")
    assert again["already_restored"]
    assert not again["changed"]
    refused("R102", lambda: scene.restore(target), target)  # without the option it differs from the image


def test_nothing_but_the_efi_partition_differs_from_a_restore_without_it(scene: Scene, tmp_path: Path) -> None:
    targets = [empty(tmp_path / name, scene.size) for name in ("plain", "fallback")]
    scene.restore(targets[0])
    scene.restore(targets[1], boot_fallback="yes")
    data = [target.read_bytes() for target in targets]
    efi = scene.disk.parts[0]
    end = efi.start_bytes + efi.size_bytes
    assert data[0][: efi.start_bytes + 512] == data[1][: efi.start_bytes + 512]  # its boot sector as well
    assert data[0][end:] == data[1][end:]


@pytest.mark.parametrize("settings", [{"grow": "last"}, {"shrink": True}, {"identity": "new"}, {}])
def test_with_another_size_and_with_new_ids(scene: Scene, settings: Dict[str, Any], need: Callable[..., None]) -> None:
    need("resize2fs", "e2fsck", "tune2fs")
    target = scene.target({"grow": 24, "shrink": -8}.get("".join(settings)[:6].strip(), 16 if not settings else 0))
    done = scene.restore(target, boot_fallback="EFI/debian/shimx64.efi", **settings)
    assert len(done["restore_plan"]["disks"][0]["files_added"]) == 3
    check_target(scene, target)


def test_killed_at_any_write_it_does_not_boot_and_the_same_command_completes_it(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = empty(tmp_path / "whole", scene.size)
    scene.restore(whole, boot_fallback="yes")
    expected = hashlib.sha256(whole.read_bytes()).hexdigest()
    written = Target.write_pieces

    def restore(moments: Moments, target: Path) -> None:
        def counted(self: Target, *arguments: Any) -> None:
            written(self, *arguments)
            moments.step()

        with monkeypatch.context() as patched:
            patched.setattr(Target, "write_pieces", counted)
            scene.restore(target, boot_fallback="yes")

    count = kill_in_child(lambda moments: restore(moments, empty(tmp_path / "counted", scene.size)), None)
    assert count is not None
    assert count > 4
    for moment in sorted({1, 2, count // 3, count // 2, 3 * count // 4}):  # a run writes a few times more or less
        target = empty(tmp_path / "target", scene.size)
        assert kill_in_child(lambda moments, target=target: restore(moments, target), moment) is None
        with open(target, "rb") as file:
            assert file.read(len(MARK)) == MARK, moment
        done = scene.restore(target, boot_fallback="yes")
        assert done["changed"]
        assert hashlib.sha256(target.read_bytes()).hexdigest() == expected, moment


def changed(scene: Scene, folder: Path, change: Callable[[Path], None]) -> Callable[..., Dict[str, Any]]:
    """The scene with another EFI partition, imaged once more; return how it is restored."""
    disk = folder / "disk"
    disk.write_bytes(scene.disk.path.read_bytes())
    volume = scene.disk.volume(scene.disk.parts[0], disk, folder)
    change(volume)
    with open(disk, "r+b") as file:
        file.seek(scene.disk.parts[0].start_bytes)
        file.write(volume.read_bytes())
    run_verb(folder / "storage", "image", drives=[str(disk)], limit_read_rate=0)

    def restore(target: Path, **settings: Any) -> Dict[str, Any]:
        return run_verb(folder / "storage", "restore", map={"disk0": str(target)}, **settings)

    return restore


def test_a_mounted_partition_is_warned_of(scene: Scene, tmp_path: Path) -> None:
    restore = changed(scene, tmp_path, lambda path: apply(path, [(0x41, b"\x01")]))  # so Linux marks it
    target = empty(tmp_path / "target", scene.size)
    done = restore(target, boot_fallback="yes")
    assert done["restore_plan"]["disks"][0]["warnings"]
    assert get(esp_of(scene, target), "EFI/BOOT/BOOTX64.EFI") == debian()["EFI/debian/shimx64.efi"]


WINDOWS = {"EFI/Microsoft/Boot/bootmgfw.efi": loader()}


@pytest.mark.parametrize(
    ("change", "code", "field", "words"),
    [
        (lambda path: put(path, WINDOWS), "R165", "loaders", ["efi/debian/shimx64.efi", "bootmgfw.efi"]),
        (lambda path: run("mdel", "-i", path, "::EFI/debian/grubx64.efi"), "R164", "reason", ["grubx64.efi"]),
        (lambda path: fill(path, 50), "R164", "reason", ["84", "50", "clusters"]),
        (lambda path: apply(path, [(32 * 512 + 4000, os.urandom(512))]), "R164", "reason", ["tables"]),
        (lambda path: apply(path, [(0, bytes(512))]), "R164", "reason", ["fat"]),
    ],
    ids=["two loaders", "shim alone", "full", "damaged", "no FAT"],
)
def test_what_is_not_possible_is_refused_before_the_first_byte(
    change: Callable[[Path], None], code: str, field: str, words: List[str], scene: Scene, tmp_path: Path
) -> None:
    restore = changed(scene, tmp_path, change)
    target = empty(tmp_path / "target", scene.size)
    error = refused(code, lambda: restore(target, boot_fallback="yes"), target)
    assert all(word in str(error.fields[field]).lower() for word in words)
    if code == "R165":
        done = restore(target, boot_fallback="\\EFI\\debian\\shimx64.efi")
        assert len(done["restore_plan"]["disks"][0]["files_added"]) == 3
    else:
        restore(target)


def test_a_disk_without_an_efi_partition_and_one_that_has_the_file_stay_as_they_are(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    need("sfdisk", "mkfs.fat", "mcopy", "mmd")
    bios = make_scene(tmp_path / "bios", "dos", [Part("data", "ext", 16, ("-t", "ext4"))], files=5)
    done = bios.restore(bios.target(0), boot_fallback="yes")
    assert done["restore_plan"]["disks"][0]["files_added"] == []
    files = dict(debian(), **{"EFI/BOOT/BOOTX64.EFI": b"my own"})
    has = make_scene(tmp_path / "has", "gpt", PARTS[:1], files=30, prepare=with_files(files))
    target = has.target(0)
    done = has.restore(target, boot_fallback="yes")
    assert done["restore_plan"]["disks"][0]["files_added"] == []
    assert any("EFI/BOOT/BOOTX64.EFI" in text for text in done["plan"])
    assert get(esp_of(has, target), "EFI/BOOT/BOOTX64.EFI") == b"my own"
    assert has.restore(target)["already_restored"]
