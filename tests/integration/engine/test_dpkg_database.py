# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of the database of this machine, as dpkg itself changes it: those that ``dpkg-query`` lists."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from engine.device.document.software import read_software
from engine.device.document.tree import SystemTree

STATUS = "var/lib/dpkg/status"
CONTROL = "Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Plant <plant@example.org>\nDescription: x\n"
Packages = Dict[str, Tuple[str, str, bool]]  # version, architecture, held


@pytest.fixture(name="root")
def the_root(need: Any, tmp_path: Path) -> Path:
    """A root with a copy of the database of this machine."""
    need("dpkg-query", "dpkg", "dpkg-deb")
    root = tmp_path / "root"
    for name in ("info", "updates", "triggers"):
        (root / "var/lib/dpkg" / name).mkdir(parents=True)
    shutil.copyfile("/" + STATUS, root / STATUS)
    (root / "var/lib/dpkg/available").write_bytes(b"")
    return root


def dpkg(root: Path, *words: str, text: str = "") -> None:
    command = ["dpkg", "--root=%s" % root, "--force-all", *words]
    subprocess.run(command, check=True, capture_output=True, text=True, input=text)


def built(folder: Path, name: str, version: str, architecture: str = "all") -> str:
    (folder / name / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (folder / name / "DEBIAN" / "control").write_text(CONTROL % (name, version, architecture), encoding="utf-8")
    path = str(folder / ("%s_%s.deb" % (name, version)))
    subprocess.run(["dpkg-deb", "--build", str(folder / name), path], check=True, capture_output=True)
    return path


def listed(root: Path) -> Packages:
    """The installed packages as dpkg-query lists them; those of another architecture with it in their name."""
    fields = "${Package}\\t${Version}\\t${Architecture}\\t${db:Status-Want}\\t${db:Status-Status}\\n"
    command = ["dpkg-query", "--admindir=%s" % (root / "var/lib/dpkg"), "-W", "-f", fields]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows: List[List[str]] = [line.split("\t") for line in shown.splitlines()]
    native = next(row[2] for row in rows if row[0] == "dpkg")
    return {
        name if architecture in (native, "all") else "%s:%s" % (name, architecture): (
            version,
            architecture,
            want == "hold",
        )
        for name, version, architecture, want, state in rows
        if state == "installed"
    }


def read(root: Path) -> Packages:
    found = read_software(SystemTree(str(root)))
    assert {str(one["source"]) for one in found.values()} == {"dpkg"}
    return {name: (str(one["version"]), str(one["architecture"]), bool(one["held"])) for name, one in found.items()}


def test_the_packages_are_those_that_dpkg_lists(root: Path, tmp_path: Path) -> None:
    assert len(listed(root)) > 50
    assert read(root) == listed(root)
    dpkg(root, "--install", built(tmp_path, "plant-hmi", "2:4.2.1~rc1-3"))
    dpkg(root, "--install", built(tmp_path, "plant-driver", "1.0", "armhf"))
    dpkg(root, "--set-selections", text="plant-hmi hold\n")
    assert read(root) == listed(root)
    assert read(root)["plant-hmi"] == ("2:4.2.1~rc1-3", "all", True)
    assert read(root)["plant-driver:armhf"] == ("1.0", "armhf", False)
    dpkg(root, "--purge", "plant-hmi")
    dpkg(root, "--install", built(tmp_path, "plant-driver", "1.1", "armhf"))
    assert read(root) == listed(root)
    assert "plant-hmi" not in read(root)
