# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide to a Windows device, done word for word on the double: its files are written, its commands run in their order."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple

import pytest
import yaml
from support.imaging import PASSWORD, restore
from support.paths import ROOT
from support.sftp_server import SftpServer
from support.whole_disks import WholeDisk
from support.windows.admin_device import AdminShareDevice
from support.windows.device import environment_of
from support.windows.kinds import WINDOWS_10
from support.windows.plays import SmbSite
from support.windows.shadow_copies import linked
from support.windows.shown import Shown, ShownDisks

GUIDE = ROOT / "docs" / "guide_windows_device.md"
_BLOCK = re.compile(r"(?:<!-- (not run by the test)[^\n]*-->\n)?```(\w*)\n(.*?)```\n", re.DOTALL)
_DEVICE, _CONTROLLER = "C:\\> ", "$ "
# The words with which the guide says that a block can't run on the double, and how many commands it has.
NOT_RUN = {"netsh": 2, "ssh-copy-id": 1, "C:\\bundle\\install.cmd": 2}


class Block(NamedTuple):
    is_run: bool
    kind: str
    text: str


def blocks() -> List[Block]:
    text = GUIDE.read_text(encoding="utf-8")
    return [Block(not mark, kind, content) for mark, kind, content in _BLOCK.findall(text)]


def in_place_of(server: SftpServer, device: AdminShareDevice) -> Dict[str, str]:
    """What the test has for what the guide's example has."""
    return {
        "sftp://192.0.2.2/srv/images": "sftp://127.0.0.1:%d%s" % (server.port, server.root),
        "SHA256:d6KNsk3bmZ8Cx4Gmkqz5bA1zVJ3mS8rBxkH3qkqkqk0": server.fingerprint,
        "  username: imaging": "  username: root",
        "ansible_host: 192.0.2.9": "ansible_host: 127.0.0.1\n          ansible_port: %d" % device.port,
        "press-09\\Administrator": device.username,
        "the password of the administrator": device.password,
        "a long sentence that nobody guesses": PASSWORD,
    }


@pytest.fixture
def shown(tmp_path: Path, disk: WholeDisk) -> ShownDisks:
    (tmp_path / "frozen").mkdir()
    return ShownDisks(tmp_path / "frozen", [Shown(1, disk, [[], ["C:\\"]], "SAMSUNG MZVLB256", "S4GGNX0R123456")])


@pytest.fixture
def device(tmp_path: Path, shown: ShownDisks) -> Iterator[AdminShareDevice]:
    with AdminShareDevice(tmp_path / "prefix", WINDOWS_10) as made, linked(made, shown.links):
        shown.give_to(made)
        made.manager.corrections.append(shown.correct)
        yield made
        assert not made.faults


def write_file(folder: Path, text: str) -> None:
    path = folder / text.splitlines()[0].lstrip("# ").strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def steps(folder: Path, replaced: Dict[str, str]) -> Iterator[str]:
    """Write the files of the guide, and yield the commands with their prompts, both in the order of the guide."""
    used = set()
    for block in blocks():
        text = block.text
        for before, after in replaced.items():
            used.update([before] if before in text else [])
            text = text.replace(before, after)
        if block.kind in ("yaml", "ini"):
            write_file(folder, text)
        elif block.is_run and block.kind == "console":
            yield from text.splitlines()
    assert used == set(replaced), "the guide has another example"


