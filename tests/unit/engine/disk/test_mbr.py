# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Master boot records: what sfdisk writes, and what nobody should."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import List, Tuple

import pytest
from engine.disk.mbr import read_mbr
from engine.disk.source import FileSource, MemorySource
from engine.errors import PartitionTableInvalid
from hypothesis import given
from hypothesis import strategies as st

Entry = Tuple[int, int, int, int]  # flag, type, first sector, sectors
_SECTORS = 4096


def table(*entries: Entry) -> bytes:
    """A sector with up to four entries."""
    packed = b"".join(struct.pack("<B3xB3xII", *entry) for entry in entries)
    return bytes(446) + packed.ljust(64, b"\0") + b"\x55\xaa"


def disk(*sectors: Tuple[int, bytes], sector_bytes: int = 512) -> MemorySource:
    data = bytearray(_SECTORS * sector_bytes)
    for number, content in sectors:
        data[number * sector_bytes : number * sector_bytes + 512] = content
    return MemorySource(bytes(data), sector_bytes)


def reason(source: MemorySource) -> str:
    with pytest.raises(PartitionTableInvalid) as error:
        read_mbr(source)
    return str(error.value)


def test_primary_and_logical_partitions_are_those_of_sfdisk(tmp_path: Path, need) -> None:
    need("sfdisk")
    path = tmp_path / "disk"
    path.write_bytes(bytes(8 << 20))
    script = "label: dos\n2048,500,83,*\n2600,9000,5\n2700,500,83\n3300,500,82\n4000,500,7\n"
    subprocess.run(["sfdisk", "-q", str(path)], input=script.encode(), check=True)
    shown = subprocess.run(["sfdisk", "-J", str(path)], stdout=subprocess.PIPE, check=True).stdout
    expected: List[Tuple[int, int, int]] = [
        (one["start"], one["size"], int(one["type"], 16)) for one in json.loads(shown)["partitiontable"]["partitions"]
    ]
    with FileSource(str(path)) as source:
        found = read_mbr(source)
    assert found is not None
    assert [(one.start_lba, one.sectors, one.type_code) for one in found.partitions] == expected
    assert [one.number for one in found.partitions] == [1, 2, 5, 6, 7]
    assert len(found.tables_lba) == 4


def test_a_chain_of_logical_partitions_that_leads_back_is_refused() -> None:
    first = table((0, 0x83, 1, 10), (0, 0x05, 50, 50))
    second = table((0, 0x83, 1, 10), (0, 0x05, 50, 50))
    assert "loop" in reason(disk((0, table((0, 0x05, 100, 1000))), (100, first), (150, second)))


def test_a_chain_without_an_end_is_refused() -> None:
    links = [(100 + n, table((0, 0, 0, 0), (0, 0x05, n + 1, 1))) for n in range(300)]
    assert "loop" in reason(disk((0, table((0, 0x05, 100, 1000))), *links))


def test_a_chain_that_leaves_the_extended_partition_is_refused() -> None:
    record = table((0, 0x83, 1, 10), (0, 0x05, 2000, 50))
    assert "outside" in reason(disk((0, table((0, 0x05, 100, 1000))), (100, record)))


def test_a_missing_extended_boot_record_is_refused() -> None:
    assert "missing" in reason(disk((0, table((0, 0x05, 100, 1000)))))


@pytest.mark.parametrize("entry", [(0, 0x83, 4000, 97), (0, 0x83, 0xFFFFFFFF, 0xFFFFFFFF), (0, 0x83, 0, 10)])
def test_a_partition_outside_the_disk_is_refused(entry: Entry) -> None:
    assert "end of the disk" in reason(disk((0, table(entry))))


def test_sectors_of_4096_bytes_count() -> None:
    found = read_mbr(disk((0, table((0, 0x83, 4000, 96))), sector_bytes=4096))
    assert found is not None
    assert found.partitions[0].start_lba == 4000


@given(st.binary(min_size=64, max_size=64), st.binary(min_size=64, max_size=64))
def test_any_entries_give_partitions_inside_the_disk_or_an_error(first: bytes, second: bytes) -> None:
    sectors = [(0, bytes(446) + first + b"\x55\xaa")] + [(n, bytes(446) + second + b"\x55\xaa") for n in range(1, 64)]
    try:
        found = read_mbr(disk(*sectors))
    except PartitionTableInvalid:
        return
    for partition in found.partitions if found else []:
        assert partition.start_lba > 0
        assert partition.start_lba + partition.sectors <= _SECTORS


def numbers(source: MemorySource) -> List[Tuple[int, int, int]]:
    found = read_mbr(source)
    assert found is not None
    return [(one.number, one.start_lba, one.sectors) for one in found.partitions]


def test_the_link_of_an_extended_record_may_stand_anywhere() -> None:
    """Linux walks all four entries: data first, then the first link [block/partitions/msdos.c]."""
    source = disk(
        (0, table((0, 0x05, 1000, 2000))),
        (1000, table((0, 0x05, 500, 500), (0, 0x83, 10, 100))),
        (1500, table((0, 0x83, 10, 50), (0, 0x82, 100, 60), (0, 0x83, 200, 70))),
    )
    assert numbers(source) == [(1, 1000, 2000), (5, 1010, 100), (6, 1510, 50), (7, 1600, 60), (8, 1700, 70)]


def test_rubbish_in_the_last_entries_of_an_extended_record_is_no_partition() -> None:
    source = disk(
        (0, table((0, 0x05, 1000, 2000))),
        (1000, table((0, 0x83, 10, 100), (0, 0, 0, 0), (0, 0x61, 9000, 10), (0, 0x61, 10, 9000))),
    )
    assert numbers(source) == [(1, 1000, 2000), (5, 1010, 100)]


def test_two_links_are_not_guessed_at() -> None:
    source = disk((0, table((0, 0x05, 1000, 2000))), (1000, table((0, 0x05, 500, 500), (0, 0x0F, 900, 100))))
    assert "leads to two others" in reason(source)


def test_what_has_a_size_is_a_partition_whatever_its_type() -> None:
    source = disk((0, table((0x80, 0x83, 100, 500), (0, 0x00, 700, 300))))
    assert numbers(source) == [(1, 100, 500), (2, 700, 300)]
    assert "none of them has a type" in reason(disk((0, table((0, 0x00, 700, 300)))))


@pytest.mark.parametrize("stale", [(700, 9000), (0, 50), (300, 400), (590, 20)], ids=str)
def test_what_a_tool_left_that_deletes_the_type_alone_is_no_partition(stale: Tuple[int, int]) -> None:
    assert numbers(disk((0, table((0x80, 0x83, 100, 500), (0, 0x00, *stale))))) == [(1, 100, 500)]


def test_rubbish_in_an_extended_record_does_not_end_its_chain() -> None:
    source = disk(
        (0, table((0, 0x05, 1000, 2000))),
        (1000, table((0, 0x00, 0xF6F6, 0xF6F6F6), (0, 0x05, 500, 500), (0, 0x05, 9000, 1), (0, 0x0F, 1, 1))),
        (1500, table((0, 0x83, 10, 50))),
    )
    assert numbers(source) == [(1, 1000, 2000), (5, 1510, 50)]
