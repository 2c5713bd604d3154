# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks on test devices: under way, interrupted, watched; what they left on the device and in the storage."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from engine.verbs.dispatch import run_job

from . import plain_disks
from .devices import Device, Entry, Plant
from .paths import ROOT
from .plain_disks import PASSWORD
from .playbooks import Played
from .sftp_server import SftpServer

MAKE = "Make an image"
TRAFFIC_BYTES = 1_000_000  # what a run may cost the controller's line to a device that has the agent


def make_disk(path: Path, size_mib: int = 16) -> None:
    plain_disks.make_disk(path, size_mib, noise_mib=8, seed=str(path))


def make_plant(folder: Path, server: SftpServer, devices: List[Device], **settings: Any) -> Plant:
    storage = {
        "url": "sftp://127.0.0.1:%d%s" % (server.port, server.root),
        "username": "root",
        "private_key": server.key.read_text(encoding="utf-8"),
        "host_key": server.fingerprint,
    }
    plant = Plant(
        folder,
        devices,
        imaging_storage=storage,
        imaging_drives=["/data/disk.raw"],
        imaging_password=PASSWORD,
        imaging_limit_read_rate="0",
        imaging_keep=100,  # the tests of this file count images
        imaging_restore_map={"disk0": "/data/restored.raw"},
        imaging_restore_many=True,
    )
    plant.settings.update(settings)
    plant.storage = server.root
    for device in devices:
        device.reach(server.port)
    return plant


def result_of(played: Played, device: Device, task: str = MAKE) -> Dict[str, Any]:
    for entry in reversed(played.results):
        if entry["task"].endswith(task) and entry["host"] == device.name:
            return dict(entry["result"])
    raise AssertionError("no task %s of %s: %s" % (task, device.name, played.output[-3000:]))


def wait_until(condition: Callable[[], Any], seconds: float = 180) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen within %d seconds" % seconds)


def statuses(device: Device) -> Dict[str, Dict[str, Any]]:
    """The newest status of each run, as the device keeps it."""
    found = {}
    for path in device.base.glob("spool/*/status.json"):
        try:
            found[path.parent.name] = json.loads(path.read_text(encoding="utf-8"))
        except OSError:
            continue  # it was forgotten meanwhile
    return found


def run_at_work(device: Device) -> Optional[str]:
    """The run that has its secrets and works."""
    return next((run for run, status in statuses(device).items() if status["state"] == "running"), None)


def signal_runner(device: Device, run: str, name: str) -> None:
    runner = json.loads((device.base / "spool" / run / "runner.json").read_text(encoding="utf-8"))
    os.kill(device.outside(int(runner["pid"])), getattr(signal, "SIG" + name))  # at once: a program takes long to start


def hold(device: Device) -> str:
    """Wait for a run that works and stop its process, so that it ends when a test lets it, however slow the machine is."""
    run = str(wait_until(lambda: run_at_work(device)))
    signal_runner(device, run, "STOP")
    return run


def release(device: Device, run: str) -> None:
    signal_runner(device, run, "CONT")


def leave_nothing(device: Device) -> None:
    """End what a test that failed left: a cut line, and a run that would be taken for one of the next test."""
    if device.proxy is not None:
        device.proxy.mend()
    for run, status in statuses(device).items():
        if status["state"] in ("waiting", "running"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ends by itself meanwhile
                signal_runner(device, run, "KILL")
        shutil.rmtree(str(device.base / "spool" / run), ignore_errors=True)


class PlayUnderWay:
    """A playbook that a test does something to while it runs."""

    def __init__(self, plant: Plant, *arguments: str, playbook: str = "image") -> None:
        self.plant = plant
        self.log = plant.folder / "play.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                plant.command(playbook, *arguments),
                cwd=str(ROOT),
                env=plant.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> PlayUnderWay:
        (self.plant.folder / "results.jsonl").write_text("", encoding="utf-8")
        return self

    def __exit__(self, *dummy: object) -> None:
        if self.process.poll() is None:
            self.kill()

    def wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.log.read_text(encoding="utf-8"))

    def kill(self) -> None:
        """Kill ansible-playbook with its workers and their ssh at once."""
        family = [self.process.pid]
        for pid in family:
            for path in Path("/proc/%d/task" % pid).glob("*/children"):
                family += [int(word) for word in path.read_text().split()]
        for pid in family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    def finish(self, seconds: float = 300) -> Played:
        status = self.process.wait(seconds)
        lines = (self.plant.folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
        return Played(status, self.log.read_text(encoding="utf-8"), [json.loads(line) for line in lines])


def read_back(server: SftpServer, device: Device, folder: Path) -> bytes:
    """Restore the newest image of the device here, by the engine and without the device."""
    target = folder / "read-back.raw"
    job = {
        "verb": "restore",
        "device": device.name,
        "storage": {"url": str(server.root)},
        "secrets": {"password": PASSWORD},
        "map": {"disk0": str(target)},
        "overwrite": True,
    }
    run_job(job, lambda dummy_event: None, lambda: False)
    data = target.read_bytes()
    target.unlink()
    return data


def one_image_more(plant: Plant, device: Device, before: List[str]) -> str:
    after = plant.image_names(device)
    assert len(after) == len(before) + 1, "one image and not more"
    return after[-1]


def changed_paths(before: Dict[str, Entry], after: Dict[str, Entry]) -> List[str]:
    """What differs between two states of a device, without the log in which sshd counts its logins."""
    different = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    return [path for path in different if not path.startswith("var/log/")]


def traffic(device: Device) -> int:
    assert device.proxy is not None
    return device.proxy.forwarded_bytes


class Watch:
    """Looks, many times a second, at all that could show a secret while plays run: command lines, environments, files."""

    def __init__(self, devices: List[Device], secrets: List[bytes]) -> None:
        self._devices = devices
        self._secrets = secrets
        self.found: List[str] = []
        self.seen: Dict[str, int] = {}

    def look(self) -> None:
        for device in self._devices:
            for pid in device.processes():
                self._read("command line", Path("/proc/%d/cmdline" % pid))
                self._read("environment", Path("/proc/%d/environ" % pid))
            # os.walk passes over folders that go while it looks; Path.rglob does not.
            for folder, dummy_names, files in os.walk(str(device.changes / "home" / "tech")):
                for name in files:
                    self._read(name, Path(folder, name))
            for folder, dummy_names, files in os.walk(str(device.base / "spool")):
                for name in files:
                    self._read("spool " + name, Path(folder, name))
        for path in Path("/tmp").glob("plantops-imaging-*"):
            self._read("file of the controller", path)

    def _read(self, kind: str, path: Path) -> None:
        try:
            data = b"" if path.is_dir() or path.is_symlink() else path.read_bytes()
        except OSError:
            return  # it went meanwhile
        self.seen[kind] = self.seen.get(kind, 0) + 1
        if any(secret in data for secret in self._secrets):
            self.found.append("%s: %s" % (kind, path))
