# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real OpenSSH server on loopback, with a host key, a user key and a configuration of its own in a directory."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from .ports import free_port

PASSPHRASE = "a passphrase with spaces"


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


class SftpServer:
    """Runs in the foreground as a child; ``options`` are further arguments of the sftp-server behind it, ``more`` lines of the configuration."""

    def __init__(self, folder: Path, options: str = "", internal: bool = True, more: str = "") -> None:
        self.folder = folder
        self.root = folder / "images"
        self.prefix: List[str] = []  # what sshd is started with, to be elsewhere
        self.port = free_port()
        self.root.mkdir(parents=True, exist_ok=True)
        self.host_key = make_key(folder / "host_key")
        self.key = make_key(folder / "user_key")
        shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
        subsystem = "internal-sftp" if internal else "/usr/lib/openssh/sftp-server"
        (folder / "sshd_config").write_text(
            "Port %d\nListenAddress 127.0.0.1\nHostKey %s\nPidFile none\nAuthorizedKeysFile %s\nStrictModes no\n"
            "UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
            "MaxStartups 100\nSubsystem sftp %s %s\n%s"
            % (self.port, self.host_key, folder / "authorized_keys", subsystem, options, more),
            encoding="utf-8",
        )
        self._process: Optional[subprocess.Popen[bytes]] = None

    @property
    def fingerprint(self) -> str:
        command = ["ssh-keygen", "-lf", str(self.host_key) + ".pub"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[1]

    @property
    def host_key_line(self) -> str:
        return (self.folder / "host_key.pub").read_text(encoding="utf-8").strip()

    def settings(self, port: Optional[int] = None, **more: Any) -> Dict[str, Any]:
        """Settings of a storage in ``root``; a value of None takes a setting out."""
        settings: Dict[str, Any] = {
            "url": "sftp://127.0.0.1:%d%s" % (port or self.port, self.root),
            "username": getpass.getuser(),
            "private_key_file": str(self.key),
            "host_key": self.fingerprint,
        }
        settings.update(more)
        return {name: value for name, value in settings.items() if value is not None}

    def start(self) -> SftpServer:
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd's privilege separation wants it
        program = shutil.which("sshd") or "/usr/sbin/sshd"
        with open(self.folder / "sshd.log", "ab") as log:
            self._process = subprocess.Popen(
                [*self.prefix, program, "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise AssertionError("sshd did not start: " + (self.folder / "sshd.log").read_text(errors="replace"))

    def kill(self) -> None:
        """Kill the server with all its connections, as a loss of power would."""
        if self._process is None:
            return
        for pid in [*_descendants(self._process.pid), self._process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()
        self._process = None

    def __enter__(self) -> SftpServer:
        return self.start()

    def __exit__(self, *dummy: object) -> None:
        self.kill()


def _descendants(pid: int) -> List[int]:
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
    except OSError:
        return []
    return [one for child in children for one in [*_descendants(child), child]]
