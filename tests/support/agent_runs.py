# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's verbs as a controller calls them: a process each, one line of JSON back."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import engine
from engine.agent.sealing import seal

MODULE_UTILS = str(Path(next(iter(engine.__path__))).parent)
PASSWORD = 'the-plant\'s "password" 4711'
STORAGE_PASSWORD = "the-storage's-password-0815"
ENDED = ("done", "failed", "cancelled", "lost")
_LIMIT_SECONDS = 90


class Refused(Exception):
    """What a verb answered instead of doing it."""

    def __init__(self, answer: Dict[str, Any]) -> None:
        super().__init__(answer["message"])
        self.code = answer["code"]
        self.hint = answer["hint"]


class AgentOnDevice:
    """An agent without an installation; ``command`` is what runs Python there."""

    def __init__(self, folder: Path, command: Optional[Sequence[str]] = None, path: Sequence[str] = ()) -> None:
        self.folder = folder
        self.base = folder / "base"
        self.command = [*(command or [sys.executable]), "-m", "engine.agent.main", "--base", str(self.base)]
        self.environment = dict(
            os.environ, PYTHONPATH=os.pathsep.join([MODULE_UTILS, *path]), PYTHONDONTWRITEBYTECODE="1"
        )
        self._files = 0

    def open(self, *words: str, **more: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self.command, *words], stdout=subprocess.PIPE, env=self.environment, **more)

    def call(self, *words: str) -> Dict[str, Any]:
        with self.open(*words) as process:
            line = process.communicate(timeout=_LIMIT_SECONDS)[0]
        answer: Dict[str, Any] = json.loads(line)
        assert line.count(b"\n") == 1
        assert process.returncode == (0 if answer["ok"] else 1)
        if not answer["ok"]:
            raise Refused(answer)
        return answer

    def put(self, document: Any) -> str:
        """Put a file as a connection would, and return its path."""
        self._files += 1
        path = self.folder / ("given-%d.json" % self._files)
        path.write_text(json.dumps(document), encoding="utf-8")
        path.chmod(0o644)
        return str(path)

    def start(self, run: str, job: Dict[str, Any], *options: str) -> Dict[str, Any]:
        return self.call("start", run, self.put(job), *options)

    def deliver(self, hello: Dict[str, Any]) -> Dict[str, Any]:
        secrets = {"secrets": {"password": PASSWORD}, "storage": {"password": STORAGE_PASSWORD}}
        return self.call("deliver", hello["run"], self.put(seal(hello, secrets)))

    def begin(self, run: str, job: Dict[str, Any]) -> Dict[str, Any]:
        """Start the run and give it its secrets."""
        return self.deliver(self.start(run, job))

    def status(self, run: str, *options: str) -> Dict[str, Any]:
        return dict(self.call("status", run, *options)["status"])

    def wait(self, run: str, reached: Callable[[Dict[str, Any]], bool] = lambda status: False) -> Dict[str, Any]:
        """Follow the run until ``reached``, or until it has ended."""
        deadline = time.monotonic() + _LIMIT_SECONDS
        status = self.status(run)
        while status["state"] not in ENDED and not reached(status):
            assert time.monotonic() < deadline, status
            status = self.status(run, "--after", str(status["number"]), "--wait", "5")
        return status

    def finish(self, run: str, job: Dict[str, Any]) -> Dict[str, Any]:
        """Make the whole run and return its result."""
        self.begin(run, job)
        status = self.wait(run)
        assert status["state"] == "done", (status, self.log(run))
        return dict(status["result"])

    # -- what lies in the spool ---------------------------------------------------------------------------------------

    def file(self, run: str, name: str) -> Path:
        return self.base / "spool" / run / name

    def log(self, run: str) -> str:
        return self.file(run, "engine.log").read_text(encoding="utf-8")

    def runner(self, run: str) -> int:
        """The process id of the run's runner."""
        return int(json.loads(self.file(run, "runner.json").read_text(encoding="ascii"))["pid"])

    def kill(self, run: str) -> None:
        """Kill the runner, and return when the system has taken it away."""
        pid = self.runner(run)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: is_gone(pid))

    def end_all(self) -> None:
        """Leave no runner behind, whatever became of the test."""
        spool = self.base / "spool"
        for folder in spool.iterdir() if spool.is_dir() else []:
            if (folder / "runner.json").exists():
                pid = self.runner(folder.name)
                if str(self.base) in command_line(pid):
                    os.kill(pid, signal.SIGKILL)

    def contents(self) -> Dict[str, bytes]:
        """Every file below the base; those that go while we look are left out."""
        found: Dict[str, bytes] = {}
        for folder, folders, files in os.walk(self.base):  # which passes over folders that go, as rglob does not
            found.update((os.path.relpath(os.path.join(folder, name), self.base), b"") for name in folders)
            for name in files:
                path = os.path.join(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    found[os.path.relpath(path, self.base)] = Path(path).read_bytes()
        return found


def wait_until(reached: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not happen within %g s" % seconds
        time.sleep(0.01)


def command_line(pid: int) -> str:
    try:
        return Path("/proc/%d/cmdline" % pid).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def is_gone(pid: int) -> bool:
    """Whether the process is no more, or dead and only not reaped yet.

    The first thread is dead before the others: as long as one lives, the files and locks of the process are held.
    """
    try:
        states = [
            path.read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            for path in Path("/proc/%d/task" % pid).glob("*/stat")
        ]
        return all(state in "ZX" for state in states)
    except OSError:
        return True


def random_disk(path: Path, size_bytes: int, seed: int = 1) -> Path:
    """A disk without a table that does not compress."""
    path.write_bytes(random.Random(seed).getrandbits(8 * size_bytes).to_bytes(size_bytes, "little"))
    return path


def image_job(folder: Path, disk: Path, **more: Any) -> Dict[str, Any]:
    job: Dict[str, Any] = {"verb": "image", "device": "pc", "drives": [str(disk)], "limit_read_rate": 0}
    (folder / "storage").mkdir(exist_ok=True)
    job["storage"] = {"url": str(folder / "storage")}
    job.update(more)
    return job


def pieces_of(secret: str) -> List[bytes]:
    """The ways in which a secret could lie somewhere."""
    return [secret.encode(), json.dumps(secret)[1:-1].encode(), repr(secret)[1:-1].encode()]
