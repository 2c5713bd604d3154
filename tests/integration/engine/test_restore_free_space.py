# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Free space of a target is left, discarded or zeroed: what was there before is searched for in every byte, blocks are counted by the system."""

from __future__ import annotations

import errno
import os
import random
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from engine.disk.extents import ExtentSet
from engine.image.reader import ImageReader
from engine.restore import free_space
from engine.restore.resize.wishes import Wishes
from engine.restore.restore import plan, restore
from engine.restore.target import Target
from engine.storage.local.storage import DirectoryStorage
from support.filled import MIB, run
from support.killing import Moments, kill_in_child
from support.random_tables import TableDisk, gpt_disk, image_of, mbr_disk
from support.resizing import Scene, check_target, files_in, make_scene, table_of
from support.restoring import MARK, refused
from support.small_runs import DEVICE, make_small
from support.whole_disks import Part, WholeDisk

pytestmark = pytest.mark.root
OLD = b"a recipe of the last owner of this disk\n"
PARTS = (Part("root", "ext", 48, ("-t", "ext4")), Part("data", "ntfs", 24, ("-c", "4096")))


def without_gaps(disk: WholeDisk, folder: Path) -> None:  # noqa: ARG001
    """Zero what the builder puts between partitions."""
    with open(disk.path, "r+b") as file:
        for one in disk.parts:
            file.seek(one.start_bytes + one.size_bytes)
            file.write(bytes(MIB))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]) -> Scene:
    need("sgdisk", "sfdisk", "ntfs-3g", "e2fsck", "losetup")
    return make_scene(tmp_path_factory.mktemp("scene"), "gpt", PARTS, files=30, prepare=without_gaps)


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]) -> Scene:
    """A disk with bytes between its partitions, as a licence of the nineties leaves them."""
    need("sgdisk", "sfdisk", "ntfs-3g", "e2fsck")
    return make_scene(tmp_path_factory.mktemp("gaps"), "gpt", PARTS, files=30)


