# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sum of what is planned of a disk, of what is zero, and of what is named, is the disk: random tables, random bytes."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path
from typing import List, Tuple

import pytest
from engine.disk import unclaimed
from engine.disk.extents import ExtentSet
from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import DiskLayout, read_layout
from engine.disk.source import FileSource, MemorySource
from engine.disk.unclaimed import look_at
from engine.disk.used import DiskPlan, plan_disk
from engine.errors import DiskUnreadable

KIB, MIB = 1 << 10, 1 << 20
SIZE = 6 * MIB
SECTORS = SIZE // 512
ZEROS = bytes(512)


def entry(kind: int, first: int, sectors: int) -> bytes:
    return struct.pack("<B3sB3sII", 0, bytes(3), kind, bytes(3), first, sectors)


def record(entries: List[bytes]) -> bytes:
    return bytes(440) + b"\x11\x22\x33\x44\0\0" + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"


def put(disk: bytearray, lba: int, data: bytes) -> None:
    disk[lba * 512 : lba * 512 + len(data)] = data


def random_places(chance: random.Random, first: int, last: int, most: int) -> List[Tuple[int, int]]:
    """Start and length of up to ``most`` ranges of sectors in order, at any sector."""
    marks = sorted(chance.sample(range(first, last), 2 * chance.randint(1, most)))
    return [(start, end - start) for start, end in zip(marks[::2], marks[1::2])]


