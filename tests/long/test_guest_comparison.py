# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running Debian: what an administrator does to it is the next comparison and nothing else, and a restart is nothing.

Each run images a small second disk; the device document is that of the whole system.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Set

import pytest
from engine.install.bundle import build_bundle
from support.guest import Guest
from support.guest_build import GuestDisk
from support.plain_guest import plain_disk

pytestmark = [pytest.mark.root, pytest.mark.long]
BASE, IMAGES = "/opt/plantops-imaging", "/srv/images"
MIB = 1 << 20
DATA_BYTES = 64 * MIB
LENT_MAC = "52:54:00:00:00:02"
# An emulated machine takes many times as long as any device: here the content counts, not the time of the document.
ENGINE = (
    "import sys, engine.device.document.collect as c; c._SECONDS = c._FIRST_SECONDS = 900.0; "
    "from engine.agent.command import main; sys.exit(main([]))"
)
NETWORK = "[Match]\nName=en*\n[Network]\nAddress=10.0.2.15/24\nAddress=%s\nGateway=10.0.2.2\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
LENT = "[Match]\nMACAddress=%s\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n" % LENT_MAC


def lent_network(first: str) -> List[str]:
    """A second network card, whose server of DHCP lends addresses from ``first`` on."""
    return [
        *("-netdev", "user,id=lent,net=10.0.3.0/24,dhcpstart=%s" % first),
        *("-device", "virtio-net-pci,netdev=lent,mac=" + LENT_MAC),
    ]


def partitioned(disk: Path, mib: int) -> None:
    """Give the disk one partition of that size, with the same ids each time."""
    table = (
        "label: gpt\nlabel-id: 0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"
        "start=2048, size=%dMiB, uuid=0FC63DAF-8483-4772-8E79-3D69D8477DE5\n" % mib
    )
    subprocess.run(["sfdisk", "--quiet", "--wipe", "always", str(disk)], input=table.encode(), check=True)


class Machine:
    """The guest and its engine."""

    def __init__(self, guest: Guest, folder: Path) -> None:
        self.guest, self.folder = guest, folder
        guest.ready()
        bundle = Path(build_bundle("linux-x86_64-glibc-cp311", str(folder)).path)
        guest.put(bundle, "/run")
        guest.run("python3 /run/%s install; mkdir %s" % (bundle.name, IMAGES))
        self.write("/etc/systemd/network/05-lent.network", LENT)
        self.write("/etc/systemd/network/10-all.network", NETWORK % "192.0.2.10/24")
        self.write("/root/package.sh", PACKAGE)
        guest.run("sh /root/package.sh plant-old; mkfs.ext4 -q -L data /dev/vdb1; networkctl reload")
        self.wait_for("10.0.3.40/24", "192.0.2.10/24")

    def write(self, path: str, text: str) -> None:
        self.guest.run("cat > %s" % shlex.quote(path), data=text.encode())

    def wait_for(self, *addresses: str) -> None:
        deadline = time.monotonic() + 600
        while True:
            shown = self.guest.run("ip -4 -o address show")
            if all(one in shown for one in addresses):
                return
            assert time.monotonic() < deadline, shown
            time.sleep(2)

    def compared(self) -> Dict[str, Any]:
        """Make an image; return what its comparison says."""
        request = {"verb": "image", "device": "guest", "drives": ["/dev/vdb"], "storage": {"url": IMAGES}}
        folder = "%s/versions/$(cat %s/current)" % (BASE, BASE)
        command = "cd %s && PYTHONPATH=$PWD/site exec python3 -c %s" % (folder, shlex.quote(ENGINE))
        output = self.guest.run(command, data=json.dumps(request).encode(), check=False, timeout_seconds=3600)
        last = json.loads(output.strip().splitlines()[-1])
        assert last["event"] == "result", output
        found: Dict[str, Any] = last["comparison"]
        assert found["not_compared"] == [], "every section was read"
        return found

    def resize_the_partition(self, mib: int) -> None:
        """As an administrator does it: the table, then the file system. The guest has no program for tables."""
        scratch = self.folder / "scratch.raw"
        with open(scratch, "wb") as file:
            file.truncate(DATA_BYTES)
        partitioned(scratch, mib)
        content, end = scratch.read_bytes(), DATA_BYTES // 512 - 33
        for place, part in ((0, content[: 34 * 512]), (end, content[end * 512 :])):
            self.guest.run("dd of=/dev/vdb bs=512 seek=%d conv=fsync status=none" % place, data=part)
        self.guest.run("blockdev --rereadpt /dev/vdb; udevadm settle; e2fsck -fp /dev/vdb1; resize2fs /dev/vdb1")


