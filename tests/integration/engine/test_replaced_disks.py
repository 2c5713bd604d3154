# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk was replaced, cloned, renamed, swapped, partitioned anew, or imaged in part: what any kept image holds is not sent
again. Measured by the bytes of packs that a run adds to the storage."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

import pytest
from support.filled import MIB, check_volume, contents, empty, fat_contents, mounted, run
from support.imaging import image, restore, verify
from support.whole_disks import Part, WholeDisk, build_disk, copy_range, sfdisk

PARTS = (
    Part("efi", "fat", 48, ("-F", "32", "-s", "1")),
    Part("root", "ext", 64, ("-t", "ext4")),
    Part("data", "ext", 64, ("-t", "ext4")),
)
NUMBERS = {"efi": 1, "root": 2, "data": 3}
NEXT_TO_NOTHING = 0.02  # of what the first image stored


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]) -> WholeDisk:
    need("sfdisk", "sgdisk", "mke2fs", "mkfs.fat", "mcopy", "debugfs")
    folder = tmp_path_factory.mktemp("disk")
    disk = build_disk(folder, "gpt", PARTS, files=200)
    for name in ("root", "data"):
        noise = folder / "noise"
        noise.write_bytes(random.Random(name).randbytes(12 * MIB))
        volume = cut(disk.path, name, folder / name)
        run("debugfs", "-w", "-R", "write %s noise.bin" % noise, volume)
        put(volume, disk.path, places(disk.path)[name][0])
    return disk


def places(disk: Path) -> Dict[str, Tuple[int, int]]:
    """Start and size in bytes of each partition, as sfdisk says."""
    table = json.loads(sfdisk(disk, 512, "--json"))["partitiontable"]["partitions"]
    return {name: (one["start"] * 512, one["size"] * 512) for name, one in zip(NUMBERS, table)}


def cut(disk: Path, name: str, target: Path) -> Path:
    start, size = places(disk)[name]
    copy_range(disk, start, empty(target, 0), 0, size)
    return target


def put(volume: Path, disk: Path, start: int) -> None:
    copy_range(volume, 0, disk, start, volume.stat().st_size)


class Machine:
    """A device with one disk, of which there is an image, and how much more each image adds to its storage."""

    def __init__(self, built: WholeDisk, folder: Path) -> None:
        self.folder = folder
        self.storage = folder / "storage"
        self.disk = folder / "disk.raw"
        shutil.copyfile(built.path, self.disk)
        self.first = self.image(self.disk)
        assert self.first > 24 * MIB

    def stored_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.storage.glob("pc/packs/*/*"))

    def image(self, *drives: Path, **settings: Any) -> int:
        before = self.stored_bytes()
        image(self.storage, *drives, **settings)
        return self.stored_bytes() - before

    def adds_next_to_nothing(self, *drives: Path, **settings: Any) -> None:
        added = self.image(*drives, **settings)
        assert added <= NEXT_TO_NOTHING * self.first, "%d of %d bytes" % (added, self.first)
        report = verify(self.storage)
        assert report["ok"], report

    def comes_back(self, disk: Path, *names: str) -> None:
        """The newest image's first disk is restored, and file systems and files are those of ``disk``."""
        target = empty(self.folder / "restored.raw", disk.stat().st_size)
        restore(self.storage, target, overwrite=True)
        for name in names or tuple(NUMBERS):
            assert files_of(target, name, self.folder) == files_of(disk, name, self.folder)


def files_of(disk: Path, name: str, folder: Path) -> Dict[str, str]:
    volume = cut(disk, name, folder / "look")
    if name == "efi":
        return fat_contents(volume, folder)
    check_volume("ext", volume)
    out = folder / "dump"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    run("debugfs", "-R", "rdump / %s" % out, volume)
    found = contents(out)
    assert len(found) > 100
    return found


@pytest.fixture
def machine(built: WholeDisk, memory_path: Path) -> Machine:
    return Machine(built, memory_path)


def copy_of(machine: Machine, name: str, size_bytes: int = 0) -> Path:
    copy = Path(shutil.copyfile(machine.disk, machine.folder / name))
    if size_bytes:
        with open(copy, "r+b") as file:
            file.truncate(size_bytes)
        run("sgdisk", "-e", copy)
    return copy