def used_target(path: Path, size: int) -> Path:
    """A target full of its former content."""
    with open(path, "wb") as file:
        block = (OLD * (MIB // len(OLD) + 1))[:MIB]
        for dummy in range(-(-size // MIB)):
            file.write(block)
        file.truncate(size)
    return path


def places_of_old(path: Path) -> List[int]:
    """Where the former content is still."""
    data = path.read_bytes()
    found, place = [], data.find(OLD[:16])
    while place >= 0:
        found.append(place)
        place = data.find(OLD[:16], place + 1)
    return found


def allocated(path: Path) -> int:
    os.sync()
    return path.stat().st_blocks * 512


@pytest.fixture
def loop() -> Iterator[Callable[[Path], Path]]:
    attached: List[str] = []

    def attach(path: Path) -> Path:
        attached.append(run("losetup", "-f", "--show", path).strip())
        return Path(attached[-1])

    yield attach
    for one in attached:
        run("losetup", "-d", one)


@pytest.mark.parametrize("is_device", [False, True], ids=["file", "device"])
@pytest.mark.parametrize("more_mib", [0, 16])
def test_zeroed_nothing_of_the_former_content_stays(
    is_device: bool, more_mib: int, scene: Scene, tmp_path: Path, loop: Callable[[Path], Path]
) -> None:
    path = used_target(tmp_path / "target", scene.size + more_mib * MIB)
    target = loop(path) if is_device else path
    planned = scene.restore(target, overwrite=True, free_space="zero", check=True)
    assert len(places_of_old(path)) > 1000  # check mode writes nothing
    done = scene.restore(target, overwrite=True, free_space="zero")
    told = done["restore_plan"]["disks"][0]["free_space"]
    assert told == planned["restore_plan"]["disks"][0]["free_space"]
    assert told["action"] == "zero"
    assert told["bytes"] > 20 * MIB
    assert told["left_bytes"] == 0
    os.sync()
    assert places_of_old(path) == []
    check_target(scene, path)
    again = scene.restore(target, free_space="zero")
    assert again["already_restored"]


@pytest.mark.parametrize("is_device", [False, True], ids=["file", "device"])
def test_discarded_the_free_blocks_go_back_to_the_system(
    is_device: bool, scene: Scene, tmp_path: Path, loop: Callable[[Path], Path]
) -> None:
    path = used_target(tmp_path / "target", scene.size)
    before = allocated(path)
    target = loop(path) if is_device else path
    done = scene.restore(target, overwrite=True, free_space="discard")
    told = done["restore_plan"]["disks"][0]["free_space"]
    assert before - allocated(path) > 0.9 * told["bytes"] > 20 * MIB
    check_target(scene, path)


def test_what_has_to_be_zeros_is_written_and_not_discarded(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discarded bytes may read as zeros once and come back: a mark of a RAID would claim the disk at the next start."""
    path = used_target(tmp_path / "target", scene.size)
    discarded: List[Tuple[int, int]] = []
    read = Target.read

    def reading(self: Target, offset_bytes: int, length_bytes: int) -> bytes:
        data = bytearray(read(self, offset_bytes, length_bytes))
        for one in ExtentSet(discarded).clipped(offset_bytes, offset_bytes + length_bytes):
            data[one.start_bytes - offset_bytes : one.end_bytes - offset_bytes] = bytes(one.length_bytes)
        return bytes(data)

    monkeypatch.setattr(free_space, "discard", lambda *arguments: discarded.append(arguments[2:]))
    monkeypatch.setattr(Target, "read", reading)
    scene.restore(path, overwrite=True, free_space="discard")
    ends = [(part.start_bytes, part.size_bytes) for part in scene.disk.parts] + [(0, scene.size)]
    marks = ExtentSet(
        place for start, size in ends for place in ((start, MIB), (start + size - MIB, MIB), (start + MIB, 4096))
    )
    old = ExtentSet((place, 16) for place in places_of_old(path))
    assert ExtentSet(discarded).total_bytes > 20 * MIB
    assert list(old.intersection(marks)) == []


def test_kept_the_former_content_stays_where_the_image_has_nothing(scene: Scene, tmp_path: Path) -> None:
    path = used_target(tmp_path / "target", scene.size)
    done = scene.restore(path, overwrite=True)
    assert done["restore_plan"]["disks"][0]["free_space"] is None
    assert len(places_of_old(path)) > 1000


@pytest.mark.parametrize("action", ["zero", "discard"])
def test_a_gap_in_which_the_image_holds_bytes_stays_and_the_plan_says_so(
    action: str, gaps: Scene, tmp_path: Path
) -> None:
    path = used_target(tmp_path / "target", gaps.size)
    done = gaps.restore(path, overwrite=True, free_space=action)
    told = done["restore_plan"]["disks"][0]["free_space"]
    ends = [one.start_bytes + one.size_bytes for one in gaps.disk.parts]
    held = ExtentSet([(ends[0], gaps.disk.parts[1].start_bytes - ends[0]), (ends[1], gaps.size - ends[1])])
    assert told["left_bytes"] == held.total_bytes
    found = places_of_old(path)
    assert found
    assert all(any(True for dummy in held.clipped(place, place + 1)) for place in found)
    check_target(gaps, path)


@pytest.mark.parametrize("settings", [{"grow": "1"}, {"shrink": True}], ids=["larger", "smaller"])
def test_a_resized_disk_is_whole_and_has_nothing_else(settings: Dict[str, Any], scene: Scene, tmp_path: Path) -> None:
    path = used_target(tmp_path / "target", scene.size + (24 if "grow" in settings else -12) * MIB)
    scene.restore(path, overwrite=True, free_space="zero", scratch=str(tmp_path), **settings)
    assert places_of_old(path) == []
    check_target(scene, path)


@pytest.mark.parametrize("action", ["zero", pytest.param("discard", marks=pytest.mark.long)])
def test_killed_at_any_moment_the_same_command_completes_it(
    action: str, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_space, "_STEP_BYTES", 4 * MIB)
    wishes = {"overwrite": True, "free_space": action, "grow": "1"}
    free_range, write = free_space._free_range, Target.write_pieces

    def restore_until(moments: Moments, target: Path) -> None:
        def freed(*arguments: Any) -> None:
            free_range(*arguments)
            moments.step()

        def written(self: Target, *arguments: Any) -> None:
            write(self, *arguments)
            moments.step()

        with monkeypatch.context() as patched:
            patched.setattr(free_space, "_free_range", freed)
            patched.setattr(Target, "write_pieces", written)
            scene.restore(target, **wishes)

    size = scene.size + 24 * MIB
    count = kill_in_child(lambda moments: restore_until(moments, used_target(tmp_path / "counted", size)), None)
    assert count is not None
    for moment in (3, count // 3, 3 * count // 4):
        target = used_target(tmp_path / "target", size)
        assert kill_in_child(lambda moments, target=target: restore_until(moments, target), moment) is None
        with open(target, "rb") as file:
            assert file.read(len(MARK)) == MARK
        scene.restore(target, **wishes)
        check_target(scene, target)
        if action == "zero":
            assert places_of_old(target) == []


def put_into_a_gap(disk: TableDisk) -> ExtentSet:
    """Put bytes between two partitions of a GPT, where there is room; return the whole gap."""
    layout = disk.layout()
    if layout.scheme != "gpt":
        return ExtentSet()
    ranges = ExtentSet((one.start_bytes, one.length_bytes) for one in layout.partitions)
    gaps = ExtentSet(list(ranges.complement(len(disk.data)))[1:-1])
    first = next(iter(gaps), None)
    if first is None:
        return ExtentSet()
    disk.data[first.start_bytes : first.start_bytes + 8] = b"licence!"
    return ExtentSet([(first.start_bytes, first.length_bytes)])


def test_with_any_table_only_gaps_of_which_the_image_holds_bytes_keep_theirs(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(monkeypatch)
    storage = DirectoryStorage(str(memory_path / "storage"))
    left = 0
    for seed in range(16):
        chance = random.Random(seed)
        disk = chance.choice([mbr_disk, gpt_disk])(chance, chance.choice([512, 4096]), 3 * MIB)
        chosen = [number for number, dummy in disk.spans]
        wanted = put_into_a_gap(disk) if seed % 2 else ExtentSet()
        device = "%s-%d" % (DEVICE, seed)
        name = image_of(storage, device, disk, None, "2026-11-23_20-00-00")
        target = used_target(memory_path / "target", len(disk.data) + chance.choice([0, 0, MIB]))
        wishes = Wishes(free_space=chance.choice(["zero", "discard"]))
        reader = ImageReader(storage, device, name, None)
        (planned,) = plan(reader, {"disk0": str(target)}, True, wishes=wishes)
        assert planned.free_space is not None
        kept = planned.free_space.left
        assert kept == wanted, seed
        left += bool(kept)
        restore(storage, device, name, {"disk0": str(target)}, overwrite=True, wishes=wishes)
        after = target.read_bytes()
        for number in chosen:
            assert after[disk.range_of(number)] == disk.data[disk.range_of(number)]
        assert all(any(True for dummy in kept.clipped(place, place + 1)) for place in places_of_old(target)), seed
        for one in kept:
            assert after[one.start_bytes : one.start_bytes + 8] == b"licence!"
    assert 0 < left < 16


def test_an_image_of_single_volumes_frees_nothing(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    storage = DirectoryStorage(str(memory_path / "storage"))
    disk = next(
        one for one in (gpt_disk(random.Random(seed), 512, 3 * MIB) for seed in range(50)) if len(one.spans) > 1
    )
    name = image_of(storage, DEVICE, disk, [disk.spans[0][0]], "2026-11-23_20-00-00")
    for content in (bytes(disk.data), OLD * 80_000):  # its table stays, or is another one
        target = memory_path / "target"
        target.write_bytes(content[: len(disk.data)])
        for action in ("zero", "discard"):
            wishes = Wishes(free_space=action)
            work = partial(restore, storage, DEVICE, name, {"disk0": str(target)}, overwrite=True, wishes=wishes)
            refused("R166", work, target)


def test_a_damaged_image_frees_nothing(scene: Scene, tmp_path: Path) -> None:
    path = used_target(tmp_path / "target", scene.size)
    refused("R166", lambda: scene.restore(path, overwrite=True, damaged=True, free_space="zero"), path)


@pytest.mark.parametrize("is_device", [False, True], ids=["file", "device"])
def test_what_can_not_discard_says_so_before_the_first_byte(
    is_device: bool, scene: Scene, tmp_path: Path, loop: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = used_target(tmp_path / "target", scene.size)
    target = loop(path) if is_device else path

    def refuse(*dummy: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if is_device:
        monkeypatch.setattr("engine.host.linux_stack.BlockTree.number", lambda tree, name, place: 0)
    else:
        monkeypatch.setattr("engine.host.linux_free_ranges.discard", refuse)
    for check in (True, False):
        refused(
            "R167", lambda check=check: scene.restore(target, overwrite=True, free_space="discard", check=check), path
        )


def test_a_device_that_does_not_know_how_to_zero_gets_zeros_written(
    scene: Scene, tmp_path: Path, loop: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does a disk of Windows, which is lent to no other program."""
    path = used_target(tmp_path / "target", scene.size)
    monkeypatch.setattr(Target, "lend", lambda target, work: None)
    scene.restore(loop(path), overwrite=True, free_space="zero")
    os.sync()
    assert places_of_old(path) == []


def test_a_new_file_has_nothing_to_free(scene: Scene, tmp_path: Path) -> None:
    done = scene.restore(tmp_path / "new", free_space="discard")
    assert done["restore_plan"]["disks"][0]["free_space"]["bytes"] == 0
    for part, entry in zip(PARTS, table_of(tmp_path / "new")):
        found = files_in(tmp_path / "new", part.kind, entry["start"] * 512, entry["size"] * 512, scene.folder)
        assert found == scene.files[part.name]