PACKAGE = """set -e
mkdir -p /root/$1/DEBIAN /root/$1/usr/share/$1
printf 'Package: %s\\nVersion: 1.4-2\\nArchitecture: all\\nMaintainer: Plant <plant@example.org>\\nDescription: %s\\n' $1 $1 > /root/$1/DEBIAN/control
echo text > /root/$1/usr/share/$1/file
dpkg-deb --build /root/$1 /root/$1.deb
dpkg -i /root/$1.deb
"""


@pytest.fixture(scope="module")
def base(need: Callable[..., None]) -> GuestDisk:
    need("qemu-system-x86_64", "qemu-img", "debootstrap", "mke2fs", "sfdisk", "ssh")
    return plain_disk()


@pytest.fixture
def machine(base: GuestDisk, tmp_path: Path) -> Iterator[Machine]:
    system, data = tmp_path / "disk.qcow2", tmp_path / "data.raw"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base.path), "-F", "raw", str(system)]
    subprocess.run(command, check=True)
    with open(data, "wb") as file:
        file.truncate(DATA_BYTES)
    partitioned(data, 40)
    with Guest(tmp_path / "guest", [system, data], base.key, options=lent_network("10.0.3.40")) as guest:
        yield Machine(guest, tmp_path)


def told(comparison: Dict[str, Any]) -> Set[str]:
    """Each difference as section, kind, key and field, without names that the machine chooses."""
    found = [
        "%s %s %s %s" % (section, kind, re.sub(r"\ben[a-z0-9]+\b", "NIC", entry["key"]), entry.get("field", ""))
        for section, kinds in comparison["sections"].items()
        for kind, entries in kinds.items()
        for entry in entries
    ]
    return {one.strip() for one in found}


def test_what_an_administrator_did_is_told_and_a_restart_is_nothing(machine: Machine) -> None:
    guest = machine.guest
    assert machine.compared()["against"] == ""
    guest.run("for card in $(ls /sys/class/net); do networkctl renew $card || true; done")
    machine.wait_for("10.0.3.40/24")
    assert told(machine.compared()) == set(), "two runs in a row, and a lease that was renewed"

    guest.run("sh /root/package.sh plant-new; dpkg --purge plant-old")
    guest.run("systemctl disable e2scrub_reap.service; useradd --create-home --shell /bin/sh fitter")
    machine.write("/etc/cron.d/plant", "5 4 * * 1 root /usr/local/bin/collect\n")
    machine.write("/etc/systemd/network/10-all.network", NETWORK % "192.0.2.11/24")
    guest.run("networkctl reload")
    machine.wait_for("192.0.2.11/24")
    machine.resize_the_partition(60)
    found = machine.compared()
    disk = next(iter(found["sections"]["partitions"]["changed"]))["key"]
    (task,) = found["sections"]["scheduled_tasks"]["added"]
    assert "/usr/local/bin/collect" in task["key"]
    assert told(found) == {
        "software added plant-new",
        "software removed plant-old",
        "services changed e2scrub_reap.service start",
        "users added fitter",
        "groups added fitter",
        "scheduled_tasks added %s" % task["key"],
        "partitions changed %s size_bytes" % disk,
        "network changed NIC addresses",
        "network changed en* configured",
    }
    (size,) = found["sections"]["partitions"]["changed"]
    assert (size["before"], size["after"]) == (40 * MIB, 60 * MIB)

    guest.run("sync")
    guest.power_off()
    guest.options = lent_network("10.0.3.60")
    guest.start()
    guest.ready()
    machine.wait_for("10.0.3.60/24", "192.0.2.11/24")
    assert told(machine.compared()) == set(), "a restart, and a lease with another address"
