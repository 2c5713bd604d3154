# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw devices of Windows, with a disk of the test behind the calls: sectors, lengths, errors."""

from __future__ import annotations

import random
from typing import Dict, Iterator, List, Tuple

import pytest
from engine.disk.raw_source import RawSource
from engine.errors import DiskAccessDenied, DiskEndReached, DiskNotFound, DiskUnreadable
from engine.host import windows_devices

RAW = r"\\.\PhysicalDrive3"


class Disk:
    """What Windows would be: whole sectors only, and an error where the disk is bad."""

    def __init__(self, data: bytes, sector_bytes: int) -> None:
        self.data, self.sector_bytes = data, sector_bytes
        self.said_bytes = len(data)
        self.bad: List[int] = []
        self.most_bytes = 1 << 30  # of an answer
        self.open: Dict[int, str] = {}
        self.reads: List[Tuple[int, int]] = []

    def open_device(self, path: str) -> int:
        self.open[len(self.open) + 1] = path
        return len(self.open)

    def close_device(self, handle: int) -> None:
        del self.open[handle]

    def read_at(self, handle: int, offset_bytes: int, buffer: memoryview) -> int:
        assert handle in self.open
        assert offset_bytes % self.sector_bytes == 0, "error 87 of Windows"
        assert len(buffer) % self.sector_bytes == 0, "error 87 of Windows"
        self.reads.append((offset_bytes, len(buffer)))
        if any(offset_bytes <= place < offset_bytes + len(buffer) for place in self.bad):
            raise OSError(5, "I/O device error", None, 1117)
        piece = self.data[offset_bytes : offset_bytes + min(len(buffer), self.most_bytes)]
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.fixture(params=[512, 4096])
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    made = Disk(random.Random(1).randbytes(256 << 10), request.param)
    for name in ("open_device", "close_device", "read_at"):
        monkeypatch.setattr(windows_devices, name, getattr(made, name))
    monkeypatch.setattr(windows_devices, "allow_last_sectors", lambda handle: None)
    monkeypatch.setattr(windows_devices, "length_bytes", lambda handle: made.said_bytes)
    monkeypatch.setattr(windows_devices, "sector_bytes", lambda handle: made.sector_bytes)
    yield made
    assert made.open == {}, "a handle stayed open"


def test_reads_of_any_place_are_widened_to_sectors(disk: Disk) -> None:
    chance = random.Random(2)
    with RawSource(RAW) as source:
        assert (source.size_bytes, source.sector_bytes, source.is_device) == (len(disk.data), disk.sector_bytes, True)
        for dummy in range(300):
            start = chance.randrange(len(disk.data))
            length = chance.randrange(len(disk.data) - start + 1)
            assert source.read(start, length) == disk.data[start : start + length]
            buffer = bytearray(length)
            source.read_into(start, memoryview(buffer))
            assert buffer == disk.data[start : start + length]


def test_answers_in_pieces(disk: Disk) -> None:
    disk.most_bytes = 8192
    with RawSource(RAW) as source:
        buffer = bytearray(len(disk.data))
        source.read_into(0, memoryview(buffer))
        assert buffer == disk.data
        assert source.read(0, len(disk.data)) == disk.data


def test_past_the_end(disk: Disk) -> None:
    with RawSource(RAW) as source, pytest.raises(DiskEndReached):
        source.read(len(disk.data) - 1, 2)


def test_a_disk_that_is_shorter_than_it_said(disk: Disk) -> None:
    disk.said_bytes = len(disk.data) + 65536
    with RawSource(RAW) as source:
        with pytest.raises(DiskUnreadable):
            source.read(len(disk.data) - 4096, 8192)
        with pytest.raises(DiskUnreadable):
            source.read_into(len(disk.data) - 4096, memoryview(bytearray(8192)))


def test_a_bad_sector_is_named(disk: Disk) -> None:
    disk.bad = [40960]
    with RawSource(RAW) as source, pytest.raises(DiskUnreadable) as caught:
        source.read_into(0, memoryview(bytearray(65536)))
    assert caught.value.fields["offset_bytes"] == 40960


@pytest.mark.parametrize(("length", "sector"), [(0, 512), (100, 512), (1 << 20, 0), (1 << 20, 513), (1 << 20, 1 << 20)])
def test_sizes_that_no_disk_has(disk: Disk, length: int, sector: int) -> None:
    disk.said_bytes, disk.sector_bytes = length, sector
    with pytest.raises(DiskUnreadable):
        RawSource(RAW)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PermissionError(13, "Access is denied", None, 5), DiskAccessDenied),
        (FileNotFoundError(2, "The system cannot find the file specified", None, 2), DiskNotFound),
        (OSError(22, "The device is not ready", None, 21), DiskUnreadable),
    ],
)
def test_a_disk_that_does_not_open(monkeypatch: pytest.MonkeyPatch, error: OSError, kind: type) -> None:
    def refuse(dummy_path: str) -> int:
        raise error

    monkeypatch.setattr(windows_devices, "open_device", refuse)
    with pytest.raises(kind):
        RawSource(RAW)
