# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's service on a Windows device, installed as by hand and asked through its files, as a connection asks it."""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List

from engine.agent.service_client import Answer, Command, open_answer, seal_command
from engine.agent.service_files import ServiceFiles
from engine.install.windows.document import File, make_document
from support.windows.device import WindowsDevice, environment_of
from support.windows.runs import BASE, Runs

PLANTED = "planted.dll"
MODULE = "engine.agent.windows_install"


class InstalledService:
    """The service of a device that is switched on. Nothing of it is imported by the device: files alone pass."""

    def __init__(self, device: WindowsDevice) -> None:
        self.device = device
        self.base = device.host_path(BASE)
        self.files = ServiceFiles(str(self.base))

    def install(self, version: str = "0.9.0", damaged: bool = False) -> Dict[str, Any]:
        """Install a bundle of this version by hand. ``damaged``: its service ends at its start."""
        bundle = self.device.host_path(r"C:\agent")
        serving = bundle / "code" / "engine" / "agent" / "windows_serving.py"
        kept = serving.read_bytes()
        if damaged:
            serving.write_bytes(kept.replace(b"def serve(", b"def serve_not("))
        self._name(version)
        try:
            return self.ask_installer("install", "--from", r"C:\agent")
        finally:
            serving.write_bytes(kept)

    def timed_install(self, version: str) -> float:
        """Install a bundle of this version and return how many seconds it took."""
        began = time.monotonic()
        answer = self.install(version)
        assert answer["ok"], (answer, self.log())
        return time.monotonic() - began

    def begin_install(self, version: str) -> None:
        """Begin to install a bundle of this version; the device is to lose its power in the middle."""
        self._name(version)
        words = ["-m", MODULE, "install", "--base", BASE, "--from", r"C:\agent"]
        subprocess.Popen(
            ["wine", r"C:\agent\python\python.exe", r"C:\agent\start.py", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment_of(self.device.prefix),
            cwd=self.device.drive,
        )

    def _name(self, version: str) -> None:
        bundle = self.device.host_path(r"C:\agent")
        (bundle / "bundle.json").write_bytes(make_document(version, "windows-amd64", "3.8.10", _files(bundle)).raw)

    def ask_installer(self, *words: str) -> Dict[str, Any]:
        """Run a verb of the installer, from the bundle, and return its answer."""
        ran = self.device.python("-m", MODULE, words[0], "--base", BASE, *words[1:])
        lines = [line for line in ran.output.splitlines() if line.startswith("{")]
        assert lines, (ran.status, ran.errors)
        return dict(json.loads(lines[-1]))

    @property
    def pid(self) -> int:
        """The number that Windows gives the service's process."""
        return int(self.files.read_state()["pid"])

    def hello(self) -> Any:
        """The key of the life of the service that wrote last, None where none did."""
        return self.files.read_state().get("hello")

    def send(self, line: str, stdin: bytes = b"", hello: Any = None, **more: Any) -> Any:
        """Put a command into the inbox and return what opens its answer."""
        command = Command("c-%s" % secrets.token_hex(8), line, stdin, **more)
        data, recipient = seal_command(hello or self.hello(), command)
        new = Path(self.files.inbox) / (command.id + ".new")
        new.write_bytes(data)
        new.rename(new.with_suffix(".json"))
        return command.id, recipient

    def answer(self, sent: Any, seconds: float = 60.0) -> Answer:
        """Wait for the answer to a command that was sent. :raises EngineError: as :func:`open_answer`."""
        command_id, recipient = sent
        path = self.base / "service" / "answers" / (command_id + ".json")
        deadline = time.monotonic() + seconds
        while not path.exists():
            assert time.monotonic() < deadline, (self.log(), list(self.base.glob("service/*/*")))
            time.sleep(0.05)
        data = path.read_bytes()
        path.unlink()
        return open_answer(recipient, command_id, data)

    def command(self, line: str, stdin: bytes = b"") -> Answer:
        """Have a command carried out, and return its outcome."""
        return self.answer(self.send(line, stdin))

    def python(self, rest: str) -> str:
        """A command line for the Python of the installation in use."""
        return '"%s\\%s\\python\\python.exe" -I %s' % (BASE, (self.base / "current").read_text(), rest)

    def runs(self) -> Runs:
        """The agent of the device, asked through the service."""

        def call(*words: str) -> Dict[str, Any]:
            program = self.python('-m engine.agent.main --base "%s"' % BASE)
            answer = self.command("%s %s" % (program, subprocess.list2cmdline(words)))
            return dict(json.loads(answer.stdout.decode().splitlines()[-1]))

        return Runs(self.device, call)

    def kill(self) -> None:
        """End the service's process without a word, as a crash does."""
        program = (
            "from engine.host.windows_calls import kernel32; import ctypes; k = kernel32();"
            "k.OpenProcess.restype = ctypes.c_void_p;"
            "k.TerminateProcess(ctypes.c_void_p(k.OpenProcess(1, False, %d)), 9)" % self.pid
        )
        self.device.drive.joinpath("kill.py").write_text(program)
        ran = self.device.python(r"C:\kill.py")
        assert ran.status == 0, ran.errors

    def stop(self) -> None:
        """Stop the service as an administrator does."""
        self._manage("stop()")

    def start(self, before: Any = False) -> None:
        """Start the service, and wait until it says that it runs, with another key than ``before``.

        A device that was switched on starts it by itself: then the key has to be read before.
        """
        before = self.hello() if before is False else before
        self._manage("windows_services.start('plantops-imaging')")
        deadline = time.monotonic() + 120
        while self.hello() in (None, before):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def start_again(self) -> None:
        """Start the service after a kill. Wine goes on calling it running, so Windows' own restart is done by hand here."""
        self.device.python("-m", MODULE, "status", "--base", BASE)
        self.start()

    def _manage(self, call: str) -> None:
        program = (
            "from engine.host import windows_services\nfrom engine.install.windows_switch import stop\n%s\n" % call
        )
        self.device.drive.joinpath("manage.py").write_text(program)
        ran = self.device.python(r"C:\manage.py")
        assert ran.status == 0, ran.errors

    def log(self) -> str:
        path = self.base / "service" / "service.log"
        return path.read_text(errors="replace") if path.exists() else ""


def _files(bundle: Path) -> List[File]:
    """Every file of the folder but caches, and a library that another user has put there."""
    found = []
    for path in sorted(bundle.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.name not in ("bundle.json", PLANTED):
            data = path.read_bytes()
            name = path.relative_to(bundle).as_posix()
            found.append(File(name, hashlib.sha256(data).hexdigest(), len(data), ""))
    return found
