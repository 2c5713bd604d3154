# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MB/s to storages on servers, next to the servers' own clients and the raw library, at once and at 20 ms."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import paramiko
from engine.storage.sftp.storage import SftpStorage
from measure import MIB, table
from support.sftp_server import SftpServer

ROUND_TRIP_SECONDS = 0.020
Speeds = Dict[Tuple[str, str, str], List[float]]


def main(folder: Path, size_mib: int, rounds: int) -> str:
    """Return the table; the best of ``rounds`` counts, because others use the machine too."""
    folder = Path("/dev/shm/plantops-bench") if os.path.isdir("/dev/shm") else folder
    folder.mkdir(parents=True, exist_ok=True)
    data = [os.urandom(MIB) for dummy in range(size_mib)]
    (folder / "source").write_bytes(b"".join(data))
    speeds: Speeds = {}
    try:
        with SftpServer(folder / "sftp") as server:
            server.root.mkdir()
            for line, delay in (("loopback", 0.0), ("20 ms", ROUND_TRIP_SECONDS)):
                with proxied(server.port, delay) as port:
                    for dummy in range(rounds):
                        for who, run in (("ours", ours), ("paramiko", raw_library), ("sftp", openssh_client)):
                            for what, seconds in run(server, port, data, folder).items():
                                speeds.setdefault((line, who, what), []).append(size_mib * MIB / seconds / 1e6)
    finally:
        shutil.rmtree(folder)
    rows = [
        ["SFTP", line, who, *("%.0f" % max(speeds[line, who, what]) for what in ("put", "read"))]
        for line in ("loopback", "20 ms")
        for who in ("ours", "paramiko", "sftp")
    ]
    return "%d MiB that do not compress, best of %d\n\n" % (size_mib, rounds) + table(
        ["storage", "line", "client", "put MB/s", "read MB/s"], rows
    )


@contextlib.contextmanager
def proxied(port: int, round_trip_seconds: float) -> Iterator[int]:
    """Yield the port of a proxy that delays, in a process of its own; of the server itself for no delay."""
    if not round_trip_seconds:
        yield port
        return
    program = Path(__file__).resolve().parent.parent / "support" / "proxy.py"
    proxy = subprocess.Popen(
        [sys.executable, str(program), str(port), str(round_trip_seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    if proxy.stdin is None or proxy.stdout is None:
        raise AssertionError("the proxy has no pipes")
    try:
        yield int(proxy.stdout.readline())
    finally:
        proxy.stdin.close()
        proxy.stdout.close()
        proxy.wait()


def timed(work: Callable[[], Any]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def ours(server: SftpServer, port: int, data: List[bytes], dummy_folder: Path) -> Dict[str, float]:
    with SftpStorage(server.settings(port)) as storage:
        storage.list("")
        put = timed(lambda: storage.put("ours", data, replace=True))
        return {"put": put, "read": timed(lambda: sum(len(piece) for piece in storage.read("ours")))}


def raw_library(server: SftpServer, port: int, dummy_data: List[bytes], folder: Path) -> Dict[str, float]:
    """paramiko's own client as its documentation shows it, with the large window that it allows."""
    with contextlib.closing(paramiko.Transport(("127.0.0.1", port))) as transport:
        key = paramiko.Ed25519Key.from_private_key_file(str(server.key))
        transport.connect(username=server.settings()["username"], pkey=key)
        client = paramiko.SFTPClient.from_transport(transport, window_size=32 << 20)
        if client is None:
            raise AssertionError("no SFTP")
        target = str(server.root / "raw")
        put = timed(lambda: client.put(str(folder / "source"), target))
        return {
            "put": put,
            "read": timed(lambda: client.get(target, str(folder / "got"), max_concurrent_prefetch_requests=64)),
        }


def openssh_client(server: SftpServer, port: int, dummy_data: List[bytes], folder: Path) -> Dict[str, float]:
    """OpenSSH's sftp, with its login, which takes a tenth of a second."""

    def run(batch: str) -> None:
        options = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"]
        command = ["sftp", "-q", "-b", "-", "-P", str(port), "-i", str(server.key), *options, "127.0.0.1"]
        subprocess.run(command, input=batch.encode(), check=True, stdout=subprocess.DEVNULL)

    target = server.root / "client"
    put = timed(lambda: run("put %s %s\n" % (folder / "source", target)))
    return {"put": put, "read": timed(lambda: run("get %s %s\n" % (target, folder / "got")))}
