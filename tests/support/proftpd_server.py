# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ProFTPD with mod_sftp on loopback: what many storage boxes speak SFTP with, and no OpenSSH at all."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator

from .ports import free_port
from .sftp_server import make_key

PASSWORD = "Pass-word 9"
_CONFIG = """
ServerType standalone
ServerName plant
Port {port}
DefaultAddress 127.0.0.1
ModulePath /usr/lib/proftpd
LoadModule mod_sftp.c
User {user}
Group {group}
RequireValidShell off
RootLogin on
UseFtpUsers off
UseReverseDNS off
WtmpLog off
TransferLog none
PidFile {folder}/pid
ScoreboardFile {folder}/scoreboard
DelayTable none
SystemLog {folder}/system.log
AuthUserFile {folder}/users
AuthOrder mod_auth_file.c
MaxInstances 100
AllowOverwrite on
SFTPEngine on
SFTPLog {folder}/sftp.log
SFTPHostKey {folder}/host_key
SFTPAuthMethods password
{options}
"""


class ProftpdServer:
    """``options`` are further lines of its configuration."""

    def __init__(self, folder: Path, options: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.root = folder / "images"
        self.root.mkdir()
        self.port = free_port()
        make_key(folder / "host_key", "rsa")
        user, user_id, group_id = getpass.getuser(), os.geteuid(), os.getegid()
        sealed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()
        users = folder / "users"
        users.write_text("%s:%s:%d:%d::%s:/bin/sh\n" % (user, sealed, user_id, group_id, self.root), encoding="utf-8")
        users.chmod(0o600)
        words = {"port": self.port, "user": user, "group": "root", "folder": folder, "options": options}
        (folder / "proftpd.conf").write_text(_CONFIG.format(**words), encoding="utf-8")

    @property
    def settings(self) -> Dict[str, Any]:
        """What ``imaging_storage`` needs to be for this server."""
        return {
            "url": "sftp://127.0.0.1:%d%s" % (self.port, self.root),
            "username": getpass.getuser(),
            "password": PASSWORD,
            "host_key": "accept-new",
        }


@contextlib.contextmanager
def proftpd(folder: Path, options: str = "") -> Iterator[ProftpdServer]:
    """A running server."""
    server = ProftpdServer(folder, options)
    with open(folder / "out", "ab") as output:
        process = subprocess.Popen(
            ["proftpd", "--nodaemon", "--config", str(folder / "proftpd.conf")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                    break
            if time.monotonic() > deadline or process.poll() is not None:
                raise AssertionError((folder / "out").read_text(errors="replace"))
            time.sleep(0.05)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
