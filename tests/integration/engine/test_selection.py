# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""imaging_drives in whole runs: one volume of a disk and its restore, names that moved, what is refused."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from engine.errors import EngineError
from support.filled import MIB, check_volume, contents, fat_contents, mounted, run
from support.imaging import image, restore, run_verb, verify
from support.refusing import check_sentence
from support.whole_disks import Part, WholeDisk, build_disk

PARTS = (
    Part("efi", "fat", 48, ("-F", "32", "-s", "1")),
    Part("root", "ext", 64, ("-t", "ext4")),
    Part("recipes", "ext", 64, ("-t", "ext4")),
    Part("raw", "raw", 3),
)


@pytest.fixture
def disk(tmp_path: Path, need) -> WholeDisk:
    need("sfdisk", "sgdisk", "mke2fs", "mkfs.fat", "mcopy", "losetup")
    return build_disk(tmp_path, "gpt", PARTS, files=200)


@contextlib.contextmanager
def volume_mounted(disk: WholeDisk, name: str, folder: Path, read_only: bool) -> Iterator[Path]:
    """Mount one volume of a disk where it lies, as the kernel would from the disk's partition."""
    (placed,) = [one for one in disk.parts if one.part.name == name]
    size = {"offset": placed.start_bytes, "size": placed.size_bytes}
    with mounted(disk.path, folder / ("at %s" % name), "ext4", read_only=read_only, **size) as point:
        yield point


def in_part(disk: WholeDisk, path: Path, name: str) -> bytes:
    (placed,) = [one for one in disk.parts if one.part.name == name]
    with open(path, "rb") as file:
        file.seek(placed.start_bytes)
        return file.read(placed.size_bytes)


def table(path: Path) -> dict:
    answer: dict = json.loads(run("sfdisk", "--json", path).replace(str(path), "DISK"))
    return answer


def folder_in(path: Path) -> Path:
    path.mkdir()
    return path


def files_in(volume: Path, work: Path) -> Dict[str, str]:
    with mounted(volume, work / ("look-%s" % volume.name), "ext4", read_only=True) as folder:
        return contents(folder)


@pytest.mark.root
def test_one_mounted_volume_of_a_disk_and_its_restore(disk: WholeDisk, tmp_path: Path) -> None:
    storage = folder_in(tmp_path / "storage")
    efi, root, recipes = disk.parts[:3]
    files = files_in(disk.volume(recipes, disk.path, tmp_path), tmp_path)
    assert len(files) > 100
    with volume_mounted(disk, "recipes", tmp_path, read_only=True) as point:
        made = image(storage, point)
    assert [(one["number"], one["selected"]) for one in made["disks"][0]["volumes"]] == [
        (1, True),
        (2, False),
        (3, True),
        (4, False),
    ]
    assert [one["partition"] for one in made["not_chosen"]] == [2, 4]
    assert [one["size_bytes"] for one in made["not_chosen"]] == [root.size_bytes, disk.parts[3].size_bytes]
    assert made["bytes_in_use"] < (efi.size_bytes + recipes.size_bytes) * 0.8
    assert verify(storage)["ok"]

    restored = tmp_path / "restored.raw"
    plan = restore(storage, restored, check=True)["plan"]
    assert "partition 2, 4 is left unchanged" in plan[0]
    restore(storage, restored)
    assert table(restored) == table(disk.path)
    assert "No problems found" in run("sgdisk", "-v", restored)
    again = disk.volume(recipes, restored, tmp_path)
    check_volume("ext", again)
    assert files_in(again, tmp_path) == files
    before, after = disk.volume(efi, disk.path, tmp_path), disk.volume(efi, restored, tmp_path)
    assert fat_contents(after, tmp_path) == fat_contents(before, tmp_path)
    assert not any(in_part(disk, restored, "root"))
    assert not any(in_part(disk, restored, "raw"))


@pytest.mark.root
def test_a_restore_of_one_volume_leaves_the_others_of_the_disk(disk: WholeDisk, tmp_path: Path) -> None:
    storage = folder_in(tmp_path / "storage")
    recipes = disk.parts[2]
    with volume_mounted(disk, "recipes", tmp_path, read_only=True) as point:
        image(storage, point)
    files = files_in(disk.volume(recipes, disk.path, tmp_path), tmp_path)
    root, raw = in_part(disk, disk.path, "root"), in_part(disk, disk.path, "raw")
    with open(disk.path, "r+b") as file:
        file.seek(recipes.start_bytes)
        file.write(random.Random(1).randbytes(8 * MIB))
    restore(storage, disk.path, overwrite=True)
    assert in_part(disk, disk.path, "root") == root
    assert in_part(disk, disk.path, "raw") == raw
    repaired = disk.volume(recipes, disk.path, tmp_path)
    check_volume("ext", repaired)
    assert files_in(repaired, tmp_path) == files


