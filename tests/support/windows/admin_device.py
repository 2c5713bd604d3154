# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Windows device that offers nothing but SMB: a real smbd shares the disk of a prefix, Wine's service manager is behind
the pipes. Faults are attributes: set one, and the device behaves so from the next call on.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from support.paths import SUPPORT
from support.samba_server import PASSWORD, USER, SambaServer
from support.windows.access_lists import correct_answers, give_to_administrators
from support.windows.device import WindowsDevice, environment_of
from support.windows.kinds import WINDOWS_7, Kind
from support.windows.pipe_server import PipeServer
from support.windows.rpc_server import Served
from support.windows.server_service_pipe import ServerServicePipe
from support.windows.service_control_pipe import ServiceControlPipe

_STOPPED, _PROCESS_ABORTED = 1, 1067
_ACCESS_DENIED, _REQUEST_TIMEOUT, _SHUTTING_DOWN, _BLOCKED_BY_POLICY = 5, 1053, 1115, 1260
_OTHER_SHARE = "KRC"
_OPTIONS = {
    "server signing": "mandatory",
    "rpc start on demand helpers": "no",
    "server min protocol": "SMB2_10",
    # access lists as a client sends them, owners of Windows included
    "vfs objects": "acl_xattr",
    "acl_xattr:ignore system acls": "yes",
}