def run_on_device(device: AdminShareDevice, command: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a batch file, word for word: Wine would put a backslash before a quotation mark of an argument."""
    device.host_path(r"C:\step.cmd").write_bytes(b"@echo off\r\n%s\r\n" % command.encode("ascii"))
    return subprocess.run(
        ["wine", "cmd", "/c", r"C:\step.cmd"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment_of(device.prefix),
        cwd=device.drive,
        timeout=300,
        check=False,
    )


def run_here(folder: Path, command: str, environment: Dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=environment,
        check=False,
    )


def policy(device: AdminShareDevice) -> bool:
    """Whether the registry of the device has the value that turns the filter of rights off."""
    words = ["wine", "reg", "query", r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System"]
    done = subprocess.run(words, env=environment_of(device.prefix), capture_output=True, check=False)
    return b"LocalAccountTokenFilterPolicy    REG_DWORD    0x1" in done.stdout


@pytest.mark.long  # it builds a bundle and runs seven playbooks
@pytest.mark.root
def test_every_step_works(
    device: AdminShareDevice, shown: ShownDisks, disk: WholeDisk, tmp_path: Path, need: Callable[..., None]
) -> None:
    need("sshd", "ssh-keygen", "openssl", "bash")
    folder = tmp_path / "plant"
    folder.mkdir()
    with SftpServer(tmp_path / "sftp") as server:
        environment = SmbSite(tmp_path / "site", device).environment()
        environment["PATH"] = "%s:%s" % (Path(sys.executable).parent, environment["PATH"])
        ran: List[str] = []
        for line in steps(folder, in_place_of(server, device)):
            if line.startswith(_DEVICE):
                if "install.cmd" in line:  # the person carries the folder there
                    shutil.copytree(folder / "bundle", device.drive / "bundle")
                done = run_on_device(device, line[len(_DEVICE) :])
            else:
                assert line.startswith(_CONTROLLER), line
                done = run_here(folder, line[len(_CONTROLLER) :], environment)
            assert done.returncode == 0, "%s\n%s" % (line, (done.stdout + (done.stderr or b"")).decode()[-4000:])
            ran.append(line)
            check_after(line, done.stdout.decode("utf-8", "replace"), device)
            if "ssh-keygen" in line:
                with open(server.folder / "authorized_keys", "a", encoding="utf-8") as file:
                    file.write((folder / "storage_key.pub").read_text(encoding="utf-8"))
        assert len([line for line in ran if line.startswith(_DEVICE)]) == 4
        assert len([line for line in ran if line.startswith(_CONTROLLER)]) == 14
        assert len(list(server.root.glob("press-09/*/image.json"))) == 1
        restore(server.root, tmp_path / "restored.raw", device="press-09")
        shown.check(1, disk, tmp_path / "restored.raw", tmp_path / "compared")
        assert shown.left(device) == []


def check_after(line: str, output: str, device: AdminShareDevice) -> None:
    """What the guide says of a step has come true."""
    if "reg add" in line or "reg delete" in line:
        assert policy(device) == ("reg add" in line)
    elif "hashes.csv" in line:
        assert output.splitlines()[0] == "name,size_bytes,sha256,authenticode_sha256"
        assert len(output.splitlines()) == 3
    elif "dir " in line:
        assert "spool" in output
    elif "imaging_agent_state=absent" in line:
        assert not device.base.exists()
    elif "install.cmd check" in line:
        assert "can be installed" in output


def test_each_block_that_is_not_run_says_so_and_has_the_commands_that_are_known() -> None:
    left = [line for block in blocks() if not block.is_run for line in block.text.splitlines()]
    found = {word: sum(word in line for line in left) for word in NOT_RUN}
    assert found == NOT_RUN
    assert len(left) == sum(NOT_RUN.values())


def test_the_settings_of_a_robot_are_variables_of_the_connection() -> None:
    text = next(block.text for block in blocks() if block.text.startswith("# site/host_vars/robot-04.yml"))
    names = set(yaml.safe_load(text))
    plugin = (ROOT / "plugins" / "connection" / "admin_share.py").read_text(encoding="utf-8")
    assert names == {"ansible_host", "ansible_admin_share"}
    assert all("- name: %s\n" % name in plugin for name in names)


def test_every_code_of_the_guide_is_in_the_catalogue() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    codes = set(re.findall(r"\b[A-Z]\d{3}\b", GUIDE.read_text(encoding="utf-8")))
    assert len(codes) > 12
    assert [code for code in sorted(codes) if "| %s |" % code not in page] == []
