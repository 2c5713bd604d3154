# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is whole of a damaged image comes back for an explicit yes, and what is not is named: place, size, files."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from engine.errors import EngineError
from engine.image.format import constants as fmt
from engine.image.reader import ImageReader
from engine.storage.local.storage import DirectoryStorage
from support import exfat_volumes
from support.filled import MIB, empty, mounted, run
from support.imaging import PASSWORD, image, restore
from support.refusing import check_sentence
from support.restoring import flip_byte
from support.small_runs import CHUNK
from support.whole_disks import copy_range

START = MIB


@pytest.fixture(params=["ext4", "fat32", "exfat", "ntfs", "xfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path, need) -> Path:
    """One partition with three files of noise."""
    kind = request.param
    need("sgdisk", "mke2fs", "mkfs.fat", "mcopy", "mkntfs", "ntfscp", "mkfs.xfs", "mkfs.exfat", "mount.exfat-fuse")
    size = 320 * MIB if kind == "xfs" else 64 * MIB
    volume = empty(tmp_path / "volume", size)
    tree = tmp_path / "tree"
    (tree / "plant").mkdir(parents=True)
    for number in range(3):
        (tree / "plant" / ("recipe %d.bin" % number)).write_bytes(random.Random(number).randbytes(700_000))
    files = sorted((tree / "plant").iterdir())
    if kind == "ext4":
        run("mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, volume)
    elif kind == "fat32":
        run("mkfs.fat", "-F", "32", "-s", "1", volume)
        run("mcopy", "-s", "-i", volume, tree / "plant", "::/")
    elif kind == "ntfs":
        run("mkntfs", "-F", "-Q", "-q", volume)
        for file in files:
            run("ntfscp", "-q", volume, file, file.name)
    else:
        run("mkfs.%s" % kind, volume)
        is_exfat = kind == "exfat"
        mounting = (
            exfat_volumes.mounted(volume, tmp_path / "mnt") if is_exfat else mounted(volume, tmp_path / "mnt", kind)
        )
        with mounting as folder:
            shutil.copytree(str(tree / "plant"), str(folder / "plant"))
    path = empty(tmp_path / "disk", size + 4 * MIB)
    run("sgdisk", "-n", "1:2048:+%dM" % (size // MIB), path)
    copy_range(volume, 0, path, START, size)
    return path


def place_of(storage: Path, name: str, disk_offset: int) -> Tuple[Path, int, int]:
    """The pack that holds the chunk at a place of the disk, and where in it."""
    reader = ImageReader(DirectoryStorage(str(storage)), "pc", name, PASSWORD).disk(0)
    number, inside = divmod(disk_offset, fmt.SEGMENT_BYTES)
    place = reader.segment(number).place_at(inside // CHUNK)
    return storage / fmt.pack_path("pc", place.pack), place.offset, place.stored_bytes


def refused(code: str, storage: Path, target: Path, **settings: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        restore(storage, target, **settings)
    assert caught.value.code == code, caught.value
    check_sentence(caught.value)
    assert not target.exists()
    return caught.value


@pytest.mark.root
def test_one_rotten_chunk_costs_one_file(disk: Path, tmp_path: Path) -> None:
    storage, target = tmp_path / "storage", tmp_path / "restored"
    made = image(storage, disk)
    content = disk.read_bytes()
    wanted = random.Random(1).randbytes(700_000)
    at = content.index(wanted[200_000:200_512])  # a piece of recipe 1
    hit = at // CHUNK * CHUNK
    pack, offset, stored = place_of(storage, made["image"], hit)
    flip_byte(pack, offset + stored // 2)
    refused("I101", storage, target)
    foretold = restore(storage, target, damaged=True, check=True)
    assert not target.exists()
    done = restore(storage, target, damaged=True)
    assert foretold["damaged"] == done["damaged"]
    (one,) = done["damaged"]
    assert (one["disk"], one["offset"], one["length"]) == ("disk0", hit, CHUNK)
    assert [name for name in one["files"] if name.endswith("/recipe 1.bin")], one
    assert one["files_count"] == len(one["files"])
    assert all(name.startswith("disk0p1:/") for name in one["files"])
    assert any("INCOMPLETE" in text and "recipe 1.bin" in text for text in done["warnings"])
    after = target.read_bytes()
    assert after[hit : hit + CHUNK] == bytes(CHUNK)
    whole = tmp_path / "whole"
    flip_byte(pack, offset + stored // 2)
    told = restore(storage, whole)
    assert (told["damaged"], told["warnings"]) == ([], [])
    expected = whole.read_bytes()
    assert after == expected[:hit] + bytes(CHUNK) + expected[hit + CHUNK :]


def plain_disk(path: Path, chunks: int) -> List[bytes]:
    chance = random.Random(5)
    data = [chance.randbytes(CHUNK) for dummy in range(chunks)]
    path.write_bytes(b"".join(data))
    return data


def test_a_lost_pack_and_a_lost_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from support.small_runs import make_small

    make_small(monkeypatch)
    storage, disk, target = tmp_path / "storage", tmp_path / "disk", tmp_path / "target"
    data = plain_disk(disk, 40)
    made = image(storage, disk)
    reader = ImageReader(DirectoryStorage(str(storage)), "pc", made["image"], PASSWORD).disk(0)
    reference = reader.root.segments[3]
    assert reference.place is not None
    pack = storage / fmt.pack_path("pc", reference.place.pack)
    flip_byte(pack, reference.place.offset + 5)
    gone, dummy, dummy_stored = place_of(storage, made["image"], 0)
    gone.unlink()
    refused("I101", storage, target)
    done = restore(storage, target, damaged=True)
    lost = {
        number
        for one in done["damaged"]
        for number in range(one["offset"] // CHUNK, (one["offset"] + one["length"]) // CHUNK)
    }
    assert {0, *range(24, 32)} <= lost < set(range(40))
    after = target.read_bytes()
    for number, chunk in enumerate(data):
        assert after[number * CHUNK : (number + 1) * CHUNK] == (bytes(CHUNK) if number in lost else chunk), number
    assert any("index is lost" in one["reason"] for one in done["damaged"])
    again = restore(storage, target, damaged=True)
    assert again["already_restored"] is True
    assert again["damaged"] == done["damaged"]


@pytest.mark.parametrize("name", ["image.json", "disk0.index", "device.json", "SHA256SUMS", "job.log"])
def test_small_files_of_a_damaged_image(name: str, tmp_path: Path) -> None:
    storage, disk, target = tmp_path / "storage", tmp_path / "disk", tmp_path / "target"
    plain_disk(disk, 40)
    made = image(storage, disk)
    path = storage / "pc" / made["image"] / name
    flip_byte(path, path.stat().st_size // 2)
    done = restore(storage, target, damaged=True)
    assert done["damaged"] == []
    assert any("is damaged" in text and name in text for text in done["warnings"])
    assert target.read_bytes() == disk.read_bytes()


def test_an_index_without_a_whole_copy_is_not_restored(tmp_path: Path) -> None:
    """One whose copy in copies.tar is whole is read from there; without that nothing says which chunk belongs where."""
    storage, disk, target = tmp_path / "storage", tmp_path / "disk", tmp_path / "target"
    plain_disk(disk, 40)
    folder = storage / "pc" / image(storage, disk)["image"]
    index = folder / "disk0.index"
    content = index.read_bytes()
    flip_byte(index, len(content) // 2)
    tar = bytearray((folder / "copies.tar").read_bytes())
    tar[tar.index(content) + len(content) // 2] ^= 1
    (folder / "copies.tar").write_bytes(tar)
    refused("R114", storage, target, damaged=True)
    refused("R114", storage, target, damaged=True, check=True)


def test_what_is_not_a_yes(tmp_path: Path) -> None:
    storage, disk, target = tmp_path / "storage", tmp_path / "disk", tmp_path / "target"
    plain_disk(disk, 2)
    image(storage, disk)
    wrong: List[Dict[str, Any]] = [
        {"damaged": "yes"},
        {"damaged": 1},
        {"overwrite": "no"},
        {"overwrite": 1},
        {"replace_table": "3"},
        {"replace_table": [None]},
    ]
    for settings in wrong:
        refused("J100", storage, target, **settings)
