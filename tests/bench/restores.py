# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores over SFTP, the image verified first or while writing, next to the OpenSSH client that fetches the same packs.
Neither reads back what it wrote."""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Dict, List, Tuple

from measure import MIB, engine, measured, table
from storages import ROUND_TRIP_SECONDS, proxied, timed
from support.sftp_server import SftpServer

WAYS = ("first", "while_writing")


def main(folder: Path, size_mib: int, rounds: int) -> str:
    """Return the table: MB/s, the median of ``rounds``, and the largest memory of the engine."""
    folder = folder / "restores"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    speeds: Dict[Tuple[str, str], List[float]] = {}
    peaks: Dict[str, float] = {}
    try:
        with SftpServer(folder / "sftp") as server:
            disk, restored = folder / "disk", folder / "restored"
            chance = random.Random(7)
            disk.write_bytes(b"".join(chance.randbytes(MIB) for dummy in range(size_mib)))
            job = {"device": "line", "secrets": {"password": "line"}}
            image = dict(job, verb="image", drives=[str(disk)], limit_read_rate=0)
            engine(dict(image, storage=server.settings(server.port)))()
            packs = sorted((server.root / "line" / "packs").rglob("?" * 64))
            for line, delay in (("loopback", 0.0), ("20 ms", ROUND_TRIP_SECONDS)):
                with proxied(server.port, delay) as port:
                    for dummy in range(rounds):
                        seconds = timed(lambda port=port: _client(server, port, packs, folder / "got"))
                        stored = sum(path.stat().st_size for path in packs)
                        speeds.setdefault((line, "sftp, the packs"), []).append(stored / seconds / 1e6)
                        for way in WAYS:
                            request = dict(
                                job, verb="restore", map={"disk0": str(restored)}, proof=way, read_back=False
                            )
                            found = measured(engine(dict(request, storage=server.settings(port))))
                            subprocess.run(["cmp", str(disk), str(restored)], check=True)
                            restored.unlink()
                            who = "restore, %s" % way
                            speeds.setdefault((line, who), []).append(size_mib * MIB / found.seconds / 1e6)
                            peaks[who] = max(peaks.get(who, 0.0), found.peak_mib)
    finally:
        shutil.rmtree(folder)
    rows = [
        [line, who, "%.1f" % statistics.median(values), "%.0f" % peaks[who] if who in peaks else ""]
        for (line, who), values in speeds.items()
    ]
    head = "A disk of %d MiB that does not compress, MB/s, median of %d" % (size_mib, rounds)
    return head + "\n\n" + table(["line", "who", "MB/s", "peak MiB"], rows)


def _client(server: SftpServer, port: int, packs: List[Path], target: Path) -> None:
    """Fetch the packs with one login of the OpenSSH client."""
    target.mkdir()
    batch = "".join("get %s %s\n" % (path, target / path.name) for path in packs)
    options = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"]
    command = ["sftp", "-q", "-b", "-", "-P", str(port), "-i", str(server.key), *options, "127.0.0.1"]
    subprocess.run(command, input=batch.encode(), check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(target)
