# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long it takes from `ansible-playbook` to the first byte read on a device that has the agent, and where the time goes.

As root: ``python tests/bench/first_byte.py [rounds]``. The device is one of tests/support/devices.py, behind a real sshd,
with sudo and a sudo password, no SSH connection open before; the storage is an SFTP server.
"""

from __future__ import annotations

import ctypes
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Dict, List

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "plugins" / "module_utils")]

from support.devices import Device, Plant  # noqa: E402  # the path is known only now
from support.sftp_server import SftpServer  # noqa: E402

_ACCESS = 0x1  # inotify(7): IN_ACCESS
# What the log says when a step begins, and the name of the step.
_STEPS = (
    (r"^PLAY ", "ansible-playbook starts"),
    (r"SSH: EXEC .*echo ~", "argument specs of the role, worker"),
    (r"SSH: EXEC .*mkdir -p", "SSH connects"),
    (r"SSH: EXEC .*probe\.py", "folder, probe.py put"),
    (r"SSH: EXEC .*agent\.py start", "Python found, probe, bundle, job.json put"),
    (r"SSH: EXEC .*agent\.py deliver", "start: runner, its key; sealed.json put"),
    (r"SSH: EXEC .*agent\.py status", "deliver"),
)
_LAST_STEP = "runner: libraries, storage, disk opened"


class FirstRead:
    """Notes the moment in which a file is read for the first time from now on."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(None)
        self._descriptor = library.inotify_init()
        library.inotify_add_watch(self._descriptor, os.fsencode(path), _ACCESS)
        self._moment = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def moment(self) -> float:
        self._thread.join(5)
        if not self._moment:
            raise SystemExit("the disk was never read")
        return self._moment

    def _watch(self) -> None:
        while not struct.unpack_from("iI", os.read(self._descriptor, 4096))[1] & _ACCESS:
            continue
        self._moment = time.monotonic()
        os.close(self._descriptor)


def one_round(plant: Plant, disk: Path) -> Dict[str, float]:
    """Return the seconds that each step took."""
    plant.close()
    watched = FirstRead(disk)
    began = last = time.monotonic()
    seconds: Dict[str, float] = {}
    steps = list(_STEPS)
    with subprocess.Popen(
        plant.command("image", "-vvv"),
        cwd=str(ROOT),
        env=dict(plant.environment(), PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as play:
        for line in play.stdout or []:
            if steps and re.search(steps[0][0], line):
                now = time.monotonic()
                seconds[steps.pop(0)[1]] = now - last
                last = now
    seconds[_LAST_STEP] = watched.moment() - last
    seconds["first byte"] = watched.moment() - began
    return seconds


def main(arguments: List[str]) -> int:
    rounds = int(arguments[0]) if arguments else 5
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="plantops-bench-") as folder:
        device = Device(Path(folder), "press-1", sudo_password=True)
        disk = device.data / "disk.raw"
        disk.write_bytes(os.urandom(16 << 20))
        with device, SftpServer(Path(folder) / "sftp") as server:
            server.root.mkdir()
            device.reach(server.port)
            plant = Plant(
                Path(folder),
                [device],
                imaging_storage=dict(server.settings(), private_key_file=None, private_key=server.key.read_text()),
                imaging_drives=["/data/disk.raw"],
                imaging_password="correct-horse-battery-staple-47",
            )
            if plant.play("image").status:
                raise SystemExit("the first image failed")
            found = [one_round(plant, disk) for dummy in range(rounds)]
            plant.close()
    for step in found[0]:
        values = [one[step] for one in found]
        print("| %s | %.2f | %.2f to %.2f |" % (step, statistics.median(values), min(values), max(values)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
