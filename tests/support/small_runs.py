# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs over a small disk in memory with small packs and segments, so that a run of a second has all that a long one has."""

from __future__ import annotations

import random
from typing import Any, Dict, List, Optional, Set

from engine.disk.extents import ExtentSet
from engine.disk.source import MemorySource
from engine.image.access import Passwords
from engine.image.device_directory import DeviceDirectory
from engine.image.format import constants as fmt
from engine.image.format import keys
from engine.image.format.packs import read_table
from engine.image.reader import ImageReader
from engine.image.writing import disk_writer
from engine.image.writing.writer import DiskInput, ImageOrder, ImageResult, write_image
from engine.storage.contract import Storage

DEVICE = "pc"
CHUNK = fmt.CHUNK_BYTES


def make_small(monkeypatch: Any) -> None:
    """Segments of eight chunks, packs of four, a checkpoint after every second segment, a cheap key derivation."""
    monkeypatch.setattr(fmt, "SEGMENT_CHUNKS", 8)
    monkeypatch.setattr(fmt, "SEGMENT_BYTES", 8 * CHUNK)
    monkeypatch.setattr(fmt, "PACK_TARGETS", ((1 << 62, 4 * CHUNK),))
    monkeypatch.setattr(disk_writer, "_CHECKPOINT_SEGMENTS", 2)
    monkeypatch.setitem(keys.MasterKey.new_slot.__kwdefaults__, "n", 1 << 4)


class SmallDisk:
    """A disk of some chunks; ``used`` are the numbers of those in use."""

    def __init__(self, chunks: int = 40, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self.data = bytearray(self._bytes(chunks * CHUNK))
        self.data[3 * CHUNK : 5 * CHUNK] = bytes(2 * CHUNK)
        self.used: Set[int] = set(range(chunks)) - {7, 8, 9}

    @property
    def chunks(self) -> int:
        return len(self.data) // CHUNK

    def _bytes(self, count: int) -> bytes:
        return self._chance.getrandbits(8 * count).to_bytes(count, "little")  # randbytes is not in Python 3.8

    def write(self, *numbers: int) -> None:
        """Rewrite chunks with new content that does not compress."""
        for number in numbers:
            self.data[number * CHUNK : (number + 1) * CHUNK] = self._bytes(CHUNK)
            self.used.add(number)

    def extents(self) -> ExtentSet:
        return ExtentSet((number * CHUNK, CHUNK) for number in sorted(self.used))

    def expected(self) -> bytes:
        """What a restore onto zeros yields."""
        result = bytearray(len(self.data))
        for number in self.used:
            result[number * CHUNK : (number + 1) * CHUNK] = self.data[number * CHUNK : (number + 1) * CHUNK]
        return bytes(result)


def run_image(
    storage: Storage,
    disk: SmallDisk,
    passwords: Optional[Passwords] = None,
    timestamp: str = "2026-11-23_20-00-00",
    second: Optional[SmallDisk] = None,
    **more: Any,
) -> ImageResult:
    disks = [(disk, "serial:1"), *([(second, "serial:2")] if second is not None else [])]
    job = ImageOrder(
        device=more.pop("device", DEVICE),
        timestamp=timestamp,
        disks=[DiskInput(MemorySource(bytes(one.data)), one.extents(), name) for one, name in disks],
        passwords=passwords or Passwords(),
        created=timestamp,
        device_information={"model": "test"},
        sleep=lambda seconds: None,
        lease_ttl_seconds=more.pop("lease_ttl_seconds", 30.0),
        **more,
    )
    return write_image(storage, job)


def read_image(storage: Storage, image: str, password: Optional[str] = None, number: int = 0) -> bytes:
    """Return a whole disk as the reader gives it back."""
    reader = ImageReader(storage, DEVICE, image, password)
    disk = reader.disk(number)
    data = bytearray(disk.size_bytes)
    for piece in disk.stream():
        if piece.data is not None:
            data[piece.offset_bytes : piece.offset_bytes + piece.length_bytes] = piece.data
    return bytes(data)


def chunk_places(storage: Storage) -> Dict[bytes, List[str]]:
    """Return for every stored chunk the packs in use that hold it."""
    directory = DeviceDirectory(storage, DEVICE)
    found: Dict[bytes, List[str]] = {}
    for name, size_bytes in directory.packs().items():
        for entry in read_table(storage, fmt.pack_path(DEVICE, name), size_bytes):
            if entry.kind == fmt.KIND_CHUNK:
                found.setdefault(entry.blob_id, []).append(name)
    return found