@pytest.mark.root
def test_two_volumes_and_then_all_of_the_disk(disk: WholeDisk, tmp_path: Path) -> None:
    """The second image goes on where the first one stopped: it is the same disk, whatever was chosen of it."""
    storage = folder_in(tmp_path / "storage")
    with volume_mounted(disk, "root", tmp_path, read_only=True) as one:
        with volume_mounted(disk, "recipes", tmp_path, read_only=True) as other:
            first = image(storage, one, other)
    assert len(first["disks"]) == 1
    assert [one["partition"] for one in first["not_chosen"]] == [4]
    second = image(storage, disk.path)
    assert second["not_chosen"] == []
    assert second["bytes_reused"] >= first["bytes_in_use"] * 0.98
    third = image(storage, disk.path)
    assert third["bytes_stored"] < 10_000
    assert restore(storage, tmp_path / "restored.raw")["plan"][0].endswith("restored.raw")
    assert in_part(disk, tmp_path / "restored.raw", "raw") == in_part(disk, disk.path, "raw")


@pytest.mark.root
def test_a_volume_in_use_that_was_not_chosen_does_not_matter(disk: WholeDisk, tmp_path: Path) -> None:
    storage = folder_in(tmp_path / "storage")
    with volume_mounted(disk, "root", tmp_path, read_only=False):
        with volume_mounted(disk, "recipes", tmp_path, read_only=True) as point:
            made = image(storage, point, snapshot="required")
            refused(storage, "N100", disk.path, snapshot="required")
    assert [one["partition"] for one in made["not_chosen"]] == [2, 4]
    with volume_mounted(disk, "recipes", tmp_path, read_only=False) as point:
        error = refused(storage, "N100", point, snapshot="required")
        assert str(point) in str(error)


def refused(storage: Path, code: str, *drives: object, **settings: object) -> EngineError:
    before = sorted(storage.glob("*/2*"))
    with pytest.raises(EngineError) as caught:
        run_verb(storage, "image", drives=[str(drive) for drive in drives], **settings)
    assert caught.value.code == code, caught.value
    check_sentence(caught.value)
    assert sorted(storage.glob("*/2*")) == before
    return caught.value


def test_names_that_moved_are_told_and_the_index_follows_the_disk(tmp_path: Path, need) -> None:
    need("sfdisk")
    storage = folder_in(tmp_path / "storage")
    one, other = tmp_path / "one.raw", tmp_path / "other.raw"
    for number, path in enumerate((one, other)):
        path.write_bytes(random.Random(number).randbytes(24 * MIB))
        run("sfdisk", "--quiet", "--wipe", "always", path, input=b"label: gpt\nstart=2048, size=40960\n")
    ids = [table(path)["partitiontable"]["id"].lower() for path in (one, other)]
    first = image(storage, one, other)
    assert [disk["stable_id"] for disk in first["disks"]] == ["gpt:" + name for name in ids]
    assert image(storage, one, other)["warnings"] == first["warnings"]
    spare = tmp_path / "spare"
    shutil.move(str(one), str(spare))
    shutil.move(str(other), str(one))
    shutil.move(str(spare), str(other))
    swapped = image(storage, one, other)
    moved = [text for text in swapped["warnings"] if "in the previous image and is" in text]
    assert len(moved) == 2
    assert moved[0].startswith("%s was gpt:%s in the previous image" % (one, ids[0]))
    assert "is gpt:%s now" % ids[1] in moved[0]
    assert swapped["bytes_stored"] < 10_000, "each disk is compared with its own earlier image"
    assert any(change["path"].startswith("drives/") for change in swapped["device_changes"])
    for compare in ("none", "previous"):
        again = image(storage, one, other, compare=compare)
        assert not [text for text in again["warnings"] if "when the previous image was made" in text]


@pytest.mark.parametrize("drives", ["", [], ["/x", 7], [""], {"all": 1}, None, 5], ids=json.dumps)
def test_drives_that_are_none(drives: object, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        run_verb(folder_in(tmp_path / "storage"), "image", drives=drives)
    assert caught.value.code == "J100"
    assert "imaging_drives" in str(caught.value)


def test_entries_that_name_nothing_here(tmp_path: Path) -> None:
    storage = folder_in(tmp_path / "storage")
    cases: List[tuple] = [
        ("D100", tmp_path / "absent.img"),
        ("D100", "/dev/plantops-no-such-disk"),
        ("D104", "serial:no-such-serial-number"),
        ("D104", "gpt:00000000-0000-0000-0000-000000000000"),
        ("D104", "relative/disk.img"),
        ("D104", tmp_path),
        ("D104", "/proc"),
        ("D104", "/dev/null"),
    ]
    for code, drive in cases:
        assert str(drive) in str(refused(storage, code, drive))


def test_the_running_system_is_refused_or_absent_never_read_live_by_default(tmp_path: Path) -> None:
    """N100: / is mounted and has no snapshot; D103: not ours to read; D106: it lies on no disk, as in a container."""
    with pytest.raises(EngineError) as caught:
        run_verb(folder_in(tmp_path / "storage"), "image", drives="system", snapshot="required", check=True)
    assert caught.value.code in ("N100", "D103", "D106")
