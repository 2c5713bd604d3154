# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide to the first image, done word for word: its files are written, its commands run, on a device behind real SSH."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple

import pytest
import yaml
from support.device_plays import make_disk
from support.devices import SUDO_PASSWORD, Device, Plant
from support.paths import ROOT
from support.sftp_server import SftpServer

pytestmark = pytest.mark.root
GUIDE = ROOT / "docs" / "guide_first_image.md"
_BLOCK = re.compile(
    r"(?:<!-- (not run by the test|on the device|on the storage)[^\n]*-->\n)?```(\w*)\n(.*?)```\n", re.DOTALL
)


class Block(NamedTuple):
    where: str  # "" for the controller
    kind: str
    text: str


def blocks() -> List[Block]:
    text = GUIDE.read_text(encoding="utf-8")
    return [Block(*found) for found in _BLOCK.findall(text)]


def commands(where: str) -> List[str]:
    """The commands of one machine; what is none of them, such as an example of output, begins with no prompt."""
    found = (one for one in blocks() if one.kind == "console" and one.where == where)
    return [line[2:] for block in found for line in block.text.splitlines()]


def in_place_of(server: SftpServer) -> Dict[str, str]:
    """What the test has for what the guide's example has."""
    return {
        "sftp://192.0.2.2/srv/images": "sftp://127.0.0.1:%d%s" % (server.port, server.root),
        "SHA256:d6KNsk3bmZ8Cx4Gmkqz5bA1zVJ3mS8rBxkH3qkqkqk0": server.fingerprint,
        "  username: imaging": "  username: root",
        "the password of the user imaging on the device": SUDO_PASSWORD,
        "/dev/sda": "/data/disk.raw",
        "/dev/sdb": "/data/restored.raw",
    }


def write_file(folder: Path, text: str, replaced: Dict[str, str]) -> None:
    path = folder / text.splitlines()[0].lstrip("# ").strip()
    for before, after in replaced.items():
        text = text.replace(before, after)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def reach(folder: Path, device: Device) -> None:
    """How this machine reaches the device: in a file of its own, which overrides the address in the guide's inventory."""
    wanted = ("ansible_host", "ansible_port", "ansible_user", "ansible_ssh_private_key_file", "ansible_ssh_common_args")
    variables = {name: value for name, value in device.variables().items() if name in wanted}
    path = folder / "site" / "host_vars" / ("%s.yml" % device.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(variables), encoding="utf-8")


def test_every_step_works(tmp_path: Path, need: Callable[..., None]) -> None:
    need("unshare", "nsenter", "sshd", "sudo", "ssh", "openssl", "ssh-keygen", "bash")
    folder = tmp_path / "plant"
    folder.mkdir()
    with SftpServer(tmp_path / "sftp") as server, Device(tmp_path, "press-07", sudo_password=True) as device:
        device.reach(server.port)
        for made in (server.root, Path(str(server.root) + "-monthly")):
            made.mkdir(exist_ok=True)
        make_disk(device.data / "disk.raw")
        plant = Plant(tmp_path / "controller", [device])
        environment = plant.environment()
        environment["HOME"] = str(tmp_path)
        environment["PATH"] = "%s:%s" % (Path(sys.executable).parent, environment["PATH"])
        replaced = in_place_of(server)
        for block in blocks():
            if block.kind in ("yaml", "ini") and not block.text.startswith("# /etc/"):
                write_file(folder, block.text, replaced)
        reach(folder, device)
        for command in commands("on the device"):
            subprocess.run(device.inside("bash", "-c", command), check=True, stdin=subprocess.DEVNULL)
        assert "imaging" in device.run("sudo", "-l", "-U", "imaging")
        ran = []
        for command in commands(""):
            for before, after in replaced.items():
                command = command.replace(before, after)
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=str(folder),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            assert done.returncode == 0, "%s\n%s" % (command, done.stdout[-3000:])
            ran.append(command)
            if command.startswith("ssh-keygen"):
                with open(server.folder / "authorized_keys", "a", encoding="utf-8") as file:
                    file.write((folder / "storage_key.pub").read_text(encoding="utf-8"))
        plant.close()
        assert (
            len(ran)
            == len([line for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("$ ")]) - 15
        )
        assert (folder / "site/group_vars/all/vault.yml").read_text(encoding="utf-8").startswith("$ANSIBLE_VAULT")
        assert len(list(server.root.glob("press-07/*/image.json"))) == 2
        assert len(list(Path(str(server.root) + "-monthly").glob("press-07/*/image.json"))) == 1
        assert (device.data / "restored.raw").read_bytes() == (device.data / "disk.raw").read_bytes()
        assert not device.base.exists()


def test_the_storage_of_the_guide_belongs_to_its_user(tmp_path: Path, need: Callable[..., None]) -> None:
    need("unshare", "nsenter", "sshd", "sudo", "useradd", "install")
    with Device(tmp_path, "storage") as storage:
        for command in commands("on the storage"):
            subprocess.run(storage.inside("bash", "-c", command), check=True, stdin=subprocess.DEVNULL)
        for folder in ("/srv/images", "/srv/images-monthly"):
            assert storage.run("stat", "-c", "%U %a", folder) == "imaging 700\n"
            storage.run("sudo", "-u", "imaging", "mkdir", folder + "/press-07")
