# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real smbd on loopback, with its own configuration, users and shares, for one test."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional

from .ports import free_port

USER, PASSWORD = "backup", "Pass-word 9"
OTHER_USER = "nobody"
SHARE = "images"
ODD_SHARE = "Images größe 2"
_WAIT_SECONDS = 20

_GLOBAL = """
[global]
  workgroup = PLANT
  server role = standalone server
  netbios name = PLANTSERVER
  private dir = {folder}/private
  lock directory = {folder}/lock
  state directory = {folder}/state
  cache directory = {folder}/cache
  pid directory = {folder}/pid
  ncalrpc dir = {folder}/ncalrpc
  passdb backend = tdbsam:{folder}/private/passdb.tdb
  log file = {folder}/log
  log level = 1
  smb ports = {port}
  interfaces = lo
  bind interfaces only = yes
  disable netbios = yes
  load printers = no
  printcap name = /dev/null
  disable spoolss = yes
  map to guest = never
  username map = {folder}/users.map
  unix charset = UTF-8
"""


class SambaServer:
    """``options`` go to the global section; ``shares`` are name to path, with further options per share."""

    def __init__(
        self,
        folder: Path,
        options: Optional[Mapping[str, str]] = None,
        share_options: Optional[Mapping[str, str]] = None,
        share: str = SHARE,
        root: Optional[Path] = None,
        below: str = "plant",
    ) -> None:
        self.folder = folder
        self.below = below
        self.share = share
        self.root = root or folder / "root"
        self.port = free_port()
        self.options: Dict[str, str] = dict(options or {})
        self.share_options: Dict[str, str] = dict(share_options or {})
        self.prefix: List[str] = []  # what the server's programs are started with, to be elsewhere
        self.more_shares = ""  # lines of the configuration
        self._process: Optional[subprocess.Popen[bytes]] = None
        for name in ("private", "lock", "state", "cache", "pid", "ncalrpc", "root"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._open_to_all(folder / "root")
        self.make_below()
        self.config = folder / "smb.conf"
        self.user_map = folder / "users.map"
        self.user_map.touch()
        self.write_config()
        for user in (USER, OTHER_USER):
            self.set_password(user, PASSWORD)

    def make_below(self) -> None:
        """The directory of the share that is the storage: nobody but its owner makes it."""
        inside = self.root.joinpath(*self.below.split("\\")) if self.below else self.root
        inside.mkdir(parents=True, exist_ok=True)
        self._open_to_all(inside)

    @staticmethod
    def _open_to_all(path: Path) -> None:
        path.chmod(0o777)

    def write_config(self) -> None:
        lines = [_GLOBAL.format(folder=self.folder, port=self.port)]
        lines += ["  %s = %s\n" % item for item in self.options.items()]
        lines += ["[%s]\n  path = %s\n  read only = no\n  force user = root\n" % (self.share, self.root)]
        lines += ["  %s = %s\n" % item for item in self.share_options.items()]
        self.config.write_text("".join(lines) + self.more_shares, encoding="utf-8")

    def set_password(self, user: str, password: str) -> None:
        given = ("%s\n%s\n" % (password, password)).encode("utf-8")
        self._run(["smbpasswd", "-c", str(self.config), "-a", "-s", user], given)

    def edit_user(self, user: str, *arguments: str) -> None:
        """Change an account with pdbedit, for instance ``-c [D]`` to disable it."""
        self._run(["pdbedit", "-s", str(self.config), "-u", user, "-r", *arguments], b"")

    def map_user(self, sent: str, user: str) -> None:
        """Let who calls himself ``sent`` be ``user``."""
        self.user_map.write_text("%s = %s\n" % (user, sent), encoding="utf-8")

    def _run(self, command: List[str], given: bytes) -> None:
        command = [*self.prefix, *command]
        subprocess.run(command, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, timeout=60)

    @property
    def settings(self) -> Dict[str, Any]:
        """What ``imaging_storage`` needs to be for this server."""
        return {
            "url": "\\\\127.0.0.1\\%s\\%s" % (self.share, self.below),
            "port": self.port,
            "username": "PLANT\\" + USER,
            "password": PASSWORD,
        }

    def start(self) -> None:
        command = [*self.prefix, "smbd", "--foreground", "--no-process-group", "-s", str(self.config)]
        with open(self.folder / "smbd.out", "ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "smbd.out").read_text(errors="replace")) from None
                time.sleep(0.05)

    def stop(self, how: int = signal.SIGKILL) -> None:
        """End the server and the processes of its connections: they share a process group of their own."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)
        self._process.wait(_WAIT_SECONDS)
        self._process = None

    def pause(self) -> None:
        """Stop it answering without closing anything."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGCONT)


@contextlib.contextmanager
def samba(folder: Path, **named: Any) -> Iterator[SambaServer]:
    """A running server. ``folder`` may be deep: smbd's own files go to a short path, as its sockets need."""
    server = SambaServer(folder, **named)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def unmount(folder: Path, seconds: float = 20.0) -> None:
    """Unmount ``folder``; a session of a server that was stopped may hold it for a moment yet."""
    end = time.monotonic() + seconds
    while subprocess.run(["umount", str(folder)], check=False, stderr=subprocess.DEVNULL).returncode:
        assert time.monotonic() < end, "%s is still in use" % folder
        time.sleep(0.1)


@contextlib.contextmanager
def full_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of ``size_bytes`` in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % size_bytes, "tmpfs", str(folder)], check=True)
    try:
        folder.chmod(0o777)
        yield folder
    finally:
        unmount(folder)
        shutil.rmtree(folder)


@contextlib.contextmanager
def disk_with_quota(folder: Path, quota_bytes: int) -> Iterator[Path]:
    """A directory with a quota, on a file system with room: a subvolume of btrfs in a file."""
    folder.mkdir(parents=True, exist_ok=True)
    image, mounted = folder / "disk.btrfs", folder / "mounted"
    mounted.mkdir()
    with open(image, "wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.btrfs", "-q", str(image)], check=True)
    subprocess.run(["mount", "-t", "btrfs", "-o", "loop", str(image), str(mounted)], check=True)
    try:
        inside = mounted / "limited"
        for command in (
            ["quota", "enable", str(mounted)],
            ["subvolume", "create", str(inside)],
            ["qgroup", "limit", str(quota_bytes), str(inside)],
        ):
            subprocess.run(["btrfs", *command], check=True, stdout=subprocess.DEVNULL)
        inside.chmod(0o777)
        yield inside
    finally:
        unmount(mounted)
