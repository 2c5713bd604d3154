# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real OpenSSH or Samba server over a small file system in memory, and everything that can happen to it.

What the server stores is seen from outside, too: ``root`` is the directory that it serves.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Union

from engine.storage.contract import Storage
from engine.storage.sftp.storage import SftpStorage
from engine.storage.smb.storage import SmbStorage

from .proxy import Proxy
from .samba_server import PASSWORD, USER, SambaServer, full_disk
from .sftp_server import SftpServer

SIZE_BYTES = 96 << 20
TIMEOUT_SECONDS = 4.0
_REMOUNT_SECONDS = 10.0
_FILLER = "filler"


class ChaosServer(ABC):
    """``proxy`` stands before the server; ``settings`` lead through it."""

    kind: str

    def __init__(self, server: Union[SftpServer, SambaServer]) -> None:
        self.server = server
        self.root = server.root
        self.port = server.port
        self.proxy = Proxy(server.port)
        self._runs = False

    @abstractmethod
    def settings(self, below: str, port: Optional[int] = None) -> Dict[str, Any]:
        """What ``imaging_storage`` is to be for the folder ``below``; ``port`` None leads through the proxy."""

    @abstractmethod
    def open(self, below: str, port: Optional[int] = None) -> Storage:
        """A storage without retries."""

    def start(self) -> None:
        """Start it where it was killed; does nothing where it runs."""
        if not self._runs:
            self.server.start()
        self._runs = True

    def kill(self) -> None:
        """Kill it with all its connections."""
        self._kill_server()
        self._runs = False

    @abstractmethod
    def _kill_server(self) -> None:
        """Kill the server's processes."""

    @abstractmethod
    def sessions(self) -> List[int]:
        """The processes that serve the connections."""

    @abstractmethod
    def change_password(self) -> None:
        """Make what the device knows useless for the next login; sessions that live go on."""

    @abstractmethod
    def take_password_back(self) -> None:
        """Make it right again."""

    def end_sessions(self) -> None:
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def expire_sessions(self) -> None:
        """End the sessions in the server's own way, where it has one."""
        self.end_sessions()

    def protect(self, read_only: bool) -> None:
        """Mount the file system read-only, or writable again."""
        command = ["mount", "-o", "remount," + ("ro" if read_only else "rw"), str(self.root)]
        deadline = time.monotonic() + _REMOUNT_SECONDS
        while subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError("a file stays open for writing: " + str(self.root))
            time.sleep(0.01)

    def fill(self, free_bytes: int) -> None:
        """Leave so much room and no more."""
        with open(self.root / _FILLER, "ab") as file:
            while True:
                there = os.statvfs(self.root)
                size_bytes = there.f_bavail * there.f_frsize - free_bytes
                if size_bytes <= 0:
                    return None
                # The run writes meanwhile, so that there may be less room by now.
                with contextlib.suppress(OSError):
                    return os.posix_fallocate(file.fileno(), file.tell(), size_bytes)

    def free(self) -> None:
        (self.root / _FILLER).unlink(missing_ok=True)

    def make_folder(self, below: str) -> Path:
        """The directory of a storage, which the engine does not make, for the account of this server."""
        folder = self.root / below
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(0o777)
        return folder

    def date_files(self, below: str, seconds: float) -> None:
        """Give everything in a folder another time, as a server does whose clock is wrong."""
        for path in (self.root / below).rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, (seconds, seconds))

    def recover(self) -> None:
        """Undo everything that was done to it."""
        self.proxy.mend()
        self.proxy.speak()
        self.protect(False)
        self.free()
        self.take_password_back()
        self.start()


class SftpChaos(ChaosServer):
    kind = "sftp"

    server: SftpServer

    def __init__(self, server: SftpServer) -> None:
        super().__init__(server)
        self._keys = server.folder / "authorized_keys"
        self._right = self._keys.read_bytes()

    def settings(self, below: str, port: Optional[int] = None) -> Dict[str, Any]:
        port = port or self.proxy.port
        return self.server.settings(port, url="sftp://127.0.0.1:%d%s/%s" % (port, self.root, below))

    def open(self, below: str, port: Optional[int] = None) -> Storage:
        return SftpStorage(self.settings(below, port), timeout_seconds=TIMEOUT_SECONDS)

    def _kill_server(self) -> None:
        self.server.kill()

    def sessions(self) -> List[int]:
        process = self.server._process
        return [] if process is None else _children(process.pid)

    def change_password(self) -> None:
        self._keys.write_bytes(b"")

    def take_password_back(self) -> None:
        self._keys.write_bytes(self._right)


class SmbChaos(ChaosServer):
    kind = "smb"

    server: SambaServer

    def __init__(self, server: SambaServer) -> None:
        super().__init__(server)
        self._is_changed = False

    def settings(self, below: str, port: Optional[int] = None) -> Dict[str, Any]:
        url = "\\\\127.0.0.1\\%s\\%s" % (self.server.share, below)
        return dict(self.server.settings, url=url, port=port or self.proxy.port, timeout_seconds=TIMEOUT_SECONDS)

    def open(self, below: str, port: Optional[int] = None) -> Storage:
        return SmbStorage(self.settings(below, port))

    def _kill_server(self) -> None:
        self.server.stop()

    def sessions(self) -> List[int]:
        process = self.server._process
        found = [] if process is None else _children(process.pid)
        return [pid for pid in found if _name(pid).startswith("smbd") and "notify" not in _name(pid)]

    def expire_sessions(self) -> None:
        command = ["smbcontrol", "-s", str(self.server.config), "smbd", "close-share", self.server.share]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    def change_password(self) -> None:
        self.server.set_password(USER, PASSWORD + "!")
        self._is_changed = True

    def take_password_back(self) -> None:
        if self._is_changed:
            self.server.set_password(USER, PASSWORD)
        self._is_changed = False


@contextlib.contextmanager
def chaos_server(kind: str, folder: Path, size_bytes: int = SIZE_BYTES) -> Iterator[ChaosServer]:
    """A running server of ``kind`` (sftp, smb) with its own file system."""
    served = folder / "served" / "images"
    with full_disk(served, size_bytes):
        server: ChaosServer
        if kind == "sftp":
            server = SftpChaos(SftpServer(folder / "served"))
        else:
            server = SmbChaos(SambaServer(folder / "smbd", root=served))
        with contextlib.closing(server.proxy):
            server.start()
            try:
                yield server
            finally:
                server.kill()


def _children(pid: int) -> List[int]:
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _name(pid: int) -> str:
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""
