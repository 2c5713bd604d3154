# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processor seconds of an image with the wheels of each bundle for Windows, under Wine, and of their hash and cipher alone."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

from engine.install.bundle import build_bundle
from measure import MIB, table
from support.bundles import WHEEL_CACHE
from support.imaging import PASSWORD
from support.paths import SUPPORT
from support.windows.device import WindowsDevice, environment_of
from support.windows.kinds import WINDOWS_10
from support.windows.parts import CURRENT, WINDOWS_7, wheels

# By the row of the table: the bundle, and a package that is exchanged for the one of the bundle for Windows 7.
SETS: Dict[str, Tuple[str, str]] = {
    "windows-7-amd64": (WINDOWS_7, ""),
    "windows-amd64": (CURRENT, ""),
    "windows-amd64 with cryptography 42": (CURRENT, "cryptography"),
}


def main(folder: Path, size_mib: int, rounds: int) -> str:
    """Return the table; the fewest seconds of ``rounds`` count, because others use the machine too."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds: Dict[str, List[Dict[str, Any]]] = {name: [] for name in SETS}
    with WindowsDevice(folder / "windows-prefix", WINDOWS_10) as device:
        write_disk(device.host_path(r"C:\disk.raw"), size_mib)
        shutil.copy(SUPPORT / "windows" / "measure_image.py", device.host_path(r"C:\measure_image.py"))
        for number, (name, (platform, exchanged)) in enumerate(SETS.items()):
            unpack(platform, exchanged, folder, device.host_path(r"C:\set%d" % number))
        for dummy in range(rounds):
            for number, name in enumerate(SETS):
                seconds[name].append(measure(device, number))
    rows = []
    for name, found in seconds.items():
        best = {what: min(one[what] for one in found) for what in ("image", "hash", "cipher", "compress")}
        versions = found[0]["versions"]
        words = (
            "CPython %(python)s, blake3 %(blake3)s, cryptography %(cryptography)s, zstandard %(zstandard)s" % versions
        )
        rows.append([name, words, *("%.2f" % best[what] for what in ("image", "hash", "cipher", "compress"))])
    head = "A disk file of %d MiB, half of it compressible, encrypted, to a directory; fewest of %d\n\n" % (
        size_mib,
        rounds,
    )
    return head + table(["set", "parts", "image s", "BLAKE3 s/GiB", "AES-GCM s/GiB", "zstd s/GiB"], rows)


def write_disk(path: Path, size_mib: int) -> None:
    """A file without a partition table, so that all of it is stored."""
    chosen = random.Random(7)
    text = b"".join(b"%d\n" % chosen.randrange(10**6) for dummy in range(MIB // 7))[:MIB]
    with open(path, "wb") as file:
        for number in range(size_mib):
            file.write(text[number % 997 :] + text[: number % 997] if number % 2 else chosen.randbytes(MIB))


def unpack(platform: str, exchanged: str, folder: Path, target: Path) -> None:
    made = build_bundle(platform, str(folder), cache_folder=str(WHEEL_CACHE))
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(target)
    if exchanged:
        for path in [*(target / "lib").glob(exchanged), *(target / "lib").glob(exchanged + "-*")]:
            shutil.rmtree(path)
        for path in wheels(WINDOWS_7, exchanged).values():
            with zipfile.ZipFile(path) as archive:
                archive.extractall(target / "lib")


def measure(device: WindowsDevice, number: int) -> Dict[str, Any]:
    storage = device.host_path(r"C:\storage")
    shutil.rmtree(storage, ignore_errors=True)
    storage.mkdir()
    request = {
        "verb": "image",
        "device": "pc",
        "drives": [r"C:\disk.raw"],
        "storage": {"url": r"C:\storage"},
        "secrets": {"password": PASSWORD},
        "timestamp": "2026-11-29_18-00-00",
        "limit_read_rate": 0,
    }
    done = subprocess.run(
        ["wine", r"C:\set%d\python\python.exe" % number, r"C:\measure_image.py"],
        input=json.dumps(request).encode(),
        capture_output=True,
        env=environment_of(device.prefix),
        cwd=device.drive,
        check=False,
    )
    answer: Dict[str, Any] = json.loads(done.stdout.decode().strip().splitlines()[-1])
    if answer["result"].get("event") != "result":
        raise RuntimeError("%s %s" % (answer, os.fsdecode(done.stderr)))
    return answer
