# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test devices: each a root of its own (overlay; process, mount and network namespace) with its own sshd, user, sudo and Python.

Everything that a device writes lies in ``changes`` on this machine, which is what tests compare. Its network is its own
loopback. Two kinds of wires lead out, each a proxy, which counts, cuts and silences: from this machine to its sshd, and from
a port of the device to the server that listens on the same port here.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from .playbooks import Site
from .proxy import Proxy
from .sftp_server import make_key

USER = "tech"
SUDO_PASSWORD = "only-the-technician-knows-81"
PYTHON = "/usr/local/python/bin/python3"
SSH_PORT = 22
_SPACES = ("--mount", "--pid", "--uts", "--net")
_CLONE_NEWNET = 0x40000000  # linux/sched.h
# A new mount namespace holds every volume that other tests have mounted just then, and their loop devices with them.
_INIT = """
set -e
grep "^/dev/loop" /proc/self/mounts | cut -d " " -f 2 | while read -r place; do
    case "$CHANGES/ $DATA/ $LOWER/" in *"$place/"*) ;; *) umount -l "$(printf %b "$place")" || true ;; esac
done
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$CHANGES,workdir=$WORK" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount --rbind /sys "$ROOT/sys"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/run"
mkdir "$ROOT/run/sshd"
mount --bind "$DATA" "$ROOT/data"
[ -z "$PYTHON_HOME" ] || mount --bind "$PYTHON_HOME" "$ROOT/usr/local/python"
hostname "$NAME"
ip link set lo up
exec chroot "$ROOT" /bin/sh -c 'while :; do sleep 3600; done'
"""


class Entry(NamedTuple):
    """One file of a device as comparisons see it."""

    kind: str
    mode: int
    owner: int
    content: str


