# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way: a running guest images itself, the image is copied to a directory, its storage goes, the program alone restores, it boots."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Callable, NamedTuple, Sequence

import pytest
from engine.install.bundle import build_bundle
from support.bare_root import inside
from support.debian import debian_root
from support.filled import MIB, empty, run
from support.guest import HOST_FROM_GUEST, Guest, overlay
from support.guest_build import DISK_BYTES, guest_disk
from support.imaging import PASSWORD
from support.recovery import checksums, copy, program
from support.sftp_server import SftpServer

pytestmark = [pytest.mark.long, pytest.mark.root]
_BASE = "/opt/plantops-imaging"
_ENGINE = "cd %s/versions/$(cat %s/current) && PYTHONPATH=$PWD/site exec python3 -m engine.agent.command" % (
    _BASE,
    _BASE,
)
_MINUTES = 60


def image_itself(guest: Guest, server: SftpServer, folder: Path, python: str) -> str:
    """Let the running guest make an encrypted image of its system disk; return the image's name."""
    bundle = Path(build_bundle("linux-x86_64-glibc-" + python, str(folder)).path)
    guest.ready()
    guest.put(bundle, "/run")
    guest.put(server.key, "/run")
    guest.run("python3 /run/%s install" % bundle.name)
    guest.run("echo what the plant needs > /root/marker && sync")
    settings = server.settings(private_key_file="/run/" + server.key.name)
    settings["url"] = settings["url"].replace("127.0.0.1", HOST_FROM_GUEST)
    job = {"verb": "image", "device": "guest", "drives": ["system"], "storage": settings}
    job["secrets"] = {"password": PASSWORD}
    output = guest.run(_ENGINE, data=json.dumps(job).encode("utf-8"), timeout_seconds=30 * _MINUTES)
    last = json.loads(output.strip().splitlines()[-1])
    assert last["event"] == "result", output
    return str(last["image"])


class Case(NamedTuple):
    python: str  # of the release
    more_mib: int  # what the target has more than the disk
    options: Sequence[str]


# With LVM only the free space behind the last partition can go.
CASES = {
    "bullseye": Case("cp39", 512, ()),
    "bookworm": Case("cp311", 0, ()),
    "trixie": Case("cp313", -40, ("--shrink",)),
}


@pytest.mark.parametrize("release", sorted(CASES))
def test_the_recovered_guest_boots(release: str, tmp_path: Path, need: Callable[..., None]) -> None:
    need("qemu-system-x86_64", "qemu-img", "debootstrap", "mke2fs", "ssh", "unshare", "sgdisk")
    case, base = CASES[release], guest_disk(release)
    with SftpServer(tmp_path / "server") as server:
        with Guest(tmp_path / "before", [overlay(base.path, tmp_path / "disk.qcow2")], base.key) as guest:
            image = image_itself(guest, server, tmp_path, case.python)
        stick = tmp_path / "stick"
        copy(server.root, stick, device="guest", program=str(program()))
    shutil.rmtree(server.root)
    assert checksums(stick) == []
    assert checksums(stick / "guest" / image) == []
    target = tmp_path / "target"
    target.mkdir()
    disk = empty(target / "disk.raw", DISK_BYTES + case.more_mib * MIB)
    words = ("restore", "/mnt/stick", "guest", "--to", "disk0=/mnt/target/disk.raw", "--yes", "--json", *case.options)
    done = inside(debian_root(release), stick, target, *words)
    assert done.status == 0, done.errors + done.output
    (boot,) = done.document["boot"]["disks"]
    assert (boot["starts"], boot["boot_code"], boot["efi_fallback"]) == ("both", True, False)
    assert disk.stat().st_size == DISK_BYTES + case.more_mib * MIB
    assert "No problems found" in run("sgdisk", "-v", disk)
    with Guest(tmp_path / "after", [disk], base.key) as guest:  # waits for the login
        guest.ready()
        assert guest.run("cat /root/marker") == "what the plant needs\n"
        assert guest.run("findmnt -no SOURCE /").strip() == "/dev/mapper/plant-root"
        assert guest.run("systemctl is-system-running --wait", check=False).strip() in ("running", "degraded")
