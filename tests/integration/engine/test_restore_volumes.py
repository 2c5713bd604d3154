# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores of chosen volumes: not a byte of another partition changes, whatever the table, wherever it is interrupted."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from engine.errors import RestoreWriteFailed
from engine.image.reader import ImageReader
from engine.restore.restore import plan, restore, sentences
from engine.restore.target import MARKER_BYTES, Target
from engine.storage.local.storage import DirectoryStorage
from support.filled import MIB
from support.random_tables import TableDisk, entry, gpt_disk, image_of, mbr_disk, noise
from support.restoring import MARK, refused
from support.small_runs import DEVICE, make_small

SIZE = 3 * MIB


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture
def storage(memory_path: Path) -> DirectoryStorage:
    return DirectoryStorage(str(memory_path / "storage"))


def random_disk(seed: int) -> Tuple[TableDisk, random.Random]:
    chance = random.Random(seed)
    build = chance.choice([mbr_disk, gpt_disk])
    disk = build(chance, chance.choice([512, 4096]), SIZE)
    layout = disk.layout()
    assert layout.scheme in ("mbr", "gpt"), layout.whole_because
    assert sorted(one.number for one in layout.partitions if one.role != "extended") == sorted(
        number for number, dummy in disk.spans
    )
    return disk, chance


def choose(chance: random.Random, disk: TableDisk) -> List[int]:
    numbers = [number for number, dummy in disk.spans]
    return sorted(chance.sample(numbers, chance.randrange(1, len(numbers) + 1)))


def test_no_byte_of_another_partition_changes(storage: DirectoryStorage, memory_path: Path) -> None:
    """Onto the same disk, whose other partitions went on living."""
    partial_ones = shared = 0
    for seed in range(60):
        disk, chance = random_disk(seed)
        chosen = choose(chance, disk)
        others = [number for number, dummy in disk.spans if number not in chosen]
        image = image_of(storage, "%s-%d" % (DEVICE, seed), disk, chosen, "2026-11-23_20-00-00")
        target = memory_path / "target"
        now = bytearray(disk.data)
        for number, dummy in disk.spans:  # every partition has other content since
            place = disk.range_of(number)
            now[place] = noise(chance, place.stop - place.start)
        target.write_bytes(now)
        restore(storage, "%s-%d" % (DEVICE, seed), image, {"disk0": str(target)}, overwrite=True)
        after = target.read_bytes()
        for number in chosen:
            assert after[disk.range_of(number)] == disk.data[disk.range_of(number)], (seed, number)
        for number in others:
            assert after[disk.range_of(number)] == now[disk.range_of(number)], (seed, number)
        expected = bytearray(now)
        for number in chosen:
            expected[disk.range_of(number)] = disk.data[disk.range_of(number)]
        assert after == expected, "nor is anything else written (seed %d)" % seed
        partial_ones += bool(others)
        edges = {disk.range_of(number).start for number in chosen} | {disk.range_of(number).stop for number in chosen}
        shared += bool(others) and any(edge % 65536 for edge in edges)
    assert partial_ones > 30
    assert shared > 30


def test_two_images_of_single_volumes_make_a_new_disk(storage: DirectoryStorage, memory_path: Path) -> None:
    told = 0
    for seed in range(100, 130):
        disk, chance = random_disk(seed)
        device = "%s-%d" % (DEVICE, seed)
        target = memory_path / "target"
        target.write_bytes(bytes(SIZE))
        numbers = [number for number, dummy in disk.spans]
        chance.shuffle(numbers)
        for turn, number in enumerate(numbers):
            image = image_of(storage, device, disk, [number], "2026-11-%02d_20-00-00" % (turn + 1))
            restore(storage, device, image, {"disk0": str(target)}, overwrite=turn > 0)
        assert target.read_bytes() == disk.data, seed
        told += len(numbers) > 1
    assert told > 15


def killed(write_number: int, monkeypatch: pytest.MonkeyPatch) -> List[Tuple[int, int]]:
    """From now on the write with this number fails, and nothing is written after it."""
    writes: List[Tuple[int, int]] = []
    write = Target.write_pieces

    def failing(target: Target, offset_bytes: int, pieces: List[bytes]) -> None:
        writes.append((offset_bytes, sum(map(len, pieces))))
        if len(writes) >= write_number:
            raise RestoreWriteFailed(target=target.path, offset_bytes=0, length_bytes=0, reason="killed")
        write(target, offset_bytes, pieces)

    monkeypatch.setattr(Target, "write_pieces", failing)
    return writes