def pythons() -> List[Path]:
    """Return the homes of the CPython 3.8 and newer that pyenv has here, oldest first."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = []
    for path in root.glob("3.*"):
        version = tuple(int(word) for word in path.name.split(".")[:2])
        if version >= (3, 8) and (path / "bin" / "python3").exists():
            found.append((version, path))
    return [path for dummy, path in sorted(found)]


class Device:
    """A device that is reached over SSH as ``tech``, who may become root with or without a password."""

    def __init__(
        self,
        folder: Path,
        name: str,
        sudo_password: bool = False,
        python_home: Optional[Path] = None,
        system: Path = Path("/"),
    ) -> None:
        self.folder = folder / name
        self.name = name
        self.system = system
        self.changes = self.folder / "changes"
        self.data = self.folder / "data"
        self.sudo_password = sudo_password
        self.python_home = python_home
        for path in ("changes", "work", "root", "data", "keys"):
            (self.folder / path).mkdir(parents=True)
        self.key = make_key(self.folder / "keys" / "user")
        self.host_key = make_key(self.folder / "keys" / "host")
        self._write_system()
        self._init: Optional[subprocess.Popen[bytes]] = None
        self._server: Optional[subprocess.Popen[bytes]] = None
        self.proxy: Optional[Proxy] = None
        self.wires: Dict[int, Proxy] = {}

    @property
    def base(self) -> Path:
        """The agent's directory for root, as this machine sees it."""
        return self.changes / "opt" / "plantops-imaging"

    def start(self) -> Device:
        environment = dict(
            os.environ,
            CHANGES=str(self.changes),
            WORK=str(self.folder / "work"),
            LOWER=str(self.system),
            ROOT=str(self.folder / "root"),
            DATA=str(self.data),
            PYTHON_HOME=str(self.python_home or ""),
            NAME=self.name,
        )
        command = [
            "unshare",
            "--mount",
            "--pid",
            "--uts",
            "--net",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
        ]
        with open(self.folder / "init.log", "wb") as log:
            self._init = subprocess.Popen(
                [*command, "sh", "-c", _INIT],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _wait(self._inside_is_ready, "the namespaces of %s" % self.name, self.folder / "init.log")
        self.start_server()
        self.proxy = Proxy(SSH_PORT, connect=self.connect)
        return self

    def reach(self, port: int) -> Proxy:
        """Let what the device asks of its own loopback at ``port`` reach this machine's; return the wire."""
        if port not in self.wires:
            listener = self._in_its_network(lambda: socket.create_server(("127.0.0.1", port), backlog=100))
            self.wires[port] = Proxy(port, listener=listener)
        return self.wires[port]

    def connect(self, port: int) -> socket.socket:
        """Connect to a server of the device from this machine."""
        return self._in_its_network(lambda: socket.create_connection(("127.0.0.1", port), 10))

    def _in_its_network(self, make: Callable[[], socket.socket]) -> socket.socket:
        """A socket belongs for good to the network namespace of the thread that makes it [network_namespaces(7)]."""
        made: List[socket.socket] = []
        failed: List[BaseException] = []

        def work() -> None:
            try:
                with open("/proc/%d/ns/net" % self._init_pid(), "rb") as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                made.append(make())
            except (OSError, AssertionError) as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return made[0]

    def start_server(self) -> None:
        """Start sshd; :meth:`kill_server` ended the one before."""
        with open(self.folder / "sshd.log", "ab") as log:
            self._server = subprocess.Popen(
                self.inside("/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/device_config"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _wait(self._server_listens, "sshd of %s" % self.name, self.folder / "sshd.log")

    def kill_server(self) -> None:
        """Kill sshd with all its sessions; what left its session lives on."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        # One that was forked meanwhile for a new connection holds the port until it has closed it.
        _wait(self._kill_sessions, "the end of sshd of %s" % self.name, self.folder / "sshd.log")

    def _kill_sessions(self) -> bool:
        """Kill what is left of sshd; whether nothing was."""
        left = [pid for pid, command in self.processes().items() if command.startswith(("sshd", "/usr/sbin/sshd"))]
        for pid in left:
            _kill(pid)
        return not left and not self._server_listens()

    def inside(self, *command: str) -> List[str]:
        """Return the command that runs ``command`` as root on the device."""
        return ["nsenter", "--target", str(self._init_pid()), *_SPACES, "--root", "--wd", *command]

    def run(self, *command: str) -> str:
        return subprocess.run(self.inside(*command), check=True, stdout=subprocess.PIPE, text=True).stdout

    def processes(self) -> Dict[int, str]:
        """Return the command lines of the device's processes by their ids on this machine."""
        found = {}
        namespace = os.readlink("/proc/%d/ns/pid" % self._init_pid())
        for path in Path("/proc").iterdir():
            try:
                if path.name.isdigit() and os.readlink(str(path / "ns" / "pid")) == namespace:
                    found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue  # it ended meanwhile
        return found

    def outside(self, pid: int) -> int:
        """Return the id on this machine of the process that has the id ``pid`` on the device."""
        for one in self.processes():
            with contextlib.suppress(OSError):  # it ended meanwhile
                status = Path("/proc/%d/status" % one).read_text(encoding="utf-8", errors="replace")
                if int(status.split("\nNSpid:", 1)[1].split("\n", 1)[0].split()[-1]) == pid:
                    return one
        raise ProcessLookupError("%s has no process %d" % (self.name, pid))

    def contents(self) -> Dict[str, Entry]:
        """Return everything that the device holds besides what it began with, without what lives in memory."""
        found = {}
        for folder, names, files in os.walk(str(self.changes)):
            for name in names + files:
                path = os.path.join(folder, name)
                state = os.lstat(path)
                content = ""
                if stat.S_ISREG(state.st_mode):
                    with open(path, "rb") as file:
                        content = hashlib.sha256(file.read()).hexdigest()
                elif stat.S_ISLNK(state.st_mode):
                    content = os.readlink(path)
                kind = oct(stat.S_IFMT(state.st_mode))
                relative = os.path.relpath(path, str(self.changes))
                found[relative] = Entry(kind, stat.S_IMODE(state.st_mode), state.st_uid, content)
        return found

    def holds(self, needle: bytes) -> List[str]:
        """Return the files of the device with ``needle`` in them."""
        return [
            str(path)
            for path in self.changes.rglob("*")
            if path.is_file() and not path.is_symlink() and needle in path.read_bytes()
        ]

    def variables(self) -> Dict[str, Any]:
        """What an inventory says of this device."""
        if self.proxy is None:
            raise AssertionError("%s was not started" % self.name)
        known = self.folder / "known_hosts"
        public = (self.folder / "keys" / "host.pub").read_text(encoding="utf-8").strip()
        known.write_text("[127.0.0.1]:%d %s\n" % (self.proxy.port, public), encoding="utf-8")
        variables = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.proxy.port,
            "ansible_user": USER,
            "ansible_become": True,
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": "-F none -o IdentitiesOnly=yes -o UserKnownHostsFile=%s" % known,
        }
        if self.sudo_password:
            variables["ansible_become_password"] = SUDO_PASSWORD
        if self.python_home is not None:
            variables["ansible_python_interpreter"] = PYTHON
        return variables

    def stop(self) -> None:
        for proxy in [self.proxy, *self.wires.values()]:
            if proxy is not None:
                proxy.close()
        if self._init is not None:
            os.killpg(self._init.pid, signal.SIGKILL)
            self._init.wait()
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def __enter__(self) -> Device:
        return self.start()

    def __exit__(self, *dummy: object) -> None:
        self.stop()

    def _write_system(self) -> None:
        etc = self.changes / "etc"
        for path in ("etc/ssh", "etc/sudoers.d", "usr/local/python", "data", "opt"):
            (self.changes / path).mkdir(parents=True, exist_ok=True)
        password = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=SUDO_PASSWORD, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        for name, line in (
            ("passwd", "%s:x:4711:4711::/home/%s:/bin/sh" % (USER, USER)),
            ("group", "%s:x:4711:" % USER),
            ("shadow", "%s:%s:19000:0:99999:7:::" % (USER, password)),
        ):
            given = self.system / "etc" / name
            (etc / name).write_text(given.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
            shutil.copymode(str(given), str(etc / name))
        (etc / "hosts").write_text("127.0.0.1 localhost %s\n" % self.name, encoding="utf-8")
        rule = etc / "sudoers.d" / USER
        rule.write_text("%s ALL=(ALL) %sALL\n" % (USER, "" if self.sudo_password else "NOPASSWD: "), encoding="utf-8")
        rule.chmod(0o440)
        (etc / "machine-id").write_text(uuid.uuid4().hex + "\n", encoding="utf-8")
        home = self.changes / "home" / USER
        (home / ".ssh").mkdir(parents=True)
        shutil.copy(str(self.key) + ".pub", str(home / ".ssh" / "authorized_keys"))
        for own in (home, home / ".ssh", home / ".ssh" / "authorized_keys"):
            os.chown(own, 4711, 4711)
        home.chmod(0o700)
        shutil.copy(str(self.host_key), str(etc / "ssh" / "device_host_key"))
        (etc / "ssh" / "device_config").write_text(
            "Port 22\nListenAddress 127.0.0.1\nHostKey /etc/ssh/device_host_key\nPidFile none\nUsePAM no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\nStrictModes no\n"
            "Subsystem sftp internal-sftp\n",
            encoding="utf-8",
        )

    def _server_listens(self) -> bool:
        try:
            self.connect(SSH_PORT).close()
        except OSError:
            return False
        return True

    def _inside_is_ready(self) -> bool:
        try:
            return os.readlink("/proc/%d/root" % self._init_pid()) == str(self.folder / "root")
        except (OSError, AssertionError):
            return False

    def _init_pid(self) -> int:
        """The first process inside, as this machine counts: the only child of ``unshare``."""
        if self._init is None or self._init.poll() is not None:
            raise AssertionError("%s does not run: %s" % (self.name, (self.folder / "init.log").read_text()))
        with open("/proc/%d/task/%d/children" % (self._init.pid, self._init.pid), encoding="ascii") as file:
            words = file.read().split()
        if not words:
            raise AssertionError("%s is not there yet" % self.name)
        return int(words[0])


class Plant(Site):
    """An inventory of devices, and the controller's side in a directory of its own."""

    def __init__(self, folder: Path, devices: List[Device], **settings: Any) -> None:
        super().__init__(folder, imaging_device_alias="", **settings)
        self.devices = devices
        # The path of a connection's socket has an upper bound that a test's own folder would exceed.
        self.sockets = Path("/tmp") / ("p%s" % uuid.uuid4().hex[:8])

    def inventory(self) -> Dict[str, Any]:
        return {"all": {"hosts": {one.name: one.variables() for one in self.devices}, "vars": self.settings}}

    def environment(self, extra: Optional[Dict[str, str]] = None) -> Dict[str, str]:
        more = {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.sockets), "ANSIBLE_FORKS": "10"}
        more.update(extra or {})
        return super().environment(more)

    def image_names(self, device: Device) -> List[str]:
        return sorted(path.parent.name for path in self.storage.glob("%s/*/image.json" % device.name))

    def close(self) -> None:
        """End the persistent connections."""
        for path in self.sockets.glob("*"):
            subprocess.run(
                ["ssh", "-F", "none", "-O", "exit", "-o", "ControlPath=%s" % path, "device"],
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        shutil.rmtree(self.sockets, ignore_errors=True)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait(condition: Any, what: str, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("%s is waited for in vain: %s" % (what, log.read_text(errors="replace")))
