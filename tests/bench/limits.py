# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `imaging_limit_io_rate` does: bytes sent a second. What a run costs others on the same disk: latency.py."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Iterable, Iterator, List, Optional

from engine.storage.contract import Deadline
from engine.storage.local.storage import DirectoryStorage
from engine.verbs import dispatch as jobs
from measure import table


class TimedStorage(DirectoryStorage):
    """Notes when each piece of a pack passed the limit."""

    pieces: List[tuple] = []

    def put(
        self, path: str, data: Iterable[bytes], *, replace: bool = False, deadline: Optional[Deadline] = None
    ) -> int:
        def timed() -> Iterator[bytes]:
            for piece in data:
                self.pieces.append((time.monotonic(), len(piece)))
                yield piece

        return super().put(path, timed() if "/packs/" in path else data, replace=replace, deadline=deadline)


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
