# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of a database that rpm itself wrote: those that ``rpm -qa`` lists."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest
from engine.device.document.rpm import packages
from engine.device.document.software import read_software
from engine.device.document.tree import SystemTree

pytestmark = pytest.mark.long
FOLDER = "usr/lib/sysimage/rpm"
SPEC = """Name: %(name)s
Version: %(version)s
Release: %(release)s
Epoch: %(epoch)s
Summary: a package of the test
License: GPL
BuildArch: noarch
%%description
%(name)s
%%files
"""
SPECS = [
    {"name": "plant-hmi", "version": "4.2.1", "release": "3.el9", "epoch": "0"},
    {"name": "plant-driver", "version": "1.0~rc1", "release": "1", "epoch": "2"},
    {"name": "plant-kernel", "version": "5.14.0", "release": "427.el9", "epoch": "0"},
    {"name": "plant-kernel", "version": "5.14.0", "release": "503.el9", "epoch": "0"},
]


def rpm(root: Path, *words: str) -> str:
    command = ["rpm", "--dbpath", str(root / FOLDER), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def built(folder: Path, spec: Dict[str, str]) -> Path:
    path = folder / "package.spec"
    path.write_text(SPEC % spec, encoding="utf-8")
    words: Sequence[str] = ("--quiet", "--define", "_topdir %s" % folder, "-bb", str(path))
    subprocess.run(["rpmbuild", *words], check=True, capture_output=True)
    return next((folder / "RPMS").rglob("%(name)s-%(version)s-%(release)s*.rpm" % spec))


def listed(root: Path) -> Dict[str, List[str]]:
    """Names and versions as rpm lists them."""
    found: Dict[str, List[str]] = {}
    for line in rpm(root, "-qa", "--queryformat", "%{NAME} %{EPOCHNUM} %{VERSION}-%{RELEASE}\\n").splitlines():
        name, epoch, version = line.split()
        found.setdefault(name, []).append(version if epoch == "0" else "%s:%s" % (epoch, version))
    return {name: sorted(versions) for name, versions in found.items()}


def read(root: Path) -> Dict[str, List[str]]:
    return {name: versions for name, versions, dummy_architecture, dummy_held in packages(SystemTree(str(root)))}


@pytest.fixture(name="root")
def the_root(need: Any, tmp_path: Path) -> Path:
    need("rpm", "rpmbuild")
    root = tmp_path / "root"
    (root / FOLDER).mkdir(parents=True)
    rpm(root, "--initdb")
    for spec in SPECS:
        rpm(root, "--install", "--justdb", "--nodeps", "--noscripts", "--force", str(built(tmp_path, spec)))
    return root


def test_the_packages_are_those_that_rpm_lists(root: Path) -> None:
    assert len(listed(root)["plant-kernel"]) == 2, "else this shows nothing"
    assert read(root) == listed(root)
    software = read_software(SystemTree(str(root)))
    assert software["plant-driver"]["version"] == "2:1.0~rc1-1"
    assert {one["source"] for one in software.values()} == {"rpm"}
    rpm(root, "--erase", "--justdb", "--nodeps", "plant-hmi")
    assert "plant-hmi" not in read(root)
    assert read(root) == listed(root)
