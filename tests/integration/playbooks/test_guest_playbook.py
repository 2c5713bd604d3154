# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running guest is imaged by the playbook over SSH, under load, from its LVM snapshots; the restored disk boots."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from engine.errors import DeviceLinkLost, RunLost
from engine.verbs.dispatch import run_job
from support.device_plays import PlayUnderWay, result_of, wait_until
from support.devices import Plant
from support.guest import HOST_FROM_GUEST, Guest, overlay
from support.guest_build import GuestDisk, guest_disk
from support.guest_system import SystemUnderLoad, snapshots, wait_for_snapshots
from support.plain_disks import PASSWORD
from support.sftp_server import SftpServer

# A guest of software emulation takes twenty minutes of a processor.
pytestmark = [pytest.mark.root, pytest.mark.long]
BASE = "/opt/plantops-imaging"


class GuestDevice:
    """The guest as an inventory knows it."""

    name = "guest-1"

    def __init__(self, guest: Guest, known_hosts: Path, host_key: Path) -> None:
        self.guest = guest
        self._known_hosts = known_hosts
        self._host_key = host_key

    def variables(self) -> Dict[str, Any]:
        self._known_hosts.write_text(
            "[127.0.0.1]:%d %s" % (self.guest.port, self._host_key.read_text(encoding="utf-8")), encoding="utf-8"
        )
        options = "-F none -o IdentitiesOnly=yes -o UserKnownHostsFile=%s" % self._known_hosts
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.guest.port,
            "ansible_user": "root",
            "ansible_timeout": 60,
            "ansible_ssh_private_key_file": str(self.guest.key),
            "ansible_ssh_common_args": options,
        }


@pytest.fixture(scope="module")
def base(need: Callable[..., None]) -> GuestDisk:
    need("qemu-system-x86_64", "qemu-img", "debootstrap", "mke2fs", "ssh")
    return guest_disk()


@pytest.fixture
def guest(base: GuestDisk, tmp_path: Path) -> Iterator[Guest]:
    with Guest(tmp_path / "guest", [overlay(base.path, tmp_path / "disk.qcow2")], base.key) as one:
        yield one


@pytest.fixture
def plant(guest: Guest, base: GuestDisk, server: SftpServer, tmp_path: Path) -> Iterator[Plant]:
    device: Any = GuestDevice(guest, tmp_path / "known_hosts", base.host_key)
    plant = Plant(
        tmp_path,
        [device],
        imaging_storage={
            "url": "sftp://%s:%d%s" % (HOST_FROM_GUEST, server.port, server.root),
            "username": "root",
            "private_key": server.key.read_text(encoding="utf-8"),
            "host_key": server.fingerprint,
        },
        imaging_drives=["system"],
        imaging_password=PASSWORD,
        imaging_limit_read_rate="0",
    )
    plant.storage = server.root
    yield plant
    plant.close()


def restored_disk(server: SftpServer, made: Dict[str, Any], target: Path) -> Path:
    """Restore the image into an empty disk file, here, without the guest."""
    with open(target, "wb") as file:
        file.truncate(made["disks"][0]["layout"]["size_bytes"])
    job = {
        "verb": "restore",
        "device": GuestDevice.name,
        "image": made["image"],
        "storage": {"url": str(server.root)},
        "secrets": {"password": PASSWORD},
        "map": {"disk0": str(target)},
    }
    run_job(job, lambda dummy_event: None, lambda: False)
    return target


def packs(directory: Path) -> List[Path]:
    """The packs that are stored as a whole."""
    return [path for path in directory.glob("packs/*/*") if len(path.name) == 64]


def places_of(path: Path, needles: List[bytes]) -> List[str]:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return ["%r at %d" % (needle, content.find(needle)) for needle in needles if content.find(needle) >= 0]


def assert_no_secret_was_written_down(guest: Guest, disk: Path, server: SftpServer) -> None:
    """Neither the journal, which lies in memory, nor a log, nor any block of the restored disk holds one."""
    secrets = [PASSWORD.encode(), server.key.read_text(encoding="utf-8").splitlines()[2].encode()]
    journal = guest.run("journalctl --no-pager")
    assert "sshd[" in journal, "else nothing was looked at"
    assert [secret for secret in secrets if secret.decode() in journal] == []
    assert places_of(disk, secrets) == []
    assert places_of(disk, [b"plantops-imaging sealed secrets"]) != [], "the engine itself is found"


def test_the_running_system_is_imaged_by_a_playbook_under_load_and_its_restored_disk_boots(
    plant: Plant, guest: Guest, base: GuestDisk, server: SftpServer, tmp_path: Path
) -> None:
    (device,) = plant.devices
    system = SystemUnderLoad(guest)
    system.start()
    system.note_quiet_files()
    with PlayUnderWay(plant) as play:
        wait_for_snapshots(guest, lambda: play.process.poll() is None)
        system.note_moment_after_the_snapshots()
        played = play.finish(seconds=1800)
    assert played.status == 0, played.output
    made = result_of(played, device)
    assert system.is_at_work(), "no load"
    assert not snapshots(guest)
    assert guest.run("ls %s/spool" % BASE) == ""
    system.stop()
    assert not [text for text in made.get("warnings", []) if "live" in text]
    assert made["bytes_in_use"] < made["disks"][0]["layout"]["size_bytes"] // 2
    restored = restored_disk(server, made, tmp_path / "restored.raw")
    assert_no_secret_was_written_down(guest, restored, server)
    guest.power_off()
    with Guest(tmp_path / "again", [restored], base.key) as again:
        system.assert_is(again)


def test_a_guest_that_is_reset_in_the_middle_is_one_clear_error_and_imaged_by_the_next_play(
    plant: Plant, guest: Guest
) -> None:
    (device,) = plant.devices
    plant.settings["imaging_limit_read_rate"] = "4"
    with PlayUnderWay(plant) as play:
        wait_for_snapshots(guest, lambda: play.process.poll() is None)
        wait_until(lambda: packs(plant.storage / device.name), seconds=600)
        guest.power_off()
        guest.start()
        played = play.finish(seconds=600)
    assert played.status != 0
    failed = result_of(played, device)
    assert failed["error_code"] in (RunLost.code, DeviceLinkLost.code)
    if failed["error_code"] == RunLost.code:
        assert "restarted" in failed["msg"]
    left = snapshots(guest)
    assert len(left) == 2, "the reset left them"
    assert plant.image_names(device) == []
    plant.settings["imaging_limit_read_rate"] = "0"
    guest.run("date -s '2009-03-01 12:00:00'")  # as a machine whose battery is empty comes up
    again = plant.play("image")
    assert again.status == 0, again.output
    assert "clock" in again.output
    made = result_of(again, device)
    assert plant.image_names(device) == [made["image"]]
    assert made["bytes_reused"] > 0, "what was sent before the reset counts"
    assert snapshots(guest) == []
    assert plant.play("agent", "-e", "imaging_agent_state=absent").status == 0
    assert guest.run("ls -A /opt; find /root/.ansible/tmp -mindepth 1; find /tmp -name '*plantops*'") == ""
