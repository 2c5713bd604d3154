# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the lock of the agent's wheels: for each platform the newest set that fits together, with hashes.

pip resolves for another Python, but reads the conditions of dependencies ("only before Python 3.11") for the Python that
it runs on, and asks the index alone what a wheel runs on. So pip is told the platform's conditions in a way that it does not
offer, and what it found is checked here, wheel by wheel, and asked for again until it fits.
"""

from __future__ import annotations

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


def resolve(platform: Tuple[str, str, str]) -> Optional[Dict[str, Dict[str, Any]]]:
    """Return the wheels of a platform by file name, None when a package has none for it."""
    machine, library, python = platform
    tags = ["%s_%s" % (tag, machine) for tag in LIBRARIES[library][1]]
    roots = wanted()
    asked = [str(root) for root in roots]
    environment = markers(python, machine)
    for dummy_round in range(MAX_ROUNDS):
        found = ask_pip(asked, environment, tags)
        if found is None:
            return None
        reached, unmet = walk(roots, found, environment)
        if not unmet:
            return {file_name(found[name]): described(found[name]) for name in reached}
        asked += unmet
    sys.exit("lock-agent-wheels: no set of wheels fits together for %s: %s" % (" ".join(platform), ", ".join(unmet)))


def file_name(entry: Dict[str, Any]) -> str:
    return unquote(urlsplit(entry["download_info"]["url"]).path.rpartition("/")[2])


def described(entry: Dict[str, Any]) -> Dict[str, str]:
    return {
        "name": canonicalize_name(entry["metadata"]["name"]),
        "version": entry["metadata"]["version"],
        "sha256": entry["download_info"]["archive_info"]["hashes"]["sha256"],
    }


def main() -> int:
    platforms = [(machine, library, python) for machine in MACHINES for library in LIBRARIES for python in PYTHONS]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(resolve, platforms))
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
    LOCK.write_text(json.dumps({"format": 1, "platforms": locked, "wheels": wheels}, indent=1, sort_keys=True) + "\n")
    print("%d platforms, %d wheels" % (len(locked), len(wheels)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
