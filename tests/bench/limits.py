# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the limits do: bytes sent a second, and what a run costs others on the same disk."""

from __future__ import annotations

import os
import shutil
import statistics
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

from engine.agent import jobs
from engine.storage.contract import SendGate
from engine.storage.directory import DirectoryStorage
from measure import MIB, engine, measured, table


class TimedStorage(DirectoryStorage):
    """Notes when each piece passed the gate."""

    pieces: List[tuple] = []

    def put(self, path: str, data: Iterable[bytes], *, replace: bool = False, gate: Optional[SendGate] = None) -> int:
        def timed(size_bytes: int) -> None:
            if gate is not None:
                gate(size_bytes)
                self.pieces.append((time.monotonic(), size_bytes))

        return super().put(path, data, replace=replace, gate=timed)


def io_rate(folder: Path) -> str:
    """The rate on the stream for limits of 5, 20 and 80 MB/s, data that does not compress."""
    rows = []
    for limit in (5, 20, 80):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "storage").mkdir(parents=True)
        disk = folder / "disk"
        disk.write_bytes(os.urandom(limit * 12 * 1_000_000))
        TimedStorage.pieces = []
        original = jobs.open_storage
        jobs.open_storage = lambda settings, *dummy, **dummy_named: TimedStorage(settings["url"])  # type: ignore[assignment]
        try:
            job = {
                "verb": "image",
                "device": "d",
                "storage": {"url": str(folder / "storage")},
                "secrets": {"password": "x"},
            }
            jobs.run_job(
                dict(job, drives=[str(disk)], limit_io_rate=limit, limit_read_rate=0), lambda e: None, lambda: False
            )
        finally:
            jobs.open_storage = original
        pieces = TimedStorage.pieces
        # The first piece passes at once; what it may carry counts from then on.
        seconds = pieces[-1][0] - pieces[0][0]
        rate = sum(size for dummy, size in pieces[1:]) / seconds / 1e6
        rows.append([str(limit), "%.2f" % rate, "%+.1f %%" % ((rate / limit - 1) * 100), "%.1f" % seconds])
    shutil.rmtree(folder)
    return table(["limit MB/s", "measured MB/s", "off by", "seconds"], rows)


def foreground_latency(folder: Path) -> str:
    """Milliseconds for a write of 4 KiB with fsync on the imaged disk's file system: alone, and while it is imaged."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "storage").mkdir(parents=True)
    disk = folder / "disk"
    disk.write_bytes(os.urandom(1500 * MIB))
    rows = []
    settings: Dict[str, Dict[str, Any]] = {
        "nothing else": {},
        "image, no limit": {"limit_read_rate": 0},
        "image, auto": {"limit_read_rate": "auto"},
        "image, 20 MB/s": {"limit_read_rate": 20},
    }
    for name, more in settings.items():
        shutil.rmtree(folder / "storage")
        (folder / "storage").mkdir()
        os.system("sync; echo 3 > /proc/sys/vm/drop_caches")
        stop = threading.Event()
        times: List[float] = []

        def loop(stop: threading.Event, times: List[float]) -> None:
            descriptor = os.open(str(folder / "foreground"), os.O_WRONLY | os.O_CREAT)
            number = 0
            while not stop.is_set():
                started = time.monotonic()
                os.pwrite(descriptor, os.urandom(4096), number % 1000 * 4096)
                os.fsync(descriptor)
                times.append((time.monotonic() - started) * 1000)
                number += 1
                time.sleep(0.005)
            os.close(descriptor)

        thread = threading.Thread(target=loop, args=(stop, times))
        thread.start()
        if more:
            job = {
                "verb": "image",
                "device": "d",
                "storage": {"url": str(folder / "storage")},
                "secrets": {"password": "x"},
            }
            run = measured(engine(dict(job, drives=[str(disk)], **more)))
            rate = "%.0f" % (1500 * MIB / run.seconds / 1e6)
        else:
            time.sleep(12)
            rate = ""
        stop.set()
        thread.join()
        ordered = sorted(times)
        rows.append(
            [
                name,
                "%.2f" % statistics.median(ordered),
                "%.2f" % ordered[int(len(ordered) * 0.99)],
                "%.1f" % ordered[-1],
                str(len(ordered)),
                rate,
            ]
        )
    shutil.rmtree(folder)
    return table(["besides it runs", "median ms", "99th percentile ms", "worst ms", "writes", "read MB/s"], rows)
