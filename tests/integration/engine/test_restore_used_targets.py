# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an earlier life of a target left must not claim what is restored; what is restored already is not restored again."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

import pytest
from engine.disk import exclusions
from engine.errors import EngineError
from engine.restore.target import Target
from support.filled import MIB, empty, run
from support.imaging import image, restore
from support.refusing import check_sentence
from support.whole_disks import copy_range

START, SIZE = MIB, 80 * MIB
SECTOR = 512
FREE = START + 50 * MIB + 5  # where the volume has nothing


def raid_1_0(size: int) -> Iterator[Tuple[int, bytes]]:
    place = (size - 8192) & ~4095
    block = bytearray(260)
    struct.pack_into("<II", block, 0, 0xA92B4EFC, 1)
    struct.pack_into("<QIIQIIIi", block, 64, 1700000000, 1, 0, place // SECTOR, 0, 2, 0, 0)
    struct.pack_into("<QQQQ", block, 128, 0, place // SECTOR, place // SECTOR, 0)
    struct.pack_into("<QQQII", block, 192, 1700000000, 7, (1 << 64) - 1, 0, 2)
    total = sum(struct.unpack("<%dI" % (len(block) // 4), block))
    struct.pack_into("<I", block, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    yield place, bytes(block)


def raid_0_90(size: int) -> Iterator[Tuple[int, bytes]]:
    yield (size & ~0xFFFF) - 0x10000, struct.pack("<IIIII", 0xA92B4EFC, 0, 90, 0, 0).ljust(4096, b"\0")


def zfs(size: int) -> Iterator[Tuple[int, bytes]]:
    for label in (0, 1, size // 262144 - 2, size // 262144 - 1):
        for number in range(20):
            block = struct.pack("<QQQQQ", 0x00BAB10C, 5000, number, 1, 1700000000).ljust(1024, b"\0")
            yield label * 262144 + 131072 + number * 1024, block


def drbd(size: int) -> Iterator[Tuple[int, bytes]]:
    block = bytearray(4096)
    struct.pack_into(">II", block, 60, 0, 0x83740267)
    yield size - 4096, bytes(block)


def promise(size: int) -> Iterator[Tuple[int, bytes]]:
    yield size - 3087 * SECTOR, b"Promise Technology, Inc.".ljust(512, b"\0")


def vmfs(dummy_size: int) -> Iterator[Tuple[int, bytes]]:
    yield MIB, struct.pack("<I", 0xC001D00D).ljust(512, b"\1")


def reiserfs(dummy_size: int) -> Iterator[Tuple[int, bytes]]:
    block = bytearray(512)
    struct.pack_into("<III", block, 0, 20000, 10000, 100)
    struct.pack_into("<H", block, 44, 4096)
    block[52:61] = b"ReIsEr2Fs"
    yield 65536, bytes(block)


MARKS: Dict[str, Callable[[int], Iterator[Tuple[int, bytes]]]] = {
    "raid-1.0": raid_1_0,
    "raid-0.90": raid_0_90,
    "zfs": zfs,
    "drbd": drbd,
    "promise": promise,
    "vmfs": vmfs,
    "reiserfs": reiserfs,
}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory, need) -> Path:
    """An ext4 volume with nothing in it."""
    need("sgdisk", "mke2fs", "wipefs")
    folder = tmp_path_factory.mktemp("used")
    path = empty(folder / "disk", START + SIZE + 4 * MIB)
    run("sgdisk", "-n", "1:2048:+%dM" % (SIZE // MIB), path)
    volume = empty(folder / "volume", SIZE)
    run("mke2fs", "-q", "-F", "-t", "ext4", volume)
    copy_range(volume, 0, path, START, SIZE)
    return path


@pytest.fixture
def storage(disk: Path, memory_path: Path) -> Path:
    image(memory_path / "storage", disk, secrets={})
    return memory_path / "storage"


def kinds(path: Path, start: int, size: int) -> str:
    """All that libblkid says of a part of a file."""
    command = ["wipefs", "-n", "--noheadings", "-O", "TYPE"]
    part = path.with_suffix(".part")
    with open(path, "rb") as file:
        file.seek(start)
        part.write_bytes(file.read(size))
    done = subprocess.run([*command, str(part)], stdout=subprocess.PIPE, check=True)
    part.unlink()
    return " ".join(sorted(set(done.stdout.decode().split())))


@pytest.mark.parametrize("name", sorted(MARKS))
@pytest.mark.parametrize("where", ["volume", "disk"])
def test_old_marks_claim_nothing(where: str, name: str, disk: Path, storage: Path, memory_path: Path) -> None:
    target = memory_path / "target"
    shutil.copyfile(str(disk), str(target))
    start, size = (START, SIZE) if where == "volume" else (0, disk.stat().st_size)
    with open(target, "r+b") as file:
        file.truncate(START)
        file.truncate(disk.stat().st_size)
        for place, block in MARKS[name](size):
            file.seek(start + place)
            file.write(block)
    assert kinds(target, start, size) or name in ("drbd", "reiserfs"), "libblkid wants more of these two"
    restore(storage, target, secrets={}, overwrite=True)
    after = target.read_bytes()
    for place, block in MARKS[name](size):
        assert after[start + place : start + place + len(block)] != block
    assert kinds(target, START, SIZE) == "ext4"
    assert "gpt" in kinds(target, 0, disk.stat().st_size)
    assert set(kinds(target, 0, disk.stat().st_size).split()) <= {"gpt", "PMBR"}


def test_the_targets_own_hibernation_does_not_wake_on_the_restored_volume(
    tmp_path: Path, need, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images of earlier versions have nothing of hiberfil.sys: the restore clears its head."""
    need("mkntfs", "ntfscp", "ntfscat")
    disk, target = empty(tmp_path / "disk", 64 * MIB), tmp_path / "target"
    run("mkntfs", "-F", "-Q", "-q", disk)
    for name, content in (("hiberfil.sys", b"WAKE" + bytes(range(256)) * 30_000), ("swapfile.sys", b"OLDS" * 30_000)):
        (tmp_path / name).write_bytes(content)
        run("ntfscp", "-q", disk, tmp_path / name, name)
    shutil.copyfile(str(disk), str(target))
    data = bytearray(target.read_bytes())
    for old, new in ((b"WAKE", b"HIBR"), (b"OLDSOLDS", b"NEWSNEWS")):
        at = data.index(old)
        data[at : at + len(new)] = new
    data[40 * MIB : 40 * MIB + 10] = b"more of it"
    target.write_bytes(data)
    for head_bytes, expected in ((0, b"\0\0\0\0"), (4096, b"WAKE")):
        monkeypatch.setattr(exclusions, "_HEAD_BYTES", head_bytes)
        storage, used = tmp_path / ("storage-%d" % head_bytes), tmp_path / "used"
        made = image(storage, disk, secrets={})
        assert {one["pattern"] for one in made["left_out"]} == {"\\hiberfil.sys", "\\swapfile.sys"}
        monkeypatch.undo()
        shutil.copyfile(str(target), str(used))
        restore(storage, used, secrets={}, overwrite=True)
        got = subprocess.run(["ntfscat", "-f", str(used), "hiberfil.sys"], stdout=subprocess.PIPE, check=True).stdout
        assert got[:4] == expected
        swapped = subprocess.run(
            ["ntfscat", "-f", str(used), "swapfile.sys"], stdout=subprocess.PIPE, check=True
        ).stdout
        assert swapped[:4] == (b"OLDS" if head_bytes else b"\0\0\0\0")


# -- the same command again -------------------------------------------------------------------------------------------


def test_a_restore_that_has_ended_is_told_as_ended(storage: Path, memory_path: Path) -> None:
    target = memory_path / "target"
    first = restore(storage, target, secrets={})
    assert (first["changed"], first["already_restored"], first["warnings"]) == (True, False, [])
    state = target.stat()
    for overwrite in (False, True):
        for check in (True, False):
            again = restore(storage, target, secrets={}, overwrite=overwrite, check=check)
            assert (again["changed"], again["already_restored"]) == (False, True)
            assert len(again["plan"]) == 1
            assert any(str(target) in text for text in again["warnings"])
            assert [(one["written_bytes"], one["kept_bytes"] > 0) for one in again["disks"]] == (
                [] if check else [(0, True)]
            )
    assert target.stat().st_mtime_ns == state.st_mtime_ns


@pytest.mark.parametrize("place", [0, 600, START + 1080, FREE, START + SIZE - 20, -1])
def test_a_target_that_was_changed_since_holds_data(place: int, disk: Path, storage: Path, memory_path: Path) -> None:
    """Where the image has something, and where it has nothing but a restore would clear."""
    target = memory_path / "target"
    target.write_bytes(b"\1" * disk.stat().st_size)
    restore(storage, target, secrets={}, overwrite=True)
    data = bytearray(target.read_bytes())
    data[place] ^= 1
    target.write_bytes(data)
    is_held = place != FREE
    if is_held:
        refused("R102", storage, target)
    again = restore(storage, target, secrets={}, overwrite=True)
    assert again["already_restored"] is not is_held
    restored = target.read_bytes()
    data[place] ^= 1 if is_held else 0
    assert restored == data


def refused(code: str, storage: Path, target: Path, **settings: Any) -> EngineError:
    before = target.read_bytes() if target.is_file() else b""
    with pytest.raises(EngineError) as caught:
        restore(storage, target, secrets={}, **settings)
    assert caught.value.code == code, caught.value
    check_sentence(caught.value)
    assert (target.read_bytes() if target.is_file() else b"") == before
    return caught.value


def test_a_target_in_the_storage_is_refused(storage: Path) -> None:
    for target in (storage / "new.raw", next(storage.glob("pc/*/image.json"))):
        refused("R113", storage, target, overwrite=True)
        refused("R113", storage, target, overwrite=True, check=True)


def test_a_partition_is_no_target_for_a_disk(
    storage: Path, memory_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Path
) -> None:
    """A file stands for the partition: not every kernel makes partitions of loop devices."""
    target = empty(memory_path / "target", disk.stat().st_size)
    monkeypatch.setattr(Target, "parent", "/dev/sdb", raising=False)
    monkeypatch.setattr(Target, "__setattr__", keeps_its_parent)
    for check in (False, True):
        error = refused("R112", storage, target, overwrite=True, check=check)
        assert error.fields["parent"] == "/dev/sdb"


def keeps_its_parent(target: Target, name: str, value: object) -> None:
    if name != "parent":
        object.__setattr__(target, name, value)
