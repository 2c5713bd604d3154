# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole images over SFTP and SMB, next to the servers' own clients moving the bytes of the same disk."""

from __future__ import annotations

import functools
import os
import random
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple

from measure import MIB, engine, table
from storages import ROUND_TRIP_SECONDS, proxied, timed
from support.samba_server import PASSWORD, USER, SambaServer, samba
from support.sftp_server import SftpServer

STEPS = ("first image", "second image", "restore")
_CHUNK_BYTES = 65536


class Server(NamedTuple):
    """How to reach a server's root as a storage, and what its own clients are called with."""

    name: str
    port: int
    storage: Callable[[int], Dict[str, Any]]
    clients: Dict[str, Callable[[int, str, str], None]]  # port, "put" or "get", local file
    root: Path


def main(folder: Path, size_mib: int, rounds: int) -> str:
    """Return the table: MB/s of the disk's bytes, the median of ``rounds``; everything in memory, encrypted by SSH or SMB."""
    folder = Path("/dev/shm/plantops-wire") if os.path.isdir("/dev/shm") else folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    speeds: Dict[Tuple[str, str, str, str], List[float]] = {}
    try:
        for server in servers(folder):
            for line, delay in (("loopback", 0.0), ("20 ms", ROUND_TRIP_SECONDS)):
                with proxied(server.port, delay) as port:
                    for dummy in range(rounds):
                        for who, step, seconds in _round(server, port, folder, size_mib):
                            key = (server.name, line, who, step)
                            speeds.setdefault(key, []).append(size_mib * MIB / seconds / 1e6)
                            print("bench:", *key, "%.0f MB/s" % speeds[key][-1], flush=True)
    finally:
        shutil.rmtree(folder)
    rows = []
    for place in dict.fromkeys(key[:3] for key in speeds):
        medians = [speeds.get((*place, step)) for step in STEPS]
        rows.append([*place, *("%.0f" % statistics.median(values) if values else "as the first" for values in medians)])
    head = "A disk of %d MiB that does not compress; 1 %% rewritten before the second image; MB/s of the disk, median of %d"
    return head % (size_mib, rounds) + "\n\n" + table(["storage", "line", "who", *STEPS], rows)


def _round(server: Server, port: int, folder: Path, size_mib: int) -> Iterator[Tuple[str, str, float]]:
    disk, restored = folder / "disk", folder / "restored"
    chance = random.Random(7)
    disk.write_bytes(b"".join(chance.randbytes(MIB) for dummy in range(size_mib)))
    for who, transfer in server.clients.items():
        yield who, "first image", timed(functools.partial(transfer, port, "put", str(disk)))
        yield who, "restore", timed(functools.partial(transfer, port, "get", str(restored)))
    job = {"device": "wire", "storage": server.storage(port), "secrets": {"password": "wire"}}
    image = engine(dict(job, verb="image", drives=[str(disk)], limit_read_rate=0))
    yield "ours", "first image", timed(image)
    with open(disk, "r+b") as file:
        for dummy in range(size_mib * MIB // _CHUNK_BYTES // 100):
            file.seek(chance.randrange(size_mib * MIB // _CHUNK_BYTES) * _CHUNK_BYTES)
            file.write(chance.randbytes(_CHUNK_BYTES))
    yield "ours", "second image", timed(image)
    restored.unlink()
    yield "ours", "restore", timed(engine(dict(job, verb="restore", map={"disk0": str(restored)})))
    subprocess.run(["cmp", str(disk), str(restored)], check=True)
    for name in list(server.root.iterdir()):
        (shutil.rmtree if name.is_dir() else os.unlink)(name)
    restored.unlink()


def servers(folder: Path) -> Iterator[Server]:
    """One after the other, each stopped before the next."""
    with SftpServer(folder / "sftp") as sftp:
        sftp.root.mkdir(exist_ok=True)
        clients = {"sftp": _ssh_client(sftp, "sftp"), "scp": _ssh_client(sftp, "scp")}
        yield Server("SFTP", sftp.port, sftp.settings, clients, sftp.root)
    with samba(folder / "smb", options={"server smb encrypt": "required"}) as share:
        root = share.root / share.below
        root.mkdir(exist_ok=True)
        root.chmod(0o777)
        settings = share.settings
        yield Server(
            "SMB, encrypted",
            share.port,
            lambda port: {**settings, "port": port},
            {"smbclient": _smb_client(share)},
            root,
        )


def _ssh_client(server: SftpServer, program: str) -> Callable[[int, str, str], None]:
    options = [
        "-oStrictHostKeyChecking=no",
        "-oUserKnownHostsFile=/dev/null",
        "-oLogLevel=ERROR",
        "-i",
        str(server.key),
    ]
    target = str(server.root / "client")

    def transfer(port: int, way: str, local: str) -> None:
        if program == "scp":
            ends = [local, "127.0.0.1:" + target] if way == "put" else ["127.0.0.1:" + target, local]
            subprocess.run(["scp", "-q", "-P", str(port), *options, *ends], check=True)
            return
        batch = "put %s %s\n" % (local, target) if way == "put" else "get %s %s\n" % (target, local)
        command = ["sftp", "-q", "-b", "-", "-P", str(port), *options, "127.0.0.1"]
        subprocess.run(command, input=batch.encode(), check=True, stdout=subprocess.DEVNULL)

    return transfer


def _smb_client(server: SambaServer) -> Callable[[int, str, str], None]:
    def transfer(port: int, way: str, local: str) -> None:
        name = server.below + "\\client"
        command = "put %s %s" % (local, name) if way == "put" else "get %s %s" % (name, local)
        login = ["-p", str(port), "-s", str(server.config), "-U", "%s%%%s" % (USER, PASSWORD)]
        share = "//127.0.0.1/" + server.share
        subprocess.run(
            ["smbclient", share, *login, "--client-protection=encrypt", "-c", command], check=True, capture_output=True
        )

    return transfer
