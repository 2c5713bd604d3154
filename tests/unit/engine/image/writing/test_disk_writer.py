# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second image identifies segments that follow before their turn: what goes wrong there is told as if it were their turn."""

from __future__ import annotations

import threading
from typing import Any, List

import pytest
from engine.disk.source import MemorySource
from engine.errors import DiskUnreadable
from engine.image.access import Passwords
from engine.image.format import constants as fmt
from engine.image.writing import disk_writer
from engine.image.writing.writer import DiskInput, ImageOrder, write_image
from engine.storage.contract import Storage
from support.small_runs import CHUNK, DEVICE, SmallDisk, chunk_places, make_small, read_image, run_image
from support.storages import MemoryStorage

_CHUNKS = 64  # eight segments of eight
_LATER = "2026-11-24_20-00-00"


class Watched(MemorySource):
    """Notes which chunks were read, in order; a read that touches a chunk of ``bad`` fails."""

    def __init__(self, data: bytes, *bad: int) -> None:
        super().__init__(data)
        self.bad = set(bad)
        self.chunks_read: List[int] = []

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        chunks = range(offset_bytes // CHUNK, -(-(offset_bytes + length_bytes) // CHUNK))
        self.chunks_read.extend(chunks)
        for chunk in chunks:
            if chunk in self.bad:
                raise DiskUnreadable(path=self.path, offset_bytes=chunk * CHUNK, length_bytes=CHUNK, reason="bad")
        return super().read(offset_bytes, length_bytes)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SmallDisk:
    make_small(monkeypatch)
    return SmallDisk(_CHUNKS)


def image(storage: Storage, disk: SmallDisk, source: MemorySource, **more: Any) -> str:
    inputs = [DiskInput(source, disk.extents(), "serial:1")]
    job = ImageOrder(DEVICE, _LATER, inputs, Passwords(), created=_LATER, sleep=lambda seconds: None, **more)
    return write_image(storage, job).image


class Waits(Watched):
    """The second read of chunk 1, to store it, waits until a chunk of the next segment was read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._was_read_ahead = threading.Event()
        self.waited = False

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        is_again = 1 in self.chunks_read and offset_bytes == CHUNK
        data = super().read(offset_bytes, length_bytes)
        if offset_bytes >= 8 * CHUNK:
            self._was_read_ahead.set()
        if is_again:
            self.waited = self._was_read_ahead.wait(20)
        return data


def test_segments_that_follow_are_read_while_the_chunks_of_the_first_are_stored(disk: SmallDisk) -> None:
    storage = MemoryStorage()
    run_image(storage, disk)
    disk.write(1)
    source = Waits(bytes(disk.data))
    second = image(storage, disk, source, workers=2)
    assert source.waited
    assert set(source.chunks_read) == disk.used, "nothing is left out and nothing unused is read"
    assert read_image(storage, second) == disk.expected()


@pytest.mark.parametrize("bad_segment", range(1, 8))
def test_a_bad_sector_in_a_segment_read_ahead_ends_the_run_and_harms_nothing(disk: SmallDisk, bad_segment: int) -> None:
    storage = MemoryStorage()
    first = run_image(storage, disk).image
    before = disk.expected()
    disk.write(*range(1, _CHUNKS, 8))
    bad = 8 * bad_segment + 5
    threads = set(threading.enumerate())
    with pytest.raises(DiskUnreadable) as caught:
        image(storage, disk, Watched(bytes(disk.data), bad))
    assert "at byte %d" % (bad * CHUNK) in str(caught.value)
    assert set(threading.enumerate()) <= threads, "a worker was left"
    assert read_image(storage, first) == before
    sent = chunk_places(storage)
    second = image(storage, disk, MemorySource(bytes(disk.data)))
    assert read_image(storage, second) == disk.expected()
    assert all(len(packs) == 1 for packs in chunk_places(storage).values()), "a chunk was sent twice"
    assert set(sent) <= set(chunk_places(storage))


def test_a_segment_that_is_not_in_use_any_more_is_not_read_ahead(disk: SmallDisk) -> None:
    storage = MemoryStorage()
    run_image(storage, disk)
    disk.write(1)
    disk.used -= set(range(16, 24))
    source = Watched(bytes(disk.data), *range(16, 24))
    second = image(storage, disk, source)
    assert read_image(storage, second) == disk.expected()


def test_what_is_ahead_is_bounded(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    run_image(storage, disk)
    disk.write(*range(0, _CHUNKS, 8))
    most = 0

    def look(writer: disk_writer.DiskWriter, number: int) -> None:
        nonlocal most
        most = max(most, len(writer._ahead))
        given(writer, number)

    given = disk_writer.DiskWriter._image_segment
    monkeypatch.setattr(disk_writer.DiskWriter, "_image_segment", look)
    image(storage, disk, MemorySource(bytes(disk.data)))
    assert 1 <= most <= disk_writer._AHEAD_SEGMENTS
    assert fmt.SEGMENT_CHUNKS == 8