class WineManager:
    """The service manager of a prefix, as the pipe asks it. Faults: ``start_code``, ``create_code``, ``is_service_dead``."""

    def __init__(self, device: WindowsDevice) -> None:
        command = ["wine", r"C:\agent\python\python.exe", r"C:\agent\service_calls.py"]
        shutil.copy(SUPPORT / "windows" / "service_calls.py", device.drive / "agent" / "service_calls.py")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment_of(device.prefix),
            cwd=device.drive,
        )
        self._lock = threading.Lock()
        self._drive = device.drive
        self.corrections: List[Callable[[Path], None]] = [
            correct_answers
        ]  # of an installation, before its service starts
        self.start_code = self.create_code = 0
        self.is_service_dead = False  # killed: Windows says so, and Wine goes on calling it running
        self.calls: List[Tuple[str, str]] = []
        self._held_call = ""
        self._is_held, self._goes_on = threading.Event(), threading.Event()

    @contextlib.contextmanager
    def holding(self, do: str) -> Iterator[threading.Event]:
        """Let no call of this kind be carried out; each waits until the end of the block. The event: one has come."""
        self._is_held.clear()
        self._goes_on.clear()
        self._held_call = do
        try:
            yield self._is_held
        finally:
            self._held_call = ""
            self._goes_on.set()

    def call(self, do: str, name: str, **more: Any) -> Tuple[int, List[int], Dict[str, Any]]:
        self.calls.append((do, name))
        if do == self._held_call:
            self._is_held.set()
            self._goes_on.wait()
            return _SHUTTING_DOWN, [], {}
        code = {"start": self.start_code, "create": self.create_code}.get(do, 0)
        if code:
            return code, [], {}
        if do == "start":
            for correct in self.corrections:
                correct(self._drive)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps([do, name, more]).encode() + b"\n")
            self._process.stdin.flush()
            code, status, more = json.loads(self._process.stdout.readline())
        if do == "query" and self.is_service_dead and not code:
            status[1:5] = [_STOPPED, 0, _PROCESS_ABORTED, 0]
        return code, status, more

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class AdminShareDevice(WindowsDevice):
    """A device with ``C$``, ``ADMIN$`` and a share that is not the root of a drive (``KRC``), for its administrator."""

    username, password = "PC-1\\" + USER, PASSWORD
    other_share = _OTHER_SHARE

    def __init__(self, folder: Path, kind: Kind) -> None:
        super().__init__(folder, kind)
        self.is_old = kind is WINDOWS_7  # SMB 2.1: no encryption
        self.shares = {"C$": "C:\\", "ADMIN$": "C:\\windows", _OTHER_SHARE: "C:\\KRC\\share"}
        self.is_filtered = False  # remote UAC filtering: an administrator is an ordinary user over the network
        (self.drive / "KRC" / "share").mkdir(parents=True)
        self._server_folder = Path(tempfile.mkdtemp(prefix="pw"))  # its sockets need a short path
        options = dict(_OPTIONS, **({"server max protocol": "SMB2_10"} if self.is_old else {}))
        self.samba = SambaServer(self._server_folder, options, share="C$", root=self.drive, below="")
        for name, path in (("ADMIN$", self.drive / "windows"), (_OTHER_SHARE, self.drive / "KRC" / "share")):
            self.samba.more_shares += "[%s]\n  path = %s\n  read only = no\n  force user = root\n" % (name, path)
        self.samba.write_config()
        self._has_access_lists = False
        self._pipes: List[PipeServer] = []
        self._manager: Optional[WineManager] = None

    def __enter__(self) -> AdminShareDevice:
        try:
            self.switch_on()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *dummy: object) -> None:
        super().__exit__()
        shutil.rmtree(self._server_folder)

    @property
    def port(self) -> int:
        return self.samba.port

    @property
    def base(self) -> Path:
        """The agent's folder, wherever a share has it."""
        in_share = self.drive / "KRC" / "share" / "plantops-imaging"
        return in_share if in_share.exists() else self.drive / "Program Files" / "plantops-imaging"

    @property
    def manager(self) -> WineManager:
        assert self._manager is not None
        return self._manager

    @property
    def faults(self) -> List[BaseException]:
        """What the double itself got wrong: a test that ends with any has failed."""
        return [fault for pipe in self._pipes for fault in pipe.faults]

    def switch_on(self) -> None:
        """Start it; services that start with Windows are started by Wine."""
        self._manager = WineManager(self)
        pipes = self._server_folder / "ncalrpc" / "np"
        self._pipes = [
            PipeServer(pipes, "svcctl", self._service_control),
            PipeServer(pipes, "srvsvc", self._server_service),
        ]
        self.samba.start()
        if not self._has_access_lists:
            login = (self.port, self.username, self.password)
            give_to_administrators(*login, "C$", ["", "Program Files"])
            give_to_administrators(*login, _OTHER_SHARE, [""])
            self._has_access_lists = True

    def _service_control(self) -> Served:
        return ServiceControlPipe(self.manager, _ACCESS_DENIED if self.is_filtered else 0).served()

    def _server_service(self) -> Served:
        version = (6, 1) if self.is_old else (10, 0)
        return ServerServicePipe(self.shares, version, _ACCESS_DENIED if self.is_filtered else 0).served()

    def switch_off(self) -> None:
        """End everything at once, as a loss of power does."""
        self.samba.stop(signal.SIGKILL)
        for pipe in self._pipes:
            pipe.close()
        self._pipes = []
        if self._manager is not None:
            self._manager.close()
            self._manager = None
        super().switch_off()

    def filter_tokens(self) -> None:
        """Behave as for a local administrator whose token remote UAC filters: no administrative share, no manager."""
        self.is_filtered = True
        self.samba.share_options["valid users"] = "nobody"
        self._reload()

    def leave_tokens(self) -> None:
        """Behave as for the built-in administrator again."""
        self.is_filtered = False
        del self.samba.share_options["valid users"]
        self._reload()

    @contextlib.contextmanager
    def account_flag(self, flag: str) -> Iterator[None]:
        """Let the administrator's account be locked (L) or disabled (D)."""
        database = self._server_folder / "private" / "passdb.tdb"
        kept = database.read_bytes()
        self.samba.edit_user(USER, "-c", "[%s]" % flag)
        try:
            yield
        finally:
            database.write_bytes(kept)
            self._reload()

    def take_share_away(self) -> None:
        """As AutoShareWks = 0 does: no C$."""
        self.samba.share = "D$"
        self._reload()

    def give_share_back(self) -> None:
        self.samba.share = "C$"
        self._reload()

    @contextlib.contextmanager
    def scanner(self, name: str) -> Iterator[None]:
        """As anti-virus that deletes a program of the agent as soon as it is there."""
        ends = threading.Event()

        def scan() -> None:
            while not ends.wait(0.02):
                for path in self.base.glob("*/python/" + name):  # those that are being installed, too
                    path.unlink(missing_ok=True)

        thread = threading.Thread(target=scan, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ends.set()
            thread.join()

    def block_starts(self) -> None:
        """As a policy that lets no program of the agent start."""
        self.manager.start_code = _BLOCKED_BY_POLICY

    def time_out_starts(self) -> None:
        """As a service whose program was deleted or held by a virus scanner."""
        self.manager.start_code = _REQUEST_TIMEOUT

    def _reload(self) -> None:
        self.samba.write_config()
        self.samba.stop(signal.SIGKILL)
        self.samba.start()
