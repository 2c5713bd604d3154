# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs commands and measures them: wall and processor seconds, peak memory of the largest process."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

ROOT = Path(__file__).resolve().parent.parent.parent
MIB = 1 << 20


class Measured(NamedTuple):
    seconds: float
    cpu_seconds: float
    peak_mib: float
    result: Any


def measured(work: Callable[[], Any]) -> Measured:
    """Run ``work`` in a forked child and measure the child with all it starts. Its result must be JSON."""
    reading, writing = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            answer = json.dumps(work())
            os.sync()
            peak = max(
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
            )
            os.write(writing, json.dumps([peak, answer]).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    data = b""
    while True:
        piece = os.read(reading, 65536)
        if not piece:
            break
        data += piece
    os.close(reading)
    dummy_pid, status, usage = os.wait4(child, 0)
    if status:
        sys.exit("bench: a measured run failed")
    peak, answer = json.loads(data)
    seconds = time.monotonic() - started
    return Measured(seconds, usage.ru_utime + usage.ru_stime, peak / 1024, json.loads(answer))


def shell(pipeline: str) -> Callable[[], Any]:
    """A pipeline of other programs; any part that fails makes it fail."""

    def work() -> None:
        subprocess.run(["bash", "-o", "pipefail", "-c", pipeline], check=True, stderr=subprocess.DEVNULL)

    return work


def _environment(checkout: Path) -> Dict[str, str]:
    """Where the engine finds itself compiled, as an agent on a device does."""
    environment = dict(os.environ, PYTHONPATH=str(checkout / "plugins" / "module_utils"))
    environment["PYTHONPYCACHEPREFIX"] = str(checkout / "build" / "bench-compiled")
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def compile_engine(checkout: Path = ROOT) -> None:
    """What an installation does; the bench runs the engine from its sources."""
    # A start loads no verb; without this the first image compiles its own.
    place = checkout / "plugins" / "module_utils" / "engine"
    command = [sys.executable, "-m", "compileall", "-q", str(place)]
    subprocess.run(command, env=_environment(checkout), check=True)


def engine(job: Dict[str, Any], prefix: Sequence[str] = (), checkout: Path = ROOT) -> Callable[[], Any]:
    """A run of the engine's command line, as a playbook starts it; ``prefix`` is a command in front of it."""

    def work() -> Any:
        environment = _environment(checkout)
        command = [*prefix, sys.executable, "-m", "engine.agent.command"]
        done = subprocess.run(
            command, input=json.dumps(job).encode(), stdout=subprocess.PIPE, env=environment, check=False
        )
        last = json.loads(done.stdout.splitlines()[-1])
        if last.get("event") != "result":
            raise AssertionError(last)
        return {key: last.get(key) for key in ("bytes_stored", "bytes_in_use", "seconds", "image")}

    return work


def program(words: Sequence[str], checkout: Path = ROOT) -> Callable[[], Any]:
    """A run of the recovery program, as a person starts it."""

    def work() -> None:
        command = [sys.executable, "-m", "engine.recovery.main", *words]
        done = subprocess.run(command, env=_environment(checkout), stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise AssertionError(done.stdout.decode("utf-8", "replace"))

    return work


def tree_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0


def table(head: List[str], rows: List[List[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"
