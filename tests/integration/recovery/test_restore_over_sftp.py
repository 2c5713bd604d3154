# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore from a real SFTP server says which way it chose, and fetches the image once or twice accordingly."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from engine.errors import ImageDamaged
from engine.verbs.dispatch import run_job
from support.imaging import PASSWORD
from support.plain_disks import make_disk
from support.proxy import Proxy
from support.sftp_server import SftpServer

MARK = b"plantops.imaging restore in progress\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    make_disk(tmp_path / "disk.raw", 16, 12, 1)
    with SftpServer(tmp_path / "server") as one:
        run(one, one.port, "image", drives=[str(tmp_path / "disk.raw")], limit_read_rate=0)
        yield one


def run(server: SftpServer, port: int, verb: str, **more: Any) -> Dict[str, Any]:
    job = {"verb": verb, "device": "pc", "storage": server.settings(port), "secrets": {"password": PASSWORD}}
    return run_job(dict(job, **more), lambda event: None, lambda: False)


def test_the_way_is_reported_and_halves_the_bytes(server: SftpServer, tmp_path: Path) -> None:
    stored = sum(path.stat().st_size for path in server.root.rglob("?" * 64))
    target = tmp_path / "restored.raw"
    moved = {}
    for proof, way in (("auto", "while_writing"), ("first", "first"), ("while_writing", "while_writing")):
        with Proxy(server.port) as proxy:
            planned = run(server, server.port, "restore", map={"disk0": str(target)}, proof=proof, check=True)
            done = run(server, proxy.port, "restore", map={"disk0": str(target)}, proof=proof)
            moved[proof] = proxy.forwarded_bytes
        for told in (planned, done):
            assert told["proof"] == way
            assert told["proof_reason"] in told["plan"][1]
        assert target.read_bytes() == (tmp_path / "disk.raw").read_bytes()
        target.unlink()
    assert moved["first"] > 1.9 * stored
    assert moved["auto"] < moved["first"]


def test_data_on_the_target_is_risked_only_on_request(server: SftpServer, tmp_path: Path) -> None:
    target = tmp_path / "used.raw"
    target.write_bytes(b"the old system" + bytes(20 << 20))
    settings: Dict[str, Any] = {"map": {"disk0": str(target)}, "overwrite": True, "check": True}
    assert run(server, server.port, "restore", **settings)["proof"] == "first"
    risky = run(server, server.port, "restore", proof="while_writing", **settings)
    assert risky["proof"] == "while_writing"
    assert any(str(target) in text for text in risky["warnings"])


def test_a_damaged_image_leaves_a_target_that_does_not_start(server: SftpServer, tmp_path: Path) -> None:
    """Damage everywhere: the sample, or a chunk before it is written, ends the restore."""
    target = tmp_path / "restored.raw"
    for pack in server.root.rglob("?" * 64):
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 4
        pack.write_bytes(bytes(data))
    with pytest.raises(ImageDamaged):
        run(server, server.port, "restore", map={"disk0": str(target)})
    assert not target.exists() or target.read_bytes().startswith(MARK)
