# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way: a running guest images itself, the image is copied to a directory, its storage goes, the program alone restores, it boots."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Callable

import pytest
from engine.install.bundle import build_bundle
from support.bare_root import inside
from support.debian import debian_root
from support.guest import HOST_FROM_GUEST, Guest, overlay
from support.guest_build import guest_disk
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


def wait_for_shell(guest: Guest) -> None:
    """An emulated machine under load shows its login before its SSH server answers in time."""
    deadline = time.monotonic() + 10 * _MINUTES
    while guest.run("echo ready", check=False).strip() != "ready":
        assert time.monotonic() < deadline
        time.sleep(2)


def image_itself(guest: Guest, server: SftpServer, folder: Path) -> str:
    """Let the running guest make an encrypted image of its system disk; return the image's name."""
    bundle = Path(build_bundle("linux-x86_64-glibc-cp311", str(folder)).path)
    wait_for_shell(guest)
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


def test_the_recovered_guest_boots(tmp_path: Path, need: Callable[..., None]) -> None:
    need("qemu-system-x86_64", "qemu-img", "debootstrap", "mke2fs", "ssh", "unshare")
    base = guest_disk()
    with SftpServer(tmp_path / "server") as server:
        with Guest(tmp_path / "before", [overlay(base.path, tmp_path / "disk.qcow2")], base.key) as guest:
            image = image_itself(guest, server, tmp_path)
        stick = tmp_path / "stick"
        copy(server.root, stick, device="guest", program=str(program()))
    shutil.rmtree(server.root)
    assert checksums(stick) == []
    assert checksums(stick / "guest" / image) == []
    target = tmp_path / "target"
    target.mkdir()
    words = ("restore", "/mnt/stick", "guest", "--to", "disk0=/mnt/target/disk.raw", "--yes", "--json")
    done = inside(debian_root("bookworm"), stick, target, *words)
    assert done.status == 0, done.errors + done.output
    (boot,) = done.document["boot"]["disks"]
    assert (boot["starts"], boot["boot_code"], boot["efi_fallback"]) == ("both", True, False)
    with Guest(tmp_path / "after", [target / "disk.raw"], base.key) as guest:  # waits for the login
        wait_for_shell(guest)
        assert guest.run("cat /root/marker") == "what the plant needs\n"
        assert guest.run("findmnt -no SOURCE /").strip() == "/dev/mapper/plant-root"
        assert guest.run("systemctl is-system-running --wait", check=False).strip() in ("running", "degraded")
