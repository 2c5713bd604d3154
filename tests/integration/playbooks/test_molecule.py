# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The molecule scenarios: on this machine, and on a device behind a real SSH server whose images go to a real SFTP server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict

import pytest
from support.device_plays import changed_paths, make_plant
from support.devices import Device
from support.paths import ROOT
from support.playbooks import Site
from support.sftp_server import SftpServer

ACTIONS = ["destroy", "syntax", "create", "check", "converge", "idempotence", "side_effect", "verify", "destroy"]


def run_molecule(folder: Path, scenario: str, environment: Dict[str, str]) -> str:
    environment["PATH"] = "%s%s%s" % (Path(sys.executable).parent, os.pathsep, os.environ["PATH"])
    environment.update(NO_COLOR="1", XDG_CACHE_HOME=str(folder / "cache"))
    done = subprocess.run(
        ["molecule", "test", "-s", scenario],
        cwd=str(ROOT),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    successful = re.findall(r"%s > (\w+): Executed: Successful" % scenario, done.stdout)
    assert successful[: len(ACTIONS)] == ACTIONS, done.stdout[-3000:]
    return done.stdout


def test_the_main_job_on_this_machine(tmp_path: Path, need: Callable[..., None]) -> None:
    need("sfdisk", "mkfs.fat", "mcopy", "mke2fs", "debugfs", "e2fsck", "diff")
    output = run_molecule(tmp_path, "default", Site(tmp_path).environment())
    assert "(item=['disk-root', 'restored-root'])" in output, "file systems are compared"
    assert list((tmp_path / "ansible-home").rglob("disk.raw")) == [], "destroy leaves nothing"


@pytest.mark.long
@pytest.mark.root
def test_the_main_job_through_the_agent(tmp_path: Path, need: Callable[..., None]) -> None:
    need("unshare", "nsenter", "sshd", "sudo", "ssh", "openssl", "hostname", "sfdisk", "mkfs.fat", "mcopy", "mke2fs")
    with SftpServer(tmp_path / "sftp") as server, Device(tmp_path, "press-1", sudo_password=True) as device:
        device.reach(server.port)
        server.root.mkdir(exist_ok=True)
        plant = make_plant(tmp_path, server, [device])
        kept = {name: plant.settings[name] for name in ("imaging_storage",)}
        plant.settings = dict(kept, scenario_directory="/data/molecule")
        inventory = tmp_path / "devices.yml"
        inventory.write_text(json.dumps(plant.inventory()), encoding="utf-8")
        before = device.contents()
        output = run_molecule(tmp_path, "ssh", plant.environment({"IMAGING_MOLECULE_INVENTORY": str(inventory)}))
        plant.close()
        assert "the agent 0." in output, "the agent is installed on the way"
        # What Ansible itself keeps in a home, and the log in which sshd counts logins.
        left = [path for path in changed_paths(before, device.contents()) if "/.ansible" not in path]
        assert set(left) <= {"home/tech", "tmp", "var", "var/log"}, "the agent is gone with all it made"
        assert list(device.data.iterdir()) == []
        assert list(server.root.glob("molecule_press-1/*/image.json")), "images are the site's and stay"
