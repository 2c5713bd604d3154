# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Under ansible-runner, as AWX runs playbooks: a run is started, its handle goes through the job's events, another job follows it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import ansible_runner
import pytest
from support.device_plays import MAKE, make_disk, make_plant, read_back
from support.devices import Device, Plant
from support.sftp_server import SftpServer

pytestmark = pytest.mark.root


def run_job(plant: Plant, folder: Path, **settings: Any) -> Dict[str, Any]:
    """Run the playbook ``image`` as a job and return what its events say of the image."""
    inventory = folder / "hosts.json"
    folder.mkdir()
    inventory.write_text(json.dumps(plant.inventory()), encoding="utf-8")
    keep = ("ANSIBLE_HOME", "ANSIBLE_SSH_CONTROL_PATH_DIR")
    environment = {name: value for name, value in plant.environment().items() if name in keep}
    environment["PATH"] = "%s:%s" % (Path(sys.executable).parent, os.environ["PATH"])
    job = ansible_runner.run(
        private_data_dir=str(folder),
        inventory=str(inventory),
        playbook="plantops.imaging.image",
        extravars=settings,
        envvars=environment,
        quiet=True,
    )
    assert (job.status, job.rc) == ("successful", 0), job.stdout.read()
    results = [
        event["event_data"]["res"]
        for event in job.events
        if event["event"] == "runner_on_ok" and event["event_data"]["task"] == MAKE
    ]
    assert len(results) == 1
    return dict(results[0])


def test_a_handle_goes_from_one_job_to_the_next(tmp_path: Path, need: Callable[..., None]) -> None:
    need("unshare", "nsenter", "sshd", "sudo", "ssh", "openssl", "hostname")
    with SftpServer(tmp_path / "sftp") as server, Device(tmp_path, "press-1") as device:
        device.reach(server.port)
        server.root.mkdir(exist_ok=True)
        make_disk(device.data / "disk.raw")
        plant = make_plant(tmp_path, server, [device])
        started = run_job(plant, tmp_path / "first", imaging_wait=False)
        assert started["state"] in ("waiting", "running", "done")
        followed = run_job(plant, tmp_path / "second", imaging_run=started["run"])
        plant.close()
        assert followed["run"] == started["run"]
        assert plant.image_names(device) == [followed["image"]]
        assert read_back(server, device, tmp_path) == (device.data / "disk.raw").read_bytes()
