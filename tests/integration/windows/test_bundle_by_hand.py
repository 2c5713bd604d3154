# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle that was carried to a Windows device by hand: its Python runs the engine, and ``install.cmd`` looks before it acts."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Iterator

import pytest
from engine.agent.field_test.report import read_report
from engine.install.bundle import build_bundle
from support.bundles import WHEEL_CACHE
from support.windows.device import Ran, WindowsDevice, environment_of
from support.windows.parts import WINDOWS_7

STICK = r"C:\stick"


@pytest.fixture(scope="module")
def stick(old_device: WindowsDevice, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    built = build_bundle(WINDOWS_7, str(tmp_path_factory.mktemp("built")), cache_folder=str(WHEEL_CACHE))
    folder = old_device.host_path(STICK)
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(folder)
    yield folder
    shutil.rmtree(folder)


def run(device: WindowsDevice, *command: str, given: str = "") -> Ran:
    done = subprocess.run(
        ["wine", *command],
        input=given.encode(),
        capture_output=True,
        env=environment_of(device.prefix),
        cwd=device.drive,
        timeout=300,
        check=False,
    )
    texts = [stream.decode("utf-8", "replace").replace("\r\n", "\n") for stream in (done.stdout, done.stderr)]
    return Ran(done.returncode, *texts)


def by_hand(device: WindowsDevice, *words: str) -> Ran:
    return run(device, "cmd", "/c", STICK + r"\install.cmd", *words)


def test_its_own_python_runs_the_engine(old_device: WindowsDevice, stick: Path) -> None:
    """Nothing of the device's own Python is used: neither its path nor its packages."""
    program = "import engine.errors, blake3, sys; from engine._libraries import load_all; load_all(); print(sys.path)"
    ran = run(old_device, STICK + r"\python\python.exe", "-I", "-B", "-c", program)
    assert ran.status == 0, ran.errors
    assert ran.output.count(STICK.replace("\\", "\\\\")) == 4
    assert "agent" not in ran.output
    assert not list(stick.rglob("__pycache__"))


def test_the_field_test_starts_from_the_bundle_and_changes_no_file_of_it(
    old_device: WindowsDevice, stick: Path
) -> None:
    before = sorted(stick.rglob("*"))
    ran = run(old_device, "cmd", "/c", STICK + r"\field-test.cmd", "--only", "memory", "--only", "service")
    assert ran.status == 0, ran
    (report,) = (old_device.drive / "users").glob("*/plantops-field-test.json")
    found = read_report(str(report))
    states = {name: one.state for name, one in found.checks.items() if one.state != "not_asked"}
    assert states == {"memory": "answered", "service": "answered"}
    assert "plantops-field-test.json" in ran.output
    assert sorted(stick.rglob("*")) == before


@pytest.mark.long
def test_check_changes_nothing_and_an_unknown_word_is_explained(old_device: WindowsDevice, stick: Path) -> None:
    before = sorted(stick.rglob("*"))
    checked = by_hand(old_device, "check")
    assert checked.status == 0, checked
    assert json.loads((stick / "bundle.json").read_text(encoding="ascii"))["version"] in checked.output
    unknown = by_hand(old_device, "nonsense")
    assert unknown.status == 2
    assert "windows-7-amd64" in unknown.output
    assert sorted(stick.rglob("*")) == before
    assert not old_device.host_path(r"C:\Program Files\plantops-imaging").exists()


@pytest.mark.long
def test_a_changed_file_is_refused(old_device: WindowsDevice, stick: Path) -> None:
    path = stick / "lib" / "cffi" / "api.py"
    content = path.read_bytes()
    path.write_bytes(content + b"#")
    try:
        refused = by_hand(old_device, "install")
        assert refused.status == 1
        assert "(A366)" in refused.output
        assert "api.py" in refused.output
    finally:
        path.write_bytes(content)


@pytest.mark.long
def test_a_device_without_the_universal_runtime_gets_the_way_out(old_device: WindowsDevice, stick: Path) -> None:
    """Another name stands for the missing library: Wine itself needs it. Its findstr always finds, so A361 is not tried."""
    path = stick / "install.cmd"
    content = path.read_bytes()
    assert b"ucrtbase.dll" in content
    path.write_bytes(content.replace(b"ucrtbase.dll", b"absent.dll"))
    try:
        refused = by_hand(old_device, "install")
        assert refused.status == 1
        assert "(A360)" in refused.errors
        assert "KB2999226" in refused.errors
    finally:
        path.write_bytes(content)


@pytest.mark.long
def test_a_python_that_does_not_start_is_told(old_device: WindowsDevice, stick: Path) -> None:
    path = stick / "python" / "python38.dll"
    path.rename(path.with_suffix(".away"))
    try:
        refused = by_hand(old_device, "install")
        assert refused.status == 1
        assert "(A364)" in refused.errors
    finally:
        path.with_suffix(".away").rename(path)
