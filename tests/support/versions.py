# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments with the versions that the README promises: ansible-core from the oldest to the newest, libraries
from the lowest bounds of ``requirements.txt`` to today's.

They are made once below ``build/versions`` and kept until the requirements change. ``python -m support.versions 2.16`` (or
``oldest``, ``newest``) prints where the programs of one ansible-core are.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import List, NamedTuple, Tuple

from .devices import pythons
from .paths import ROOT

_HOME = ROOT / "build" / "versions"
OLDEST_ANSIBLE, NEWEST_ANSIBLE = (2, 16), (2, 21)


class Environment(NamedTuple):
    """The folder of an environment's programs, and the requirements that it was made from."""

    name: str
    programs: Path
    requirements: Tuple[str, ...]


def lowest() -> List[str]:
    """The run-time packages at their lowest bounds: ``name==version`` of each ``name>=version``."""
    found = []
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"([a-z0-9]+)>=([0-9.]+)", line.split("#")[0].strip())
        if match:
            found.append("%s==%s" % match.groups())
    assert len(found) == 7, found
    return found


def newest() -> List[str]:
    return [requirement.split("==")[0] for requirement in lowest()]


def oldest_environment() -> Environment:
    """The very first release of the oldest ansible-core, with the lowest versions of all libraries."""
    return make("oldest", Path(sys.executable), ["ansible-core==%d.%d.0" % OLDEST_ANSIBLE, *lowest()])


def newest_environment() -> Environment:
    return of_ansible(NEWEST_ANSIBLE)


def of_ansible(version: Tuple[int, int]) -> Environment:
    """The newest release of one ansible-core, on the newest Python that it runs on here, with today's libraries."""
    required = "ansible-core==%d.%d.*" % version
    # ansible-core supports three Pythons on the controller: 2.16 has 3.10 to 3.12, each later one moves on by one or none.
    newest_python = (3, 12) if version < (2, 18) else (3, 13)
    home = next(path for path in reversed(pythons()) if _version_of(path) <= newest_python)
    return make("ansible-%d.%d" % version, home / "bin" / "python3", [required, *newest()])


def make(name: str, python: Path, requirements: List[str]) -> Environment:
    """Make the environment ``name``, or take the one that is there, with the collection where its ansible looks."""
    folder = _HOME / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256("\n".join([str(python.resolve()), *requirements]).encode()).hexdigest()
    mark = folder / "made-from"
    with open(_HOME / (name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists() or mark.read_text() != wanted:
            _run(str(python), "-m", "venv", "--clear", str(folder))
            _run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements)
            place = next(folder.glob("lib/python3*/site-packages")) / "ansible_collections" / "plantops"
            place.mkdir(parents=True, exist_ok=True)
            (place / "imaging").symlink_to(ROOT)
            mark.write_text(wanted)
    return Environment(name, folder / "bin", tuple(requirements))


def _version_of(home: Path) -> Tuple[int, int]:
    major, minor = home.name.split(".")[:2]
    return int(major), int(minor)


def _run(*command: str) -> None:
    done = subprocess.run(
        [*command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, "%s:\n%s" % (" ".join(command), done.stdout[-3000:])


def _named(word: str) -> Tuple[int, int]:
    known = {"oldest": OLDEST_ANSIBLE, "newest": NEWEST_ANSIBLE}
    if word in known:
        return known[word]
    major, minor = word.split(".")[:2]
    return int(major), int(minor)


if __name__ == "__main__":
    print(of_ansible(_named(sys.argv[1])).programs)
