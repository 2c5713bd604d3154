# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent on the oldest Debian that plants still run, and on the newest there is: its own Python and C library, nothing else installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple, Tuple

import pytest
from engine.install.bundle import build_bundle
from support.bundles import WHEEL_CACHE, tree
from support.guest_build import mirror
from support.imaging import job, run_verb

pytestmark = [pytest.mark.long, pytest.mark.root]
BASE = "/opt/plantops-imaging"


class Debian(NamedTuple):
    """A root of one Debian; ``python`` is the version of its own Python."""

    root: Path
    python: Tuple[int, int]


# The oldest brings CPython 3.9; sid brings the newest that Debian has, which no other test here runs.
@pytest.fixture(scope="module", params=["bullseye", "sid"])
def debian(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, need: Callable[..., None]
) -> Iterator[Debian]:
    need("debootstrap", "chroot")
    root = tmp_path_factory.mktemp("debian") / "root"
    packages = "--include=python3-minimal,python3-distutils" if request.param == "bullseye" else "--include=python3"
    subprocess.run(["debootstrap", "--variant=minbase", packages, request.param, str(root), mirror()], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
    words = inside(root, "python3", "-c", "import sys; print(*sys.version_info[:2])").stdout.split()
    yield Debian(root, (int(words[0]), int(words[1])))
    subprocess.run(["umount", str(root / "proc")], check=True)


def inside(root: Path, *command: str, **settings: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["chroot", str(root), *command], check=True, stdout=subprocess.PIPE, **settings)


def test_the_agent_is_installed_images_and_leaves(debian: Debian) -> None:
    root = debian.root
    platform = "linux-x86_64-glibc-cp%d%d" % debian.python
    built = build_bundle(platform, str(root / "root"), cache_folder=str(WHEEL_CACHE))
    bundle = "/root/" + os.path.basename(built.path)
    before = tree(root / "opt")
    answer = json.loads(inside(root, "python3", bundle, "probe").stdout)
    assert (tuple(answer["python"][:2]), answer["platform"]) == (debian.python, built.platform)
    inside(root, "python3", bundle, "install")
    installation = "%s/versions/%s" % (BASE, built.identity)
    told = json.loads(inside(root, "python3", installation + "/agent.py", "version").stdout)
    assert told["id"] == built.identity

    (root / "root" / "storage").mkdir()
    disk = root / "root" / "disk.raw"
    disk.write_bytes(os.urandom(100_000) + b"\0" * 100_000)
    wanted = json.dumps(job(Path("/root/storage"), "image", drives=["/root/disk.raw"], limit_read_rate=0))
    path = "PYTHONPATH=%s:%s/site" % (installation, installation)
    done = inside(root, "env", path, "python3", "-m", "engine.agent.command", input=wanted.encode("utf-8"))
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "result"
    run_verb(root / "root" / "storage", "restore", map={"disk0": str(root / "root" / "restored.raw")})
    assert (root / "root" / "restored.raw").read_bytes()[: disk.stat().st_size] == disk.read_bytes()

    inside(root, "python3", bundle, "remove")
    assert tree(root / "opt") == before