@pytest.mark.parametrize("seed", [2, 5, 11])
def test_a_volumes_restore_that_is_killed_leaves_the_others_and_goes_on(
    seed: int, storage: DirectoryStorage, memory_path: Path
) -> None:
    disk, chance = random_disk(seed)
    numbers = [number for number, dummy in disk.spans]
    assert len(numbers) > 1
    chosen = numbers[:1]
    image = image_of(storage, DEVICE, disk, chosen, "2026-11-23_20-00-00")
    place = disk.range_of(chosen[0])
    now = bytearray(disk.data)
    now[place] = noise(chance, place.stop - place.start)
    target = memory_path / "target"
    work = partial(restore, storage, DEVICE, image, {"disk0": str(target)})
    moment = 1
    while True:
        target.write_bytes(now)
        with pytest.MonkeyPatch.context() as patch:
            killed(moment, patch)
            try:
                work(overwrite=True)
                break
            except RestoreWriteFailed:
                pass
        half = target.read_bytes()
        assert half[: place.start] + half[place.stop :] == now[: place.start] + now[place.stop :]
        if moment > 1:
            assert half[place][: len(MARK)] == MARK, "its first sector says what it is until all is written"
            words = sentences(plan(ImageReader(storage, DEVICE, image, None), {"disk0": str(target)}, False), image)
            assert "continuing an interrupted" in words[0]
            work()
            assert target.read_bytes() == disk.data
        moment += 1
    assert moment > 3
    assert target.read_bytes() == disk.data


