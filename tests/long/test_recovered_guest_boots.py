# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way: a running guest images itself, the image is copied to a directory, its storage goes, the program alone restores, it boots."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, Sequence

import pytest
from engine.install.bundle import build_bundle
from support.bare_root import inside
from support.debian import debian_root
from support.filled import MIB, empty, run
from support.guest import HOST_FROM_GUEST, Guest, overlay
from support.guest_build import DISK_BYTES, GuestDisk, guest_disk
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
_PLATFORMS = {"bookworm": "linux-x86_64-glibc-cp311", "bullseye": "linux-x86_64-glibc-cp39"}


class Stick(NamedTuple):
    """A copy of the image of a guest; the storage that the image was sent to is gone."""

    folder: Path
    base: GuestDisk


def image_itself(guest: Guest, server: SftpServer, folder: Path, platform: str) -> str:
    """Let the running guest make an encrypted image of its system disk; return the image's name.

    One upload and few commands: each login costs an emulated machine seconds. No limit on reading: on its disk all reads are slow.
    """
    sent = folder / "sent"
    sent.mkdir()
    bundle = Path(build_bundle(platform, str(sent)).path)
    shutil.copy(str(server.key), str(sent / "storage_key"))
    guest.ready()
    guest.put(sent, "/run/sent")
    commands = ("python3 /run/sent/%s install" % bundle.name, "echo what the plant needs > /root/marker", "sync")
    guest.run(" && ".join(commands), timeout_seconds=30 * _MINUTES)
    settings = server.settings(private_key_file="/run/sent/storage_key")
    settings["url"] = settings["url"].replace("127.0.0.1", HOST_FROM_GUEST)
    job = {"verb": "image", "device": "guest", "drives": ["system"], "limit_read_rate": 0, "storage": settings}
    job["secrets"] = {"password": PASSWORD}
    output = guest.run(_ENGINE, data=json.dumps(job).encode("utf-8"), timeout_seconds=30 * _MINUTES)
    last = json.loads(output.strip().splitlines()[-1])
    assert last["event"] == "result", output
    return str(last["image"])


@pytest.fixture(scope="module")
def stick(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]
) -> Iterator[Stick]:
    """The copy for a guest of the Debian release that the test names."""
    need("qemu-system-x86_64", "qemu-img", "debootstrap", "mke2fs", "ssh", "unshare", "sgdisk")
    folder, base = tmp_path_factory.mktemp("guest"), guest_disk(request.param)
    with SftpServer(folder / "server") as server:
        with Guest(folder / "before", [overlay(base.path, folder / "disk.qcow2")], base.key) as guest:
            image = image_itself(guest, server, folder, _PLATFORMS[request.param])
        copy(server.root, folder / "stick", device="guest", program=str(program()))
    shutil.rmtree(server.root)
    assert checksums(folder / "stick") == []
    assert checksums(folder / "stick" / "guest" / image) == []
    yield Stick(folder / "stick", base)
    shutil.rmtree(folder)


# The release of the guest, the one in which the program runs with nothing installed, what the target has more than the disk, and the
# options. Of a disk with LVM only the free space behind the last partition can go.
@pytest.mark.parametrize(
    ("stick", "release", "more_mib", "options"),
    [
        ("bookworm", "bookworm", 0, ()),
        ("bookworm", "bullseye", 512, ()),
        ("bookworm", "trixie", -40, ("--shrink",)),
        ("bullseye", "trixie", 0, ()),
    ],
    indirect=["stick"],
)
def test_the_recovered_guest_boots(
    stick: Stick, release: str, more_mib: int, options: Sequence[str], tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    disk = empty(target / "disk.raw", DISK_BYTES + more_mib * MIB)
    words = ("restore", "/mnt/stick", "guest", "--to", "disk0=/mnt/target/disk.raw", "--yes", "--json", *options)
    done = inside(debian_root(release), stick.folder, target, *words)
    assert done.status == 0, done.errors + done.output
    (boot,) = done.document["boot"]["disks"]
    assert (boot["starts"], boot["boot_code"], boot["efi_fallback"]) == ("both", True, False)
    assert disk.stat().st_size == DISK_BYTES + more_mib * MIB
    assert "No problems found" in run("sgdisk", "-v", disk)
    with Guest(tmp_path / "after", [disk], stick.base.key) as guest:  # waits for the login
        guest.ready()
        assert guest.run("cat /root/marker") == "what the plant needs\n"
        assert guest.run("findmnt -no SOURCE /").strip() == "/dev/mapper/plant-root"
        assert guest.run("systemctl is-system-running --wait", check=False).strip() in ("running", "degraded")
