# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a disk over a line: each round trip counts."""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import pytest
from engine.image.access import Passwords
from engine.image.format import constants as fmt
from engine.image.format.packs import HEADER_BYTES
from engine.image.reader import ImageReader
from engine.image.segments import PackReader, Salts
from engine.storage.contract import PARALLEL_ROUND_TRIPS
from engine.storage.local.storage import DirectoryStorage
from support.small_runs import CHUNK, DEVICE, SmallDisk, make_small, run_image

PASSWORD = "correct-horse-battery-staple-47"


class Line(DirectoryStorage):
    """A directory whose calls count as round trips, and the ranges that were read of packs."""

    parallel_calls = PARALLEL_ROUND_TRIPS

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.reads: List[Tuple[str, int, Optional[int]]] = []

    def read(self, path: str, offset_bytes: int = 0, length_bytes: Optional[int] = None) -> Iterator[bytes]:
        if "/packs/" in path:
            self.reads.append((path, offset_bytes, length_bytes))
        return super().read(path, offset_bytes, length_bytes)


def test_threads_fetch_the_salt_of_a_pack_once(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fmt, "PACK_TARGETS", ((1 << 62, 128 * CHUNK),))
    line = Line(str(memory_path))
    disk = SmallDisk(chunks=1024)
    image = run_image(line, disk, Passwords(PASSWORD)).image
    reader = ImageReader(line, DEVICE, image, PASSWORD).disk(0)
    line.reads.clear()
    data = {piece.offset_bytes: piece.data for piece in reader.stream() if piece.data is not None}
    expected = disk.expected()
    assert all(expected[start : start + len(piece)] == piece for start, piece in data.items())
    heads = Counter(path for path, offset, length in line.reads if (offset, length) == (0, HEADER_BYTES))
    assert len(heads) > 4
    assert max(heads.values()) == 1
    tasks = 1024 // 32
    assert len(line.reads) <= 2 * tasks + 2 * len(heads)


@pytest.mark.parametrize("chunks", [2, 16, 100])
def test_a_range_is_fetched_in_few_reads(chunks: int, memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a look at boot sectors, tables and marks reads is side by side in a pack, and is not fetched chunk by chunk."""
    monkeypatch.setattr(fmt, "PACK_TARGETS", ((1 << 62, 128 * CHUNK),))
    line = Line(str(memory_path))
    disk = SmallDisk(chunks=1024)
    image = run_image(line, disk, Passwords(PASSWORD)).image
    reader = ImageReader(line, DEVICE, image, PASSWORD).disk(0)
    expected = disk.expected()
    reader.read(0, 1)
    line.reads.clear()
    start = 40 * CHUNK + 17
    assert reader.read(start, chunks * CHUNK) == expected[start : start + chunks * CHUNK]
    heads = [read for read in line.reads if read[1:] == (0, HEADER_BYTES)]
    assert len(line.reads) - len(heads) <= 2 + -(-chunks // 16)
    line.reads.clear()
    assert reader.read(start, CHUNK) == expected[start : start + CHUNK]
    assert len(line.reads) <= (0 if chunks <= 16 else 1)


def test_the_index_of_a_large_disk_is_fetched_ahead(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass over the index takes one wait for many segments, not one for each; what it finds stays in order."""
    make_small(monkeypatch)
    disk = SmallDisk(chunks=40 * fmt.SEGMENT_CHUNKS)
    line = Line(str(memory_path))
    image = run_image(line, disk, Passwords(PASSWORD)).image
    reader = ImageReader(line, DEVICE, image, PASSWORD).disk(0)
    count = sum(reference.place is not None for reference in reader.root.segments)
    assert count > 20
    near = ImageReader(DirectoryStorage(str(memory_path)), DEVICE, image, PASSWORD).disk(0)
    ahead = threading.Barrier(4, timeout=20)
    waiting = iter(range(count - count % 4))
    fetch = PackReader.segment

    def together(self: PackReader, *arguments: Any) -> Any:
        if next(waiting, None) is not None:
            ahead.wait()  # breaks unless four are fetched at once
        return fetch(self, *arguments)

    monkeypatch.setattr(PackReader, "segment", together)
    found = list(reader.extents())
    monkeypatch.setattr(PackReader, "segment", fetch)
    assert found == list(near.extents())
    assert list(reader.chunk_ids()) == list(near.chunk_ids())
    reader.prove_index()
    stopped = reader.extents()
    next(stopped)
    stopped.close()


def test_ranges_are_what_was_on_the_disk(memory_path: Path) -> None:
    line = Line(str(memory_path))
    disk = SmallDisk(chunks=256)
    image = run_image(line, disk, Passwords(PASSWORD)).image
    expected, chance = disk.expected(), random.Random(5)
    for storage in (line, DirectoryStorage(str(memory_path))):
        reader = ImageReader(storage, DEVICE, image, PASSWORD).disk(0)
        for dummy in range(60):
            start = chance.randrange(len(expected))
            length = chance.randrange(min(80 * CHUNK, len(expected) - start) + 1)
            assert reader.read(start, length) == expected[start : start + length]


def test_a_salt_that_was_read_falsely_is_fetched_again() -> None:
    salts = Salts()
    assert salts.get("a", lambda: b"false") == b"false"
    assert salts.get("a", lambda: b"true") == b"false"
    salts.forget("a")
    assert salts.get("a", lambda: b"true") == b"true"


def test_a_failed_fetch_of_a_salt_is_tried_by_the_next() -> None:
    salts = Salts()

    def fail() -> bytes:
        raise OSError

    with pytest.raises(OSError):
        salts.get("a", fail)
    found: List[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(salts.get("a", lambda: b"salt"))) for dummy in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [b"salt"] * 4
