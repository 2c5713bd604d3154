# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recovery program in tests: built once, and run as a stranger would, with an empty environment and a bare Python."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

from engine.install.recovery_program import PROGRAM_NAME, build_program
from support.bundles import WHEEL_CACHE
from support.imaging import PASSWORD, run_verb
from support.paths import ROOT


class Ran(NamedTuple):
    """How the program ended."""

    status: int
    output: str
    errors: str

    @property
    def document(self) -> Dict[str, Any]:
        found: Dict[str, Any] = json.loads(self.output)
        return found


def python(version: str) -> str:
    """The interpreter of a version, such as 3.9, from pyenv; without site packages of anybody's."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = sorted(root.glob("%s.*/bin/python%s" % (version, version)))
    assert found, "pyenv has no Python %s" % version
    return str(found[-1])


def program() -> Path:
    """The program of this source for every default platform, built by the first who asks."""
    folder = ROOT / "build" / "recovery"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build_program(str(folder), cache_folder=str(WHEEL_CACHE))
    return folder / PROGRAM_NAME


def run_program(
    archive: Path, *arguments: object, interpreter: str = "", password: str = PASSWORD, prefix: Sequence[str] = ()
) -> Ran:
    """Run the program without a terminal; the password, if any, comes through a descriptor."""
    command: List[str] = [*prefix, "/usr/bin/env", "-i", interpreter or python("3.11"), "-I", "-S", str(archive)]
    command += [str(one) for one in arguments]
    with tempfile.TemporaryFile() as secret:
        secret.write(password.encode("utf-8") + b"\n")
        secret.seek(0)
        descriptor = secret.fileno()
        if password:
            command += ["--password-fd", str(descriptor)]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, pass_fds=[descriptor]
        )
    return Ran(done.returncode, done.stdout, done.stderr)


def copy(storage: Path, target: Path, **settings: Any) -> Dict[str, Any]:
    """Copy an image with a small stand-in for the program: what it holds matters to few tests."""
    settings.setdefault("program", str(stand_in()))
    return run_verb(storage, "copy", directory=str(target), **settings)


def stand_in() -> Path:
    """A file that looks like the program, and is none."""
    folder = ROOT / "build" / "recovery"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "stand-in.pyz"
    content = b"PK\x03\x04 not the program\n"
    if not path.exists() or path.read_bytes() != content:
        temporary = folder / ("stand-in.%d" % os.getpid())
        temporary.write_bytes(content)
        os.replace(str(temporary), str(path))
    return path


def checksums(folder: Path) -> List[str]:
    """What ``sha256sum -c SHA256SUMS`` finds wrong in a folder: no tool of ours."""
    command = ["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"]
    done = subprocess.run(command, cwd=str(folder), capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if not line.endswith(": OK")]
    assert bool(lines or done.stderr) == bool(done.returncode)
    return lines + done.stderr.splitlines()
