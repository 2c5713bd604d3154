# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small disks with partition tables at any sector: MBR with logical partitions, and GPT, built byte by byte."""

from __future__ import annotations

import random
import struct
import uuid
import zlib
from typing import List, NamedTuple, Optional, Tuple

from engine.disk.filesystems.contract import VolumeState
from engine.disk.layout import DiskLayout, read_layout
from engine.disk.source import MemorySource
from engine.disk.used import plan_disk
from engine.image.writing.writer import DiskInput, ImageOrder, write_image
from engine.storage.contract import Storage

LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
Span = Tuple[int, int]  # first sector and number of sectors


class TableDisk(NamedTuple):
    """A disk whose partitions are full of noise; ``spans`` are those that hold data, by their number."""

    data: bytearray
    sector_bytes: int
    spans: List[Tuple[int, Span]]

    def source(self) -> MemorySource:
        return MemorySource(bytes(self.data), self.sector_bytes)

    def layout(self) -> DiskLayout:
        return read_layout(self.source())

    def range_of(self, number: int) -> slice:
        ((first, count),) = [span for other, span in self.spans if other == number]
        return slice(first * self.sector_bytes, (first + count) * self.sector_bytes)


def noise(chance: random.Random, count: int) -> bytes:
    return chance.getrandbits(8 * count).to_bytes(count, "little") if count else b""


def spans_of(chance: random.Random, first: int, last: int, most: int, gap: int) -> List[Span]:
    """Up to ``most`` spans between two sectors, many of them side by side; ``gap`` sectors at least in front of each."""
    cuts = sorted(chance.sample(range(first, last), 2 * chance.randrange(1, most + 1)))
    found: List[Span] = []
    for start, end in zip(cuts[::2], cuts[1::2]):
        begin = max(start, first + gap) if not found else max(start, sum(found[-1]) + gap)
        if chance.random() < 0.5 and found:
            begin = sum(found[-1]) + gap  # neighbours
        if end > begin:
            found.append((begin, end - begin))
    return found


def entry(kind: int, first: int, count: int) -> bytes:
    return struct.pack("<B3sB3sII", 0, bytes(3), kind, bytes(3), first, count)


def mbr_disk(chance: random.Random, sector_bytes: int, size_bytes: int) -> TableDisk:
    """Primary partitions from sector 1, 63 or anywhere, and perhaps an extended one with a chain of logical ones."""
    data, sectors = bytearray(size_bytes), size_bytes // sector_bytes
    with_logical = chance.random() < 0.6
    primaries_end = sectors // 2 if with_logical else sectors
    primary = spans_of(chance, chance.choice([1, 63, 100]), primaries_end, 3, 0)
    entries = [entry(0x83, *span) for span in primary]
    spans = list(enumerate(primary, 1))
    if with_logical:
        base = primaries_end + chance.randrange(1, 70)
        gap = chance.choice([1, 2, 63])
        logical = spans_of(chance, base, sectors, 3, gap)
        if logical:
            entries.append(entry(0x05, base, sectors - base))
            spans += list(enumerate(logical, 5))
            _chain(data, sector_bytes, base, logical, gap)
    data[440:444] = noise(chance, 4)
    data[446:510] = b"".join(entries).ljust(64, b"\0")
    data[510:512] = b"\x55\xaa"
    return _filled(chance, TableDisk(data, sector_bytes, spans))


def _chain(data: bytearray, sector_bytes: int, base: int, logical: List[Span], gap: int) -> None:
    """The records of the logical partitions: the first at the extended one's start, the others right before theirs."""
    places = [base] + [first - gap for first, dummy in logical[1:]]
    for number, (place, (first, count)) in enumerate(zip(places, logical)):
        record = entry(0x83, first - place, count)
        if number + 1 < len(logical):
            record += entry(0x05, places[number + 1] - base, sum(logical[number + 1]) - places[number + 1])
        at = place * sector_bytes
        data[at + 446 : at + 510] = record.ljust(64, b"\0")
        data[at + 510 : at + 512] = b"\x55\xaa"


def gpt_disk(chance: random.Random, sector_bytes: int, size_bytes: int) -> TableDisk:
    data, sectors = bytearray(size_bytes), size_bytes // sector_bytes
    array_sectors = 128 * 128 // sector_bytes
    spans = spans_of(chance, 2 + array_sectors, sectors - 1 - array_sectors, 5, 0)
    array = b"".join(
        struct.pack("<16s16sQQQ72s", LINUX.bytes_le, noise(chance, 16), first, first + count - 1, 0, bytes(72))
        for first, count in spans
    ).ljust(128 * 128, b"\0")
    disk_id = noise(chance, 16)
    for lba, other, start in ((1, sectors - 1, 2), (sectors - 1, 1, sectors - 1 - array_sectors)):
        fields = (b"EFI PART", 0x10000, 92, 0, 0, lba, other, 2 + array_sectors, sectors - 2 - array_sectors)
        header = bytearray(struct.pack("<8sIIIIQQQQ16sQIII", *fields, disk_id, start, 128, 128, zlib.crc32(array)))
        struct.pack_into("<I", header, 16, zlib.crc32(header))
        data[lba * sector_bytes : lba * sector_bytes + 92] = header
        data[start * sector_bytes : start * sector_bytes + len(array)] = array
    data[446:462] = entry(0xEE, 1, sectors - 1)
    data[510:512] = b"\x55\xaa"
    return _filled(chance, TableDisk(data, sector_bytes, list(enumerate(spans, 1))))


def _filled(chance: random.Random, disk: TableDisk) -> TableDisk:
    for number, dummy in disk.spans:
        place = disk.range_of(number)
        disk.data[place] = noise(chance, place.stop - place.start)
    return disk


def image_of(
    storage: Storage, device: str, disk: TableDisk, chosen: Optional[List[int]], timestamp: str, disks: int = 1
) -> str:
    """Image the chosen partitions, or the whole disk, as a run does, with its note about each volume; perhaps of several such disks."""
    source = disk.source()
    layout = disk.layout()
    plan = plan_disk(source, layout, lambda partition: VolumeState.OFFLINE, set(chosen) if chosen is not None else None)
    volumes = [{"number": one.number, "selected": one.selected} for one in plan.volumes]
    names = ["disk%d" % number for number in range(disks)]
    job = ImageOrder(
        device=device,
        timestamp=timestamp,
        disks=[DiskInput(source, plan.used, "serial:%d" % number) for number in range(disks)],
        created=timestamp,
        device_information={"disks": {name: {"layout": layout.as_dict(), "volumes": volumes} for name in names}},
    )
    return write_image(storage, job).image
