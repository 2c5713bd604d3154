# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices as they are: other login shells, talkative profiles, a lecturing sudo, folders without execution, odd inventories."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest
from support.device_plays import changed_paths, make_disk, one_image_more, read_back, result_of, statuses
from support.devices import USER, Device, Plant
from support.sftp_server import SftpServer

pytestmark = pytest.mark.root
BANNER = 'echo \'{"ok": true, "python": "welcome to press 6"}\'; echo python=/tmp/mine; echo "  Keep out! * $ \\" %"\n'


@pytest.fixture
def device(tmp_path: Path, need: Callable[..., None]) -> Iterator[Device]:
    need("unshare", "nsenter", "ip", "sshd", "sudo", "ssh", "openssl", "hostname", "fish", "tcsh", "bash")
    with Device(tmp_path / "devices", "press-6", sudo_password=True) as device:
        make_disk(device.data / "disk.raw")
        yield device


def log_in_with(device: Device, shell: str, profile: str, text: str) -> None:
    """Give the user another shell, which prints something whenever it is started."""
    device.run("usermod", "--shell", shell, USER)
    path = "/home/%s/%s" % (USER, profile)
    device.run("sh", "-c", 'mkdir -p "$(dirname "$1")"; printf %s "$2" > "$1"', "sh", path, text)
    device.run("chown", "-R", USER, "/home/" + USER)


def fish_and_a_lecturing_sudo(device: Device) -> Dict[str, Any]:
    log_in_with(device, "/usr/bin/fish", ".config/fish/config.fish", BANNER + "set -x PYTHONPATH /opt/scada\n")
    (device.changes / "opt" / "scada").mkdir()
    (device.changes / "opt" / "scada" / "json.py").write_text("raise SystemExit('the plant has its own')\n")
    lecture = "\033[31mWe trust you have received the usual {lecture}\033[0m\n"
    device.run("sh", "-c", 'printf %s "$1" > /etc/lecture', "sh", lecture)
    defaults = (
        "Defaults lecture=always, lecture_file=/etc/lecture, requiretty, use_pty, timestamp_timeout=0, !env_reset\n"
    )
    device.run("sh", "-c", 'printf %s "$1" > /etc/sudoers.d/lecture; chmod 440 /etc/sudoers.d/lecture', "sh", defaults)
    return {}


def csh_and_folders_without_execution(device: Device) -> Dict[str, Any]:
    log_in_with(device, "/usr/bin/tcsh", ".cshrc", 'echo "Keep out\\!"\numask 077\n')
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/home"):
        device.run("mount", "--bind", folder, folder)
        device.run("mount", "-o", "remount,bind,noexec,nosuid,nodev", folder)
    return {"ansible_remote_tmp": "/tmp/of-ansible"}


def bash_and_an_odd_inventory(device: Device) -> Dict[str, Any]:
    log_in_with(device, "/bin/bash", ".bashrc", BANNER + "umask 000\nexport LC_ALL=C LANG=C\n")
    (device.data / "disk.raw").rename(device.data / "größe 1 $x'.raw")
    return {
        "ansible_python_interpreter": "auto_silent",
        "ansible_pipelining": True,
        "ansible_ssh_transfer_method": "piped",
        "imaging_drives": ["/data/größe 1 $x'.raw"],
    }


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(fish_and_a_lecturing_sudo, marks=pytest.mark.long),
        pytest.param(csh_and_folders_without_execution, marks=pytest.mark.long),
        bash_and_an_odd_inventory,
    ],
    ids=lambda odd: odd.__name__,
)
def test_an_odd_device_is_imaged_all_the_same(
    odd: Callable[[Device], Dict[str, Any]], plant: Plant, device: Device, server: SftpServer, tmp_path: Path
) -> None:
    plant.settings.update(odd(device))
    images = plant.image_names(device)
    before = device.contents()
    played = plant.play("image", "-v")
    assert played.status == 0, played.output
    assert result_of(played, device)["image"] == one_image_more(plant, device, images)
    (disk,) = device.data.glob("*.raw")
    assert read_back(server, device, tmp_path) == disk.read_bytes()
    assert statuses(device) == {}
    assert (device.base.stat().st_uid, device.base.stat().st_mode & 0o777) == (0, 0o700)
    assert plant.play("agent", "-e", "imaging_agent_state=absent").status == 0
    changed = changed_paths(before, device.contents())
    assert [
        path for path in changed if path.startswith("opt/plantops") or "plantops" in path or "ansible-tmp-" in path
    ] == []
