# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MB/s to a share, next to smbclient and to smbprotocol as its documentation shows it, at once and at 20 ms."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any, Dict, List

from engine.storage.smb.storage import SmbStorage
from measure import MIB, table
from smbprotocol.connection import Connection
from smbprotocol.open import CreateDisposition, FilePipePrinterAccessMask, ImpersonationLevel, Open, ShareAccess
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect
from storages import ROUND_TRIP_SECONDS, Speeds, proxied, timed
from support.samba_server import PASSWORD, USER, SambaServer, samba


def main(folder: Path, size_mib: int, rounds: int) -> str:
    """Return the table, all of it encrypted; the best of ``rounds`` counts, because others use the machine too."""
    folder = Path("/dev/shm/plantops-bench-smb") if os.path.isdir("/dev/shm") else folder
    folder.mkdir(parents=True, exist_ok=True)
    data = [os.urandom(MIB) for dummy in range(size_mib)]
    (folder / "source").write_bytes(b"".join(data))
    speeds: Speeds = {}
    try:
        with samba(folder / "server") as server:
            for line, delay in (("loopback", 0.0), ("20 ms", ROUND_TRIP_SECONDS)):
                with proxied(server.port, delay) as port:
                    for dummy in range(rounds):
                        for who, run in (("ours", ours), ("smbprotocol", raw_library), ("smbclient", samba_client)):
                            for what, seconds in run(server, port, data, folder).items():
                                speeds.setdefault((line, who, what), []).append(size_mib * MIB / seconds / 1e6)
    finally:
        shutil.rmtree(folder)
    rows = [
        ["SMB", line, who, *("%.0f" % max(speeds[line, who, what]) for what in ("put", "read"))]
        for line in ("loopback", "20 ms")
        for who in ("ours", "smbprotocol", "smbclient")
    ]
    return "%d MiB that do not compress, best of %d\n\n" % (size_mib, rounds) + table(
        ["storage", "line", "client", "put MB/s", "read MB/s"], rows
    )


def ours(server: SambaServer, port: int, data: List[bytes], dummy_folder: Path) -> Dict[str, float]:
    with SmbStorage({**server.settings, "port": port}) as storage:
        storage.list("")
        put = timed(lambda: storage.put("file", data, replace=True))
        return {"put": put, "read": timed(lambda: sum(len(piece) for piece in storage.read("file")))}


def raw_library(server: SambaServer, port: int, data: List[bytes], dummy_folder: Path) -> Dict[str, float]:
    """One request of 1 MiB after the other, which is all that the library's own file does."""
    connection = Connection(uuid.uuid4(), "127.0.0.1", port)
    connection.connect()
    session = Session(connection, USER, PASSWORD, require_encryption=True)
    session.connect()
    connection.echo(credit_request=256)
    tree = TreeConnect(session, "\\\\127.0.0.1\\" + server.share)
    tree.connect()
    file = Open(tree, "raw")
    access = FilePipePrinterAccessMask.GENERIC_READ | FilePipePrinterAccessMask.GENERIC_WRITE
    file.create(
        ImpersonationLevel.Impersonation, access, 0, ShareAccess.FILE_SHARE_READ, CreateDisposition.FILE_OVERWRITE_IF, 0
    )

    def put() -> None:
        for number, piece in enumerate(data):
            file.write(piece, number * MIB)
        file.flush()

    def read() -> Any:
        return sum(len(file.read(number * MIB, MIB)) for number in range(len(data)))

    try:
        return {"put": timed(put), "read": timed(read)}
    finally:
        file.close()
        connection.disconnect()


def samba_client(server: SambaServer, port: int, dummy_data: List[bytes], folder: Path) -> Dict[str, float]:
    """Samba's smbclient, with its login; it does not wait for the disk."""

    def run(command: str) -> None:
        share = "//127.0.0.1/" + server.share
        login = ["-p", str(port), "-s", str(server.config), "-U", "%s%%%s" % (USER, PASSWORD)]
        options = ["--client-protection=encrypt", "-c", command]
        subprocess.run(["smbclient", share, *login, *options], check=True, capture_output=True)

    put = timed(lambda: run("put %s client" % (folder / "source")))
    return {"put": put, "read": timed(lambda: run("get client %s" % (folder / "got")))}
