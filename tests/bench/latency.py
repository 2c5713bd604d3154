# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run costs others on the same disk: how long a write of 4 KiB with fsync takes them, alone and while it is imaged.

What the machine does besides changes from minute to minute. So the settings take turns, in another order each round, for a
few seconds each; a percentile is that of all samples of a setting, and the range is that of its rounds.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from measure import MIB, ROOT, table

_DISK_MIB = 3072
_SETTLE_SECONDS = 3.0  # what others do is noticed within a second
_WINDOW_SECONDS = 8.0
_PAUSE_SECONDS = 0.005  # of the others, between two writes
_ELSEWHERE = Path("/dev/shm/plantops-latency")  # as a storage behind the network: costs this disk nothing


class Setting(NamedTuple):
    name: str
    read_rate: Any  # None: no run
    storage_here: bool = False


SETTINGS = (
    Setting("nothing else", None),
    Setting("an image, no limit", 0),
    Setting("an image, `auto`", "auto"),
    Setting("an image, 20 MB/s", 20),
    Setting("an image, no limit, its storage on the same disk", 0, True),
    Setting("an image, `auto`, its storage on the same disk", "auto", True),
)


class Others(threading.Thread):
    """Somebody who writes and syncs all the time."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._end = threading.Event()
        self.milliseconds: List[float] = []

    def run(self) -> None:
        descriptor = os.open(str(self._path), os.O_WRONLY | os.O_CREAT)
        number = 0
        while not self._end.is_set():
            started = time.monotonic()
            os.pwrite(descriptor, os.urandom(4096), number % 1000 * 4096)
            os.fsync(descriptor)
            self.milliseconds.append((time.monotonic() - started) * 1000)
            number += 1
            time.sleep(_PAUSE_SECONDS)
        os.close(descriptor)

    def stop(self) -> None:
        self._end.set()
        self.join()


@contextlib.contextmanager
def image(disk: Path, storage: Path, read_rate: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A run of the engine in a process of its own, as on a device; ended with the block."""
    job = {"verb": "image", "device": "d", "storage": {"url": str(storage)}, "secrets": {"password": "x"}}
    job.update(drives=[str(disk)], limit_read_rate=read_rate)
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "plugins" / "module_utils"))
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.agent.command"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        if process.stdin is not None:
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
        while read_bytes(process) < MIB:
            if process.poll() is not None:
                raise SystemExit("the run ended before it read anything")
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait()


def read_bytes(process: subprocess.Popen[bytes]) -> int:
    """What the process has had read from disks."""
    try:
        lines = Path("/proc/%d/io" % process.pid).read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return int(dict(line.split(": ") for line in lines)["read_bytes"])


def one_window(folder: Path, setting: Setting) -> Dict[str, Any]:
    """Return the samples of a few seconds and what the run read meanwhile, in MB/s."""
    storage = folder / "storage" if setting.storage_here else _ELSEWHERE
    shutil.rmtree(storage, ignore_errors=True)
    storage.mkdir(parents=True)
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
    others = Others(folder / "foreground")
    others.start()
    rate: Optional[float] = None
    try:
        if setting.read_rate is None:
            time.sleep(_SETTLE_SECONDS)
            first = len(others.milliseconds)
            time.sleep(_WINDOW_SECONDS)
            last = len(others.milliseconds)
        else:
            with image(folder / "disk", storage, setting.read_rate) as process:
                time.sleep(_SETTLE_SECONDS)
                first, began, before = len(others.milliseconds), time.monotonic(), read_bytes(process)
                after, ended = before, began
                while process.poll() is None and time.monotonic() < began + _WINDOW_SECONDS:
                    time.sleep(0.05)
                    after, ended = max(after, read_bytes(process)), time.monotonic()
                last = len(others.milliseconds)
                rate = (after - before) / (ended - began) / 1e6
    finally:
        others.stop()
        shutil.rmtree(storage)
    return {"samples": others.milliseconds[first:last], "rate": rate}


def percentile(values: List[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def foreground_latency(folder: Path, rounds: int) -> str:
    """Return the table; needs root, to empty the cache."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with open(folder / "disk", "wb") as file:
        for dummy in range(_DISK_MIB):
            file.write(os.urandom(MIB))
    found: Dict[str, List[Dict[str, Any]]] = {setting.name: [] for setting in SETTINGS}
    chance = random.Random(1)
    try:
        for number in range(rounds):
            for setting in chance.sample(SETTINGS, len(SETTINGS)):
                window = one_window(folder, setting)
                found[setting.name].append(window)
                line = (number + 1, setting.name, percentile(window["samples"], 0.99), len(window["samples"]))
                print("bench: round %d, %s: 99th percentile %.2f ms of %d writes" % line, flush=True)
    finally:
        shutil.rmtree(folder)
    head = ["besides it runs", "median ms", "99th percentile ms", "range of the rounds", "99.9th", "worst", "writes"]
    return table([*head, "read MB/s"], [row(name, windows) for name, windows in found.items()])


def row(name: str, windows: List[Dict[str, Any]]) -> List[str]:
    samples = [one for window in windows for one in window["samples"]]
    each = [percentile(window["samples"], 0.99) for window in windows]
    rates = [window["rate"] for window in windows if window["rate"] is not None]
    return [
        name,
        "%.2f" % statistics.median(samples),
        "%.2f" % percentile(samples, 0.99),
        "%.2f to %.2f" % (min(each), max(each)),
        "%.1f" % percentile(samples, 0.999),
        "%.1f" % max(samples),
        str(len(samples)),
        "%.0f" % statistics.median(rates) if rates else "",
    ]