def with_mbr(chance: random.Random, disk: bytearray) -> None:
    places = random_places(chance, 1, SECTORS, 4)
    entries = [entry(chance.choice((0x83, 0x07, 0x0C)), *place) for place in places]
    if chance.random() < 0.3:
        entries[chance.randrange(len(entries))] = entry(0, 0, SECTORS)  # an installer's: over all others
        if len(entries) == 1:
            entries.append(entry(0xEF, *places[0]))
    elif chance.random() < 0.5 and places[-1][1] > 40:
        start, length = places[-1]
        entries[-1] = entry(5, start, length)
        logical = random_places(chance, 2, length, min(3, length // 8))
        where = 0
        for number, (first, count) in enumerate(logical):
            following = logical[number + 1][0] - 1 if number + 1 < len(logical) else 0
            link = entry(5, following, logical[number + 1][1] + 1) if following else b""
            put(disk, start + where, record([entry(0x83, first - where, count), link]))
            where = following
    put(disk, 0, record(entries))


def with_gpt(chance: random.Random, disk: bytearray) -> None:
    places = random_places(chance, 34, SECTORS - 34, 5)
    table = b"".join(
        bytes([number + 1] * 32) + struct.pack("<QQQ72s", start, start + length - 1, 0, b"")
        for number, (start, length) in enumerate(places)
    ).ljust(128 * 128, b"\0")
    for lba, other, array in ((1, SECTORS - 1, 2), (SECTORS - 1, 1, SECTORS - 33)):
        head = struct.pack("<8sIIIIQQQQ", b"EFI PART", 0x10000, 92, 0, 0, lba, other, 34, SECTORS - 34)
        head += bytes([7] * 16) + struct.pack("<QIII", array, 128, 128, zlib.crc32(table))
        head = head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]
        put(disk, array, table)
        put(disk, lba, head)
    entries = [entry(0xEE, 1, SECTORS - 1)]
    if chance.random() < 0.5:
        entries.append(entry(0x07, *random_places(chance, 34, SECTORS, 1)[0]))  # of a hybrid table, on its own
    put(disk, 0, record(entries))


def sprinkle(chance: random.Random, disk: bytearray, keep: List[Tuple[int, int]]) -> None:
    """Bytes anywhere but in sectors of the tables."""
    for dummy in range(chance.randint(0, 12)):
        start = chance.randrange(SIZE)
        length = min(chance.choice((1, 7, 512, 5000, 100_000)), SIZE - start)
        if not any(start < end and place < start + length for place, end in keep):
            disk[start : start + length] = bytes(chance.randrange(1, 256) for dummy_byte in range(length))


def planned(disk: bytearray) -> Tuple[DiskLayout, DiskPlan]:
    source = MemorySource(bytes(disk))
    layout = read_layout(source)
    return layout, plan_disk(source, layout, lambda partition: VolumeState.OFFLINE)


def not_zero(disk: bytearray) -> ExtentSet:
    content = bytes(disk)
    return ExtentSet((place, 512) for place in range(0, SIZE, 512) if content[place : place + 512] != ZEROS)


@pytest.mark.parametrize("seed", range(120))
def test_planned_and_named_are_the_whole_disk(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    held = chance.choice((128 * KIB, 512 * KIB, 64 * MIB))
    monkeypatch.setattr(unclaimed, "HELD_BYTES", held)
    monkeypatch.setattr("engine.disk.layout._EMBEDDING_BYTES", held)
    disk = bytearray(SIZE)
    (with_mbr if chance.random() < 0.6 else with_gpt)(chance, disk)
    tables = [(extent.start_bytes, extent.end_bytes) for extent in not_zero(disk)]
    sprinkle(chance, disk, tables)
    layout, plan = planned(disk)
    named = ExtentSet((one.place, one.size_bytes) for one in plan.outside)
    in_partitions = layout.shown()
    lost = not_zero(disk).difference(plan.used).difference(in_partitions).difference(named)
    assert not lost, "bytes that are neither in the image nor named"
    # What is named is named with what is missing, and counted right.
    missing = not_zero(disk).difference(in_partitions).difference(plan.used)
    assert bool(missing) == any(one.missing_bytes for one in plan.outside)
    assert len(plan.warnings) >= sum(one.missing_bytes > 0 for one in plan.outside)
    assert all(one.read_all for one in plan.outside)
    # Partitions of which nothing is known are whole: all of the disk is one or the other.
    everything = plan.used.union(named).union(ExtentSet([(0, 0)]))
    zeros = everything.complement(SIZE)
    assert not any(disk[extent.start_bytes : extent.end_bytes].strip(b"\0") for extent in zeros)


def test_only_chosen_volumes_hold_nothing_of_the_rest() -> None:
    """What is restored beside other partitions must not bring back what lay where they are now."""
    disk = bytearray(SIZE)
    put(disk, 0, record([entry(0x83, 2048, 1000), entry(0x83, 4096, 1000)]))
    disk[5 * MIB : 5 * MIB + 10] = b"old bytes!"
    source = MemorySource(bytes(disk))
    layout = read_layout(source)

    def state(dummy: object) -> VolumeState:
        return VolumeState.OFFLINE

    assert any(plan_disk(source, layout, state).used.clipped(5 * MIB, 5 * MIB + 10))
    assert not any(plan_disk(source, layout, state, {1}).used.clipped(5 * MIB, 5 * MIB + 10))


def sparse(path: Path, size: int, *places: int) -> FileSource:
    with open(path, "wb") as file:
        file.truncate(size)
        for place in places:
            file.seek(place)
            file.write(b"x")
    return FileSource(str(path))


def test_a_hole_of_a_terabyte_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 1 << 40
    with sparse(tmp_path / "disk", size, 700 << 30, size - 1) as source:
        read = []
        whole = source.read
        monkeypatch.setattr(source, "read", lambda place, length: read.append(length) or whole(place, length))  # type: ignore[func-returns-value]
        found = look_at(source, ExtentSet([(MIB, size - MIB)]))
    assert sum(read) < 3 * MIB
    assert not ExtentSet([(700 << 30, 1), (size - 1, 1)]).difference(found.held)
    assert (found.named, found.warnings, found.notes) == ([], [], [])


@pytest.mark.parametrize("where", ["nowhere", "begin", "end", "between"])
def test_a_gap_that_is_too_large_is_looked_at_in_samples(where: str, tmp_path: Path) -> None:
    size = 2 << 30
    places = {"nowhere": [], "begin": [MIB + 5], "end": [size - 9], "between": list(range(MIB, size, 32 * KIB))}[where]
    with sparse(tmp_path / "disk", size, *places) as source:
        source.is_device = True  # a device has no holes
        source.data_ranges = lambda start, end: [(start, end)]  # type: ignore[method-assign]
        read: List[int] = []
        whole = source.read
        source.read = lambda place, length: read.append(length) or whole(place, length)  # type: ignore
        found = look_at(source, ExtentSet([(MIB, size - MIB)]), 100 * MIB)
    assert sum(read) < 20 * MIB
    (named,) = found.named
    assert (named.place, named.size_bytes, named.read_all) == (MIB, size - MIB, False)
    assert bool(found.warnings) == (where != "nowhere")
    assert bool(found.notes) == (where == "nowhere")
    assert bool(found.held) == (where != "nowhere")


def test_a_bad_sector_in_no_partition_is_said_and_ends_nothing(tmp_path: Path) -> None:
    with sparse(tmp_path / "disk", SIZE, MIB + 10, 3 * MIB) as source:
        whole = source.read

        def read(place: int, length: int) -> bytes:
            if place <= 2 * MIB < place + length:
                raise DiskUnreadable(path="disk", offset_bytes=2 * MIB, length_bytes=512, reason="bad")
            return whole(place, length)

        source.read = read  # type: ignore[method-assign]
        source.data_ranges = lambda start, end: [(start, end)]  # type: ignore[method-assign]
        found = look_at(source, ExtentSet([(MIB, 4 * MIB)]))
    assert list(found.held) == [(MIB, 64 * KIB), (3 * MIB, 64 * KIB)]
    assert len(found.warnings) == 1
    assert [one.read_all for one in found.named] == [False]


def test_small_gaps_beyond_what_may_be_read_are_held_unread(tmp_path: Path) -> None:
    gaps = ExtentSet([(0, MIB), (2 * MIB, MIB), (4 * MIB, MIB)])
    with sparse(tmp_path / "disk", SIZE, 10, 2 * MIB) as source:
        source.data_ranges = lambda start, end: [(start, end)]  # type: ignore[method-assign]
        found = look_at(source, gaps, MIB)
    assert list(found.held) == [(0, 64 * KIB), (2 * MIB, MIB), (4 * MIB, MIB)]
