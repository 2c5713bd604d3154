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
from engine.image import disk_writer
from engine.image import format as fmt
from engine.image.access import Passwords
from engine.image.pipeline import Ids, Lookup, WorkedChunk
from engine.image.reader import ImageReader
from engine.image.rollover import roll_over
from engine.image.writer import DiskInput, ImageJob, write_image
from engine.storage.directory import DirectoryStorage
from measure import MIB, measured, table
from support.storages import CountingStorage

PASSWORD = "scale"
CHUNKS_PER_PACK = 2500  # what 64 MiB hold of chunks that compress to 26 KiB


class HugeSource(BlockSource):
    """A disk of which only the size is real."""

    def __init__(self, size_bytes: int) -> None:
        self.path, self.size_bytes, self.sector_bytes = "simulated", size_bytes, 512

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:  # noqa: ARG002
        raise AssertionError("nothing is read")

    def close(self) -> None:
        """Nothing is open."""


class SimulatedWorker:
    """Stands for the worker that reads, hashes and compresses: ids come from the place, content is a tag."""

    changed: set = set()

    def __init__(self, source: BlockSource, *dummy: Any) -> None:
        self._source = source

    def close(self) -> None:
        """No threads."""

    def in_use(self, segment: int, chunk_count: int) -> List[int]:  # noqa: ARG002
        return list(range(chunk_count))

    def _ids(self, segment: int) -> bytes:
        return random.Random((segment << 1) + (segment in self.changed)).randbytes(fmt.SEGMENT_CHUNKS * fmt.ID_BYTES)

    def identify(self, segment: int, chunk_count: int) -> Iterator[Ids]:
        yield 0, self._ids(segment)[: chunk_count * fmt.ID_BYTES]

    def prepare(self, segment: int, positions: List[int], dummy_lookup: Lookup) -> Iterator[WorkedChunk]:
        ids = self._ids(segment)
        for position in positions:
            chunk_id = ids[position * 32 : position * 32 + 32]
            yield WorkedChunk(position, chunk_id, fmt.CHUNK_BYTES, None, fmt.CODEC_ZSTD, chunk_id * 2)


def main(folder: Path, tib: float = 2.0) -> str:
    size_bytes = int(tib * (1 << 40)) // fmt.SEGMENT_BYTES * fmt.SEGMENT_BYTES
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    disk_writer.ChunkWorker = SimulatedWorker  # type: ignore[assignment,misc]
    fmt.PACK_TARGETS = ((1 << 62, CHUNKS_PER_PACK * 80),)

    def image() -> Dict[str, int]:
        storage = CountingStorage(DirectoryStorage(str(folder)))
        disks = [DiskInput(HugeSource(size_bytes), ExtentSet([(0, size_bytes)]), "serial:huge")]
        job = ImageJob("huge", "2026-11-23_20-00-00", disks, Passwords(password=PASSWORD), scrub_bytes=0)
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
        if chunks * fmt.CHUNK_BYTES != size_bytes:
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