def other_table(machine: Machine, name: str, starts_mib: Dict[str, int], *, keeps_ids: bool = False) -> Path:
    """A larger disk with a table of its own on which the volumes lie elsewhere."""
    disk = empty(machine.folder / name, 1024 * MIB)
    old = json.loads(sfdisk(machine.disk, 512, "--json"))["partitiontable"]["partitions"]
    lines = ["label: gpt"]
    for volume, entry in zip(NUMBERS, old):
        line = "start=%d, size=%d, type=%s" % (starts_mib[volume] * MIB // 512, entry["size"], entry["type"])
        lines.append(line + (", uuid=%s" % entry["uuid"] if keeps_ids else ""))
    sfdisk(disk, 512, "--quiet", script="\n".join(lines) + "\n")
    for volume in NUMBERS:
        put(cut(machine.disk, volume, machine.folder / "moving"), disk, starts_mib[volume] * MIB)
    return disk


# -- the disk ---------------------------------------------------------------------------------------------------------


def test_a_larger_disk(machine: Machine) -> None:
    larger = copy_of(machine, "larger.raw", 700 * MIB)
    machine.adds_next_to_nothing(larger)
    machine.comes_back(larger)
    machine.adds_next_to_nothing(larger)


def test_a_smaller_disk(machine: Machine) -> None:
    larger = copy_of(machine, "larger.raw", 700 * MIB)
    machine.image(larger)
    machine.adds_next_to_nothing(machine.disk)
    machine.comes_back(machine.disk)


def test_new_guids_of_table_and_partitions(machine: Machine) -> None:
    run("sgdisk", "-G", machine.disk)
    machine.adds_next_to_nothing(machine.disk)
    machine.comes_back(machine.disk)


def test_a_larger_disk_with_new_guids_after_the_first_was_imaged_for_days(machine: Machine) -> None:
    for dummy in range(3):
        machine.image(machine.disk)
    larger = copy_of(machine, "larger.raw", 900 * MIB)
    run("sgdisk", "-G", larger)
    machine.adds_next_to_nothing(larger)
    machine.comes_back(larger)


def test_a_clone_beside_its_original_and_disks_that_change_their_order(machine: Machine) -> None:
    clone = copy_of(machine, "clone.raw")
    run("sgdisk", "-G", clone)
    machine.adds_next_to_nothing(machine.disk, clone)
    machine.adds_next_to_nothing(clone, machine.disk)
    machine.adds_next_to_nothing(clone)
    machine.comes_back(clone)


def test_without_a_password(built: WholeDisk, memory_path: Path) -> None:
    machine = Machine.__new__(Machine)
    machine.folder, machine.storage, machine.disk = memory_path, memory_path / "storage", memory_path / "disk.raw"
    shutil.copyfile(built.path, machine.disk)
    machine.first = machine.image(machine.disk, secrets={})
    larger = copy_of(machine, "larger.raw", 700 * MIB)
    run("sgdisk", "-G", larger)
    added = machine.image(larger, secrets={})
    assert added <= NEXT_TO_NOTHING * machine.first


# -- its volumes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps_ids", [False, True])
def test_volumes_that_moved(machine: Machine, keeps_ids: bool) -> None:
    """To places that are no whole segments away, in another order, on a disk with another table."""
    moved = other_table(machine, "moved.raw", {"efi": 200, "root": 333, "data": 17}, keeps_ids=keeps_ids)
    machine.adds_next_to_nothing(moved)
    machine.comes_back(moved)


def test_a_volume_that_moved_by_whole_segments(machine: Machine) -> None:
    starts = {name: start // MIB for name, (start, dummy) in places(machine.disk).items()}
    moved = other_table(machine, "moved.raw", {name: start + 512 for name, start in starts.items()})
    machine.adds_next_to_nothing(moved)


def test_a_volume_as_a_disk_of_its_own_and_back(machine: Machine) -> None:
    volume = cut(machine.disk, "root", machine.folder / "root.raw")
    machine.adds_next_to_nothing(volume)
    machine.adds_next_to_nothing(machine.disk)
    machine.comes_back(machine.disk)


def test_a_volume_with_a_new_serial_that_moved(machine: Machine) -> None:
    """Nothing names it any more but its size."""
    for number, name in ((1, "root"), (2, "data")):
        volume = cut(machine.disk, name, machine.folder / "renamed")
        run("tune2fs", "-U", "11111111-2222-4333-8444-55555555555%d" % number, volume)
        put(volume, machine.disk, places(machine.disk)[name][0])
    run("sgdisk", "-G", machine.disk)
    moved = other_table(machine, "moved.raw", {"efi": 1, "root": 333, "data": 90})
    added = machine.image(moved)
    assert added <= 4 * NEXT_TO_NOTHING * machine.first, "the serial is in many places of a volume"
    machine.comes_back(moved)


@contextlib.contextmanager
def volume_mounted(machine: Machine, name: str) -> Iterator[Path]:
    start, size = places(machine.disk)[name]
    point = machine.folder / ("at %s" % name)
    with mounted(machine.disk, point, "ext4", read_only=True, offset=start, size=size) as folder:
        yield folder


@pytest.mark.root
def test_all_volumes_then_one_then_another_then_all(machine: Machine) -> None:
    for name in ("data", "root"):
        with volume_mounted(machine, name) as point:
            machine.adds_next_to_nothing(point)
    machine.adds_next_to_nothing(machine.disk)
    machine.comes_back(machine.disk)


@pytest.mark.root
def test_two_images_of_one_volume_each_then_all(built: WholeDisk, memory_path: Path) -> None:
    """The disk is imaged as a whole only when all of its volumes were imaged alone."""
    machine = Machine(built, memory_path)
    shutil.rmtree(machine.storage / "pc")
    for name in ("root", "data"):
        with volume_mounted(machine, name) as point:
            machine.image(point)
    stored = machine.stored_bytes()
    machine.image(machine.disk)
    noise = 24 * MIB
    assert stored > noise
    assert machine.stored_bytes() - stored < machine.first - noise


def test_what_was_left_out_for_a_while(machine: Machine) -> None:
    machine.image(machine.disk, exclude=["/noise.bin"])
    machine.image(machine.disk, exclude=["/noise.bin", "/large.bin"])
    machine.adds_next_to_nothing(machine.disk)
    machine.comes_back(machine.disk)


def test_what_was_left_out_of_a_pack_that_holds_little_else(memory_path: Path) -> None:
    """The image between needs less than a quarter of the pack; for the next one it is needed whole again."""
    tree, volume, storage = memory_path / "tree", empty(memory_path / "volume", 8 * MIB), memory_path / "storage"
    for folder in (tree, storage):
        folder.mkdir()
    chance = random.Random(17)
    (tree / "large.tmp").write_bytes(chance.randbytes(3 * MIB))
    (tree / "small").write_bytes(chance.randbytes(MIB))
    run("mke2fs", "-q", "-t", "ext4", "-d", tree, volume)
    assert image(storage, volume)["bytes_stored"] > 4 * MIB
    for dummy in range(2):
        assert image(storage, volume, exclude=["**/*.tmp"])["bytes_stored"] < MIB // 8
        assert image(storage, volume)["bytes_stored"] < MIB // 8


# -- several images at once -------------------------------------------------------------------------------------------


def rewritten(machine: Machine, name: str) -> None:
    """All of a volume's noise is other noise."""
    volume = cut(machine.disk, name, machine.folder / "writing")
    noise = machine.folder / "noise"
    noise.write_bytes(random.Random(99).randbytes(12 * MIB))
    run("debugfs", "-w", "-R", "rm noise.bin", volume)
    run("debugfs", "-w", "-R", "write %s noise.bin" % noise, volume)
    put(volume, machine.disk, places(machine.disk)[name][0])


def test_half_of_the_disk_from_one_image_and_half_from_another(machine: Machine) -> None:
    before = copy_of(machine, "before.raw")
    rewritten(machine, "root")
    rewritten(machine, "data")
    machine.image(machine.disk)
    put(cut(before, "data", machine.folder / "old"), machine.disk, places(before)["data"][0])
    machine.adds_next_to_nothing(machine.disk)
    machine.comes_back(machine.disk)
    moved = other_table(machine, "moved.raw", {"efi": 300, "root": 500, "data": 9})
    machine.adds_next_to_nothing(moved)
    machine.comes_back(moved)


def test_a_machine_that_an_older_image_was_restored_to(machine: Machine) -> None:
    before = copy_of(machine, "before.raw")
    for dummy in range(2):
        rewritten(machine, "root")
        machine.image(machine.disk)
    rewritten(machine, "data")
    machine.image(machine.disk)
    machine.adds_next_to_nothing(before)
    machine.comes_back(before)


def test_check_mode_estimates_by_what_any_kept_image_holds(machine: Machine) -> None:
    """And says a range where nothing ties the disk to an image."""
    known = image(machine.storage, machine.disk, check=True)
    assert known["bytes_to_send"] == known["bytes_to_send_most"] < machine.first // 10
    machine.image(machine.disk, exclude=["/noise.bin"])
    again = image(machine.storage, machine.disk, check=True)
    assert again["bytes_to_send"] < machine.first // 10, "what was left out once is held by the image before"
    other = empty(machine.folder / "other.raw", 64 * MIB)
    other.write_bytes(random.Random(5).randbytes(64 * MIB))
    unknown = image(machine.storage, other, check=True)
    assert unknown["bytes_to_send"] < unknown["bytes_to_send_most"] == 32 * MIB
