# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage of 2,000 devices, one of which has 500 images and 20,000 packs: what each verb costs at 20 ms a round trip."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

from engine.device.identity import claim_directory, read_identity
from engine.disk.extents import ExtentSet
from engine.image.access import Passwords
from engine.image.format import constants as fmt
from engine.image.reader import ImageReader
from engine.image.writing import disk_writer
from engine.image.writing.pipeline import WorkedChunk
from engine.image.writing.writer import DiskInput, ImageOrder, write_image
from engine.storage.contract import Storage
from engine.storage.local.storage import DirectoryStorage
from engine.storage.sftp.storage import SftpStorage
from engine.storage.smb.storage import SmbStorage
from measure import MIB, measured, table
from scale import HugeSource, SimulatedWorker
from storages import ROUND_TRIP_SECONDS, proxied
from support.imaging import ask
from support.samba_server import samba
from support.sftp_server import SftpServer
from support.storages import CountingStorage

DEVICE = "press-04"
PASSWORD = "crowd"
CHUNKS_PER_PACK = 4
TAIL_CHUNKS = 40  # the disk's last, short segment: it changes with every image
HEAD_SEGMENTS = 15


class ChangingTail(SimulatedWorker):
    """Only the last segment's chunks differ from image to image."""

    generation = 0

    def _ids(self, segment: int) -> bytes:
        seed = segment if segment < HEAD_SEGMENTS else (self.generation + 1) << 32
        return random.Random(seed).randbytes(fmt.SEGMENT_CHUNKS * fmt.ID_BYTES)

    def prepare(self, segment: int, positions: List[int], dummy_lookup: Any) -> Iterator[WorkedChunk]:
        return super().prepare(segment, positions, dummy_lookup)


def image(storage: Storage) -> Dict[str, int]:
    size_bytes = HEAD_SEGMENTS * fmt.SEGMENT_BYTES + TAIL_CHUNKS * fmt.CHUNK_BYTES
    disks = [DiskInput(HugeSource(size_bytes), ExtentSet([(0, size_bytes)]), "serial:crowd")]
    generation = ChangingTail.generation
    timestamp = "20%02d-%02d-%02d_%02d-00-00" % (
        26 + generation // 336,
        1 + generation // 28 % 12,
        1 + generation % 28,
        1,
    )
    write_image(storage, ImageOrder(DEVICE, timestamp, disks, Passwords(password=PASSWORD), scrub_bytes=0))
    ChangingTail.generation += 1
    return {}


def build(root: Path, devices: int, images: int) -> None:
    """2,000 directories of other devices, and one device with everything, written by the engine itself."""
    disk_writer.ChunkWorker = ChangingTail  # type: ignore[assignment,misc]
    fmt.PACK_TARGETS = ((1 << 62, CHUNKS_PER_PACK * 80),)
    storage = DirectoryStorage(str(root))
    for number in range(devices - 1):
        for name in ("packs", "keys", "records", "trash"):
            os.makedirs(str(root / ("device-%04d" % number) / name))
    claim_directory(storage, DEVICE, read_identity(), adopt=False)
    for number in range(images):
        image(storage)
        if number % 100 == 99:
            print("bench: %d images" % (number + 1), flush=True)


def opened(storage: Storage) -> Any:
    return ImageReader(storage, DEVICE, "latest", PASSWORD).disk(0).root.segment_count


def main(folder: Path, devices: int = 2000, images: int = 500) -> str:
    folder = Path("/dev/shm/plantops-crowd") if os.path.isdir("/dev/shm") else folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    verbs: List[Tuple[str, Callable[[Storage], Any]]] = [
        ("open the latest image", opened),
        ("list all images", lambda storage: len(ask(storage, "list", DEVICE, PASSWORD)["images"])),
        ("verify, quick", lambda storage: ask(storage, "verify", DEVICE, PASSWORD, level="quick")["ok"]),
        ("image, nearly unchanged", image),
        (
            "rollover, nothing to delete",
            lambda storage: len(ask(storage, "rollover", DEVICE, PASSWORD, keep=images + 5)["images"]),
        ),
        (
            "rollover by two images",
            lambda storage: len(ask(storage, "rollover", DEVICE, PASSWORD, keep=images - 1)["images"]),
        ),
    ]
    rows = []
    try:
        with SftpServer(folder / "sftp") as sftp, samba(folder / "smb") as share:
            sftp.root.mkdir(exist_ok=True)
            build(sftp.root, devices, images)
            packs = len(DirectoryStorage(str(sftp.root)).list(DEVICE + "/packs"))
            count = sum(len(files) for dummy, dummy_folders, files in os.walk(str(sftp.root / DEVICE / "packs")))
            print("bench: %d packs in %d folders" % (count, packs), flush=True)
            smb_root = share.root / share.below
            smb_root.mkdir(exist_ok=True)
            shutil.copytree(sftp.root / DEVICE, smb_root / DEVICE)
            subprocess.run(["chmod", "-R", "a+rwX", str(smb_root)], check=True)
            with proxied(sftp.port, ROUND_TRIP_SECONDS) as sftp_port, proxied(
                share.port, ROUND_TRIP_SECONDS
            ) as smb_port:
                servers: List[Tuple[str, Callable[[], Storage]]] = [
                    ("SFTP", lambda: SftpStorage(sftp.settings(sftp_port))),
                    ("SMB", lambda: SmbStorage({**share.settings, "port": smb_port})),
                ]
                for name, verb in verbs:
                    for server, connect in servers:
                        rows.append(_measure(name, verb, server, connect))
                        print("bench:", rows[-1], flush=True)
    finally:
        shutil.rmtree(folder)
    head = "%d devices, one with %d images and %d packs; 20 ms a round trip" % (devices, images, count)
    return head + "\n\n" + table(["what", "storage", "calls", "fetched MiB", "sent MiB", "seconds", "peak MiB"], rows)


def _measure(name: str, verb: Callable[[Storage], Any], server: str, connect: Callable[[], Storage]) -> List[str]:
    def work() -> Dict[str, Any]:
        with connect() as inner:
            storage = CountingStorage(inner)
            answer = verb(storage)
            return {
                "calls": sum(storage.operations.values()),
                "fetched": storage.fetched_bytes,
                "sent": storage.sent_bytes,
                "answer": answer,
            }

    run = measured(work)
    sizes = ["%.1f" % (run.result[key] / MIB) for key in ("fetched", "sent")]
    return [name, server, str(run.result["calls"]), *sizes, "%.1f" % run.seconds, "%.0f" % run.peak_mib]
