# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running Debian guest in qemu: its serial console, root's shell over SSH, a power switch without mercy."""

from __future__ import annotations

import shlex
import subprocess
import time
from pathlib import Path
from typing import List, Optional, Sequence

from .guest_build import qemu_command
from .ports import free_port

HOST_FROM_GUEST = "10.0.2.2"  # qemu's user network leads this address to this machine's loopback


class Guest:
    """One machine. ``disks`` are raw or qcow2 files in order of /dev/vda, /dev/vdb; what it writes goes into them."""

    def __init__(
        self, folder: Path, disks: Sequence[Path], key: Path, memory_mib: int = 1024, options: Sequence[str] = ()
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.disks = list(disks)
        self.key = key
        self.memory_mib = memory_mib
        self.options = list(options)
        self.port = free_port()
        self.console = folder / "console.log"
        self._process: Optional[subprocess.Popen[bytes]] = None

    def start(self, *, wait_for: str = "login:", still_seconds: float = 180) -> Guest:
        """Switch on and wait until the console shows ``wait_for``.

        A guest whose console stands still is switched on once more: an emulated clock may stop under load. What keeps a
        disk from booting stops it both times.
        """
        for dummy in range(2):
            if self._comes_up(wait_for, still_seconds):
                return self
            self.power_off()
        raise AssertionError("the guest did not come up: %s" % self.console_text()[-3000:])

    def _comes_up(self, wait_for: str, still_seconds: float) -> bool:
        """False when the machine ended, or showed nothing new for ``still_seconds``."""
        command = [
            *qemu_command(self.memory_mib),
            *self.options,
            *("-serial", "file:%s" % self.console),
            *("-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:%d-:22" % self.port),
            *("-device", "virtio-net-pci,netdev=net"),
        ]
        for disk in self.disks:
            kind = "qcow2" if disk.suffix == ".qcow2" else "raw"
            command += ["-drive", "file=%s,format=%s,if=virtio,cache=unsafe" % (disk, kind)]
        self.console.write_bytes(b"")
        with open(self.folder / "qemu.log", "wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        shown, since = "", time.monotonic()
        while self._process.poll() is None and time.monotonic() - since < still_seconds:
            if self.console_text() != shown:
                shown, since = self.console_text(), time.monotonic()
            if wait_for in shown:
                return True
            time.sleep(0.2)
        return False

    def console_text(self) -> str:
        return self.console.read_text(encoding="utf-8", errors="replace")

    def ssh_command(self) -> List[str]:
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        command = ["ssh", "-F", "none", "-i", str(self.key), "-p", str(self.port)]
        for option in (*options, "IdentitiesOnly=yes", "ConnectTimeout=180"):
            command += ["-o", option]
        return [*command, "root@127.0.0.1"]

    def run(self, command: str, *, data: bytes = b"", check: bool = True, timeout_seconds: float = 900) -> str:
        """Run a shell command as root and return its output; ``data`` is its input."""
        done = subprocess.run(
            [*self.ssh_command(), command],
            check=False,
            input=data,
            capture_output=True,
            timeout=timeout_seconds,
        )
        output = done.stdout.decode("utf-8", "replace")
        if check and done.returncode:
            raise AssertionError(
                "%s: %d %s%s" % (command, done.returncode, output, done.stderr.decode("utf-8", "replace"))
            )
        return output

    def ready(self, minutes: float = 10) -> Guest:
        """Wait for the shell: an emulated machine under load shows its login before its SSH server answers in time."""
        deadline = time.monotonic() + minutes * 60
        while self.run("echo ready", check=False).strip() != "ready":
            assert time.monotonic() < deadline
            time.sleep(2)
        return self

    def popen(self, command: str, data: bytes = b"") -> subprocess.Popen[bytes]:
        """Start a shell command as root that goes on while the test does other things."""
        process = subprocess.Popen(
            [*self.ssh_command(), command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if process.stdin is not None:
            process.stdin.write(data)
            process.stdin.close()
        return process

    def put(self, source: Path, target: str) -> None:
        """Copy a file or a folder's content to the folder ``target``."""
        place, name = (source, ".") if source.is_dir() else (source.parent, source.name)
        with subprocess.Popen(
            ["tar", "-C", str(place), "--exclude=__pycache__", "--exclude=.mypy_cache", "-cf", "-", name],
            stdout=subprocess.PIPE,
        ) as archive:
            where = shlex.quote(target)
            command = "mkdir -p %s && tar -C %s --no-same-owner -xf -" % (where, where)
            subprocess.run([*self.ssh_command(), command], check=True, stdin=archive.stdout, timeout=900)

    def power_off(self) -> None:
        """Cut the power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Guest:
        return self.start()

    def __exit__(self, *dummy: object) -> None:
        self.power_off()


def overlay(base: Path, target: Path) -> Path:
    """Make a disk that begins as ``base`` and keeps its own changes in ``target``."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(target)]
    subprocess.run(command, check=True)
    return target