@pytest.mark.parametrize("seed", [3, 8, 21])
def test_before_anything_is_restored_neither_the_old_table_nor_an_old_boot_sector_is_left(
    seed: int, storage: DirectoryStorage, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is killed from then on, nothing takes the target for what it was."""
    disk, dummy = random_disk(seed)
    old, chance = random_disk(seed + 1000)
    image = image_of(storage, DEVICE, disk, [number for number, dummy_span in disk.spans], "2026-11-23_20-00-00")
    target = memory_path / "target"
    target.write_bytes(bytes(old.data) + noise(chance, 2 * MIB))
    write, halves = Target.write_pieces, []

    def watched(one: Target, offset_bytes: int, pieces: List[bytes]) -> None:
        if not halves and any(any(piece) and not piece.startswith(MARK) for piece in pieces):
            halves.append(target.read_bytes())
        write(one, offset_bytes, pieces)

    monkeypatch.setattr(Target, "write_pieces", watched)
    restore(storage, DEVICE, image, {"disk0": str(target)}, overwrite=True)
    (half,) = halves
    assert half.startswith(MARK)
    assert not any(half[MARKER_BYTES:MIB]), "the old table"
    assert not any(half[-MIB:]), "what lay at the end: a backup of a table, marks of a RAID"
    for dummy_number, (first, count) in old.spans:
        start, end = first * old.sector_bytes, (first + count) * old.sector_bytes
        assert not any(half[max(start, MARKER_BYTES) : start + 4096]), "an old boot sector"
        assert not any(half[end - 4096 : end]), "an old mark at the end of a volume"
    after = target.read_bytes()
    assert len(after) == SIZE + 2 * MIB
    for number, dummy_span in disk.spans:
        assert after[disk.range_of(number)] == disk.data[disk.range_of(number)]


# -- the target's table is another one --------------------------------------------------------------------------------


def changed_tables(disk: TableDisk) -> Dict[str, bytes]:
    """The disk as somebody changed it since, by what was done. It has an MBR with partitions 1 and 2 and room behind them."""
    before, data = bytes(disk.data), {}

    def with_entries(*entries: bytes, signature: bytes = before[440:444]) -> bytes:
        return before[:440] + signature + bytes(2) + b"".join(entries).ljust(64, b"\0") + before[510:]

    one, two = entry(0x83, 63, 1001), entry(0x83, 1064, 2001)
    data["added"] = with_entries(one, two, entry(0x83, 3065, 500))
    data["resized"] = with_entries(one, entry(0x83, 1064, 2500))
    data["moved"] = with_entries(one, entry(0x83, 3065, 2001))
    data["another type"] = with_entries(one, entry(0x07, 1064, 2001))
    data["another disk"] = with_entries(one, two, signature=b"\1\2\3\4")
    data["renumbered"] = with_entries(two, one)
    data["logical"] = with_entries(one, two, entry(0x05, 3065, 1000))
    at = 3065 * 512
    record = (bytes(446) + entry(0x83, 63, 900)).ljust(510, b"\0") + b"\x55\xaa"
    data["logical"] = data["logical"][:at] + record + data["logical"][at + 512 :]
    data["a GPT"] = bytes(gpt_disk(random.Random(4), 512, SIZE).data)
    data["damaged GPT"] = data["a GPT"][:512] + bytes(512) + data["a GPT"][1024:]
    data["a file system"] = b"\xebX\x90NTFS    " + before[11:510] + b"\x55\xaa" + before[512:]
    data["hidden in RAID"] = before[:4096] + b"\xfc\x4e\x2b\xa9" + before[4100:]
    return data


def mbr_of_two() -> TableDisk:
    chance = random.Random(77)
    data = bytearray(SIZE)
    data[440:444] = b"abcd"
    data[446:478] = entry(0x83, 63, 1001) + entry(0x83, 1064, 2001)
    data[510:512] = b"\x55\xaa"
    disk = TableDisk(data, 512, [(1, (63, 1001)), (2, (1064, 2001))])
    for number, dummy in disk.spans:
        place = disk.range_of(number)
        disk.data[place] = noise(chance, place.stop - place.start)
    return disk


def test_another_table_takes_a_yes_that_names_the_partitions(storage: DirectoryStorage, memory_path: Path) -> None:
    disk = mbr_of_two()
    image = image_of(storage, DEVICE, disk, [1], "2026-11-23_20-00-00")
    going = {
        "added": ["3"],
        "resized": ["2"],
        "moved": ["2"],
        "another type": ["2"],
        "another disk": ["1", "2"],
        "renumbered": ["1", "2"],
        "logical": ["5"],
        "a file system": ["0"],
        "hidden in RAID": ["0"],
    }
    target = memory_path / "target"
    for name, data in changed_tables(disk).items():
        target.write_bytes(data)
        work = partial(restore, storage, DEVICE, image, {"disk0": str(target)})
        error = refused("R110", partial(work, overwrite=True), target)
        named = [part.split(" ")[0] for part in str(error.fields["partitions"]).split("; ")]
        assert named == going.get(name, named), name
        assert error.fields["names"] == ", ".join('"%s"' % one for one in named)
        for wrong in ([], named[1:], ["9"], ["disk1p%s" % one for one in named]):
            refused("R110", partial(work, overwrite=True, replace_table=wrong), target)
        refused("R102", partial(work, replace_table=named), target)
        work(overwrite=True, replace_table=named)
        after = target.read_bytes()
        assert after[disk.range_of(1)] == disk.data[disk.range_of(1)], name
        assert after[:512] == disk.data[:512], name
        assert after[disk.range_of(2)] == data[disk.range_of(2)], "what was there stays: the image has nothing of it"


def test_partitions_of_several_disks_are_named_with_their_disk(storage: DirectoryStorage, memory_path: Path) -> None:
    one = mbr_of_two()
    images = [image_of(storage, DEVICE, one, [1], "2026-11-23_20-00-00", disks=2)]
    targets = {"disk%d" % number: str(memory_path / ("target%d" % number)) for number in (0, 1)}
    for path in targets.values():
        Path(path).write_bytes(changed_tables(one)["added"])
    paths = [Path(path) for path in targets.values()]
    work = partial(restore, storage, DEVICE, images[0], targets, overwrite=True)
    for given in (["3"], ["disk0p3"]):
        error = refused("R110", partial(work, replace_table=given), *paths)
        assert error.fields["names"] == '"%sp3"' % error.fields["disk"]
    work(replace_table=["disk0p3", "disk1p3"])
    assert [path.read_bytes()[:512] for path in paths] == [bytes(one.data[:512])] * 2


@pytest.mark.parametrize("is_same", [True, False])
def test_a_gpt_that_lacks_its_first_sector_has_partitions(
    is_same: bool, storage: DirectoryStorage, memory_path: Path
) -> None:
    """Nobody sees them, but what was in them is still there; the restore brings the table back and leaves the others."""
    disk = gpt_disk(random.Random(9), 512, SIZE)
    numbers = [number for number, dummy in disk.spans]
    assert len(numbers) > 1
    image = image_of(storage, DEVICE, disk, numbers[:1], "2026-11-23_20-00-00")
    now = bytearray(disk.data if is_same else gpt_disk(random.Random(10), 512, SIZE).data)
    now[:512] = bytes(512)
    target = memory_path / "target"
    target.write_bytes(now)
    work = partial(restore, storage, DEVICE, image, {"disk0": str(target)}, overwrite=True)
    if is_same:
        work()
        assert target.read_bytes() == disk.data
    else:
        refused("R110", work, target)


def test_a_table_that_lost_a_partition_costs_nothing(storage: DirectoryStorage, memory_path: Path) -> None:
    """The other volume's entry was deleted since: nothing goes, and the table stays as somebody wanted it."""
    disk = mbr_of_two()
    image = image_of(storage, DEVICE, disk, [1], "2026-11-23_20-00-00")
    now = bytearray(disk.data)
    now[462:478] = bytes(16)
    now[disk.range_of(1)] = bytes(1001 * 512)
    target = memory_path / "target"
    target.write_bytes(now)
    restore(storage, DEVICE, image, {"disk0": str(target)}, overwrite=True)
    now[disk.range_of(1)] = disk.data[disk.range_of(1)]
    assert target.read_bytes() == now


def test_the_table_may_not_change_between_plan_and_write(storage: DirectoryStorage, memory_path: Path) -> None:
    disk = mbr_of_two()
    image = image_of(storage, DEVICE, disk, [1], "2026-11-23_20-00-00")
    target = memory_path / "target"
    target.write_bytes(disk.data[: disk.range_of(1).start] + bytes(1001 * 512) + disk.data[disk.range_of(1).stop :])
    changed = bytearray(target.read_bytes())
    changed[478:494] = entry(0x83, 3065, 500)

    def comes(phase: str, dummy_done: int, dummy_total: int) -> None:
        if phase == "verifying":
            target.write_bytes(changed)

    with pytest.raises(Exception) as caught:
        restore(storage, DEVICE, image, {"disk0": str(target)}, overwrite=True, progress=comes)
    assert getattr(caught.value, "code", "") == "R106"
    assert target.read_bytes() == changed
