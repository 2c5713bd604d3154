# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""2 TiB in use, simulated: real index, packs and manifest, chunks of 64 bytes instead of 64 KiB.

Only reading, hashing and compressing are left out; every chunk has its id, its place and its entry in a pack, and packs
hold as many chunks as real ones do.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, List

from engine.disk.extents import ExtentSet
from engine.disk.source import BlockSource
from engine.image.access import Passwords
from engine.image.format import constants as fmt
from engine.image.reader import ImageReader
from engine.image.upkeep.rollover import roll_over
from engine.image.writing import disk_writer
from engine.image.writing.pipeline import Ids, Lookup, WorkedChunk
from engine.image.writing.writer import DiskInput, ImageOrder, write_image
from engine.storage.local.storage import DirectoryStorage
from measure import MIB, measured, table
from support.storages import CountingStorage

PASSWORD = "scale"
CHUNKS_PER_PACK = 2500  # what 64 MiB hold of chunks that compress to 26 KiB


class HugeSource(BlockSource):
    """A disk of which only the size is real, with one volume that begins ``first`` chunks from its start."""

    def __init__(self, size_bytes: int, volume_bytes: int, first: int = 0) -> None:
        self.path, self.size_bytes, self.sector_bytes = "simulated", size_bytes, 512
        self.first, self.end = first, first + volume_bytes // fmt.CHUNK_BYTES

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:  # noqa: ARG002
        raise AssertionError("nothing is read")

    def close(self) -> None:
        """Nothing is open."""


class SimulatedWorker:
    """Stands for the worker that reads, hashes and compresses: ids come from the place, content is a tag."""

    def __init__(self, source: HugeSource, *dummy: Any) -> None:
        self._source = source

    def close(self) -> None:
        """No threads."""

    def in_use(self, segment: int, chunk_count: int) -> List[int]:
        start = segment * fmt.SEGMENT_CHUNKS
        return list(range(max(0, self._source.first - start), max(0, min(chunk_count, self._source.end - start))))

    def _ids(self, segment: int) -> bytes:
        """The ids of a segment's chunks, of which the volume's begin with ``first``."""
        start = segment * fmt.SEGMENT_CHUNKS - self._source.first
        number, skipped = divmod(start, fmt.SEGMENT_CHUNKS)
        parts = [self._ids_of_volume(one) for one in ((number, number + 1) if skipped else (number,))]
        ids = b"".join(parts)[skipped * 32 :][: fmt.SEGMENT_CHUNKS * 32]
        left = min(fmt.SEGMENT_CHUNKS, self._source.end - segment * fmt.SEGMENT_CHUNKS)
        return ids[: left * 32] + fmt.HOLE_ID * (fmt.SEGMENT_CHUNKS - left)

    def _ids_of_volume(self, segment: int) -> bytes:
        if segment < 0:
            return fmt.HOLE_ID * fmt.SEGMENT_CHUNKS
        return random.Random(segment << 1).randbytes(fmt.SEGMENT_CHUNKS * fmt.ID_BYTES)

    def identify(self, segment: int, chunk_count: int) -> Iterator[Ids]:
        yield 0, self._ids(segment)[: chunk_count * fmt.ID_BYTES]

    def prepare(self, segment: int, positions: List[int], dummy_lookup: Lookup) -> Iterator[WorkedChunk]:
        ids = self._ids(segment)
        for position in positions:
            chunk_id = ids[position * 32 : position * 32 + 32]
            yield WorkedChunk(position, chunk_id, fmt.CHUNK_BYTES, None, fmt.CODEC_ZSTD, chunk_id * 2)


def described(start_bytes: int, length_bytes: int) -> Dict[str, Any]:
    """Device information that tells where the volume lies."""
    partition = {"number": 1, "start_bytes": start_bytes, "length_bytes": length_bytes}
    volume = {"number": 1, "kind": "ntfs", "uuid": "0123456789ABCDEF"}
    return {"disks": {"disk0": {"layout": {"partitions": [partition]}, "volumes": [volume]}}}


def main(folder: Path, tib: float = 2.0) -> str:
    size_bytes = int(tib * (1 << 40)) // fmt.SEGMENT_BYTES * fmt.SEGMENT_BYTES
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    disk_writer.ChunkWorker = SimulatedWorker  # type: ignore[assignment,misc]
    fmt.PACK_TARGETS = ((1 << 62, CHUNKS_PER_PACK * 80),)

    def image(name: str = "serial:huge", more_bytes: int = 0, first: int = 0) -> Dict[str, int]:
        storage = CountingStorage(DirectoryStorage(str(folder)))
        source = HugeSource(size_bytes + more_bytes, size_bytes, first)
        disks = [DiskInput(source, ExtentSet([(first * fmt.CHUNK_BYTES, size_bytes)]), name)]
        information = described(first * fmt.CHUNK_BYTES, size_bytes)
        job = ImageOrder(
            "huge",
            "2026-11-23_20-00-00",
            disks,
            Passwords(password=PASSWORD),
            scrub_bytes=0,
            device_information=information,
        )
        result = write_image(storage, job)
        trips = sum(storage.operations.values())
        return {
            "sent": storage.sent_bytes,
            "fetched": storage.fetched_bytes,
            "trips": trips,
            "packs": len(result.new_packs),
        }

    def read_all() -> Dict[str, int]:
        storage = CountingStorage(DirectoryStorage(str(folder)))
        reader = ImageReader(storage, "huge", "latest", PASSWORD).disk(0)
        chunks = 0
        for number in range(reader.root.segment_count):
            chunks += reader.segment(number).count
        if chunks != -(-reader.root.size_bytes // fmt.CHUNK_BYTES):
            raise AssertionError("the index does not cover the disk")
        return {"sent": storage.sent_bytes, "fetched": storage.fetched_bytes, "trips": sum(storage.operations.values())}

    def sweep() -> Dict[str, int]:
        storage = CountingStorage(DirectoryStorage(str(folder)))
        roll_over(storage, "huge", 2, openable_key=None)
        return {"sent": storage.sent_bytes, "fetched": storage.fetched_bytes, "trips": sum(storage.operations.values())}

    rows = []
    for name, work in (
        ("first image", image),
        ("second image, nothing changed", image),
        ("third image, nothing changed", image),
        ("a replaced disk: another name, a third larger", lambda: image("serial:new", size_bytes // 3)),
        ("its volume moved by 16 MiB", lambda: image("serial:new", size_bytes // 3, 256)),
        ("the same, nothing changed", lambda: image("serial:new", size_bytes // 3, 256)),
        ("rollover to two images", sweep),
        ("restore: the whole index opened", read_all),
    ):
        run = measured(work)
        rows.append(
            [
                name,
                "%.1f" % (run.result["fetched"] / MIB),
                "%.1f" % (run.result["sent"] / MIB),
                str(run.result["trips"]),
                "%.0f" % run.peak_mib,
                "%.0f" % run.seconds,
            ]
        )
        print("bench:", rows[-1], flush=True)
    shutil.rmtree(folder)
    return table(["what", "fetched MiB", "sent MiB", "round trips", "peak MiB", "seconds"], rows)
